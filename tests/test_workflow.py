"""``dispatchd workflow``: what it prints is a workflow by GitHub's schema, safe by zizmor's rules,
and reads exactly what its entry sends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config import Secrets, load
from daemon.errors import UsageError
from daemon.expressions import Vocabulary
from daemon.spec import CronSpec, DispatchSpec, TriggerSpec
from daemon.starter import VENDORS, listened, trigger_starter, workflow
from tests.shell import Shell
from tests.specs import ENVIRON, OPEN, config, trigger, trigger_entry

ROOT = Path(__file__).parents[1]
ZIZMOR = Path(sys.executable).with_name("zizmor")
SCHEMA = jsonschema.Draft7Validator(
    json.loads(
        resources.files("check_jsonschema.builtin_schemas.vendor")
        .joinpath("github-workflows.json")
        .read_text("utf-8")
    )
)
"""SchemaStore's."""
ID = "github.event.client_payload.dispatchd.id"


def printed(entry: TriggerSpec | CronSpec, event_type: str | None = None) -> str:
    kind = "trigger" if isinstance(entry, TriggerSpec) else "cron"
    return workflow(kind, entry.name, listened(entry.name, entry.dispatches, event_type))


def sending(*payloads: Mapping[str, Any], **keys: Any) -> TriggerSpec:
    """A trigger with a dispatch of the type ``one``, ``two``, … for each payload."""
    types = ("one", "two", "three")
    dispatches = [
        {"event_type": event_type, "client_payload": payload, **keys}
        for event_type, payload in zip(types, payloads, strict=False)
    ]
    return trigger("entry", dispatch=dispatches)


def read(text: str) -> dict[str, Any]:
    """The workflow as YAML 1.1 reads it, for which the key ``on`` is a boolean, under its name."""
    found: dict[Any, Any] = yaml.safe_load(text)
    found["on"] = found.pop(True)
    return found


def job(text: str) -> dict[str, Any]:
    found: dict[str, Any] = read(text)["jobs"]["handle"]
    return found


def variables(text: str) -> dict[str, str]:
    found: dict[str, str] = job(text)["env"]
    return found


def check(texts: Sequence[str]) -> None:
    """Raises AssertionError unless each is a workflow by the schema and clean by zizmor."""
    for text in texts:
        SCHEMA.validate(read(text))
    with TemporaryDirectory() as directory:
        for index, text in enumerate(texts):
            Path(directory, f"{index}.yml").write_text(text, encoding="utf-8")
        files = sorted(map(str, Path(directory).iterdir()))
        words = [str(ZIZMOR), "--offline", "--pedantic", "--no-progress", "--no-config", *files]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_shipped_entries_and_every_starter_have_a_workflow_that_is_valid_and_safe() -> None:
    shipped = load(ROOT / "config", ENVIRON, secrets=Secrets.OPTIONAL)
    starters = config([{**trigger_starter(name).entry, "auth": OPEN} for name in VENDORS])
    texts = [printed(each) for each in (*shipped.triggers, *starters.triggers)]
    check(texts + [printed(each) for each in shipped.crons])


def test_the_checks_find_what_is_wrong() -> None:
    """Without this, a check that passes everything would go unnoticed."""
    good = printed(sending({"a": "1"}))
    with pytest.raises(AssertionError, match="template-injection"):
        check([good.replace('"$DISPATCH_ID"', f"${{{{ {ID} }}}}")])
    with pytest.raises(jsonschema.ValidationError):
        check([good.replace("runs-on", "run-on")])


VOCABULARY = Vocabulary.for_trigger(()).with_dispatch()
DAY = timedelta(days=1)
KEYS = st.one_of(
    st.text(min_size=1, max_size=8),
    st.text("ab-_'\"{}$ .#:\\\n\t!&*%@`é€😀\x00\x7f\u2028\ufeff", min_size=1, max_size=8),
    st.sampled_from(
        ["}}", "${{ x }}", "${{", "path", "Path", "on", "null", "7", "a" * 300, "ключ"]
    ),
).filter(lambda key: key != "dispatchd")
VALUES = st.sampled_from(["text", 7, None, True, "{{ body.x }}", "{{ body }}", {"a": "b"}, [1]])
PAYLOADS = st.dictionaries(KEYS, VALUES, max_size=9)
TYPES = st.lists(
    st.text(min_size=1, max_size=20).filter(lambda text: "{{" not in text),
    min_size=1,
    max_size=3,
    unique=True,
)


def printed_for(payload: Mapping[str, Any], types: Sequence[str]) -> str:
    """The workflow of an entry that sends the payload as each of the types. A config file for each
    would take ten times as long."""
    errors: list[Any] = []
    tree = VOCABULARY.tree(dict(payload), errors)
    assert errors == []
    dispatches = [
        DispatchSpec(VOCABULARY.template(each), frozenset(), tree, "octo-org/octo-repo", DAY, True)
        for each in types
    ]
    return workflow("trigger", "entry", listened("entry", dispatches))


@given(st.lists(st.tuples(PAYLOADS, TYPES), min_size=5, max_size=20))
@settings(max_examples=6)
def test_whatever_an_entry_sends_its_workflow_is_valid_and_safe(
    shapes: list[tuple[dict[str, Any], list[str]]],
) -> None:
    check([printed_for(payload, types) for payload, types in shapes])


@given(payload=PAYLOADS, types=TYPES)
def test_whatever_an_entry_sends_every_key_is_read_once_and_every_type_listened_to(
    payload: dict[str, Any], types: list[str]
) -> None:
    text = printed_for(payload, types)
    assert read(text)["on"]["repository_dispatch"]["types"] == types
    found = variables(text)
    assert found.pop("DISPATCH_ID") == f"${{{{ {ID} }}}}"
    assert [key_of(value) for value in found.values()] == list(payload)
    assert all(re.fullmatch(r"PAYLOAD_[A-Z0-9_]{1,70}", name) for name in found)
    assert [value.startswith("${{ toJSON(") for value in found.values()] == [
        isinstance(value, dict | list) or value == "{{ body }}" for value in payload.values()
    ]
    assert "${{" not in job(text)["steps"][0]["run"]


def key_of(value: str) -> str:
    """The key of the payload that an expression reads, by the rules of GitHub's expressions: text
    stands in single quotes, which are doubled within it, and nothing else ends it."""
    expression = value.removeprefix("${{ ").removesuffix(" }}")
    assert "}}" not in re.sub(r"'(?:[^']|'')*'", "", expression)
    if expression.startswith("toJSON("):
        expression = expression.removeprefix("toJSON(").removesuffix(")")
    rest = expression.removeprefix("github.event.client_payload")
    if plain := re.fullmatch(r"\.([A-Za-z_][\w-]*)", rest, re.ASCII):
        return plain[1]
    quoted = re.fullmatch(r"\['((?:[^']|'')*)'\]", rest)
    assert quoted is not None, expression
    return quoted[1].replace("''", "'")


NASTY = {
    "PAYLOAD_A": "$(touch hacked) `touch hacked` \"; touch hacked; '",
    "PAYLOAD_B": "x\n::error::injected\n##[error]injected",
    "PAYLOAD_C": "-n %s \\n",
}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the token, as on GitHub")
def test_the_step_prints_values_as_they_are_and_runs_nothing_of_them(tmp_path: Path) -> None:
    text = printed(sending({"a": "1", "b": "2", "c": "3"}))
    script = job(text)["steps"][0]["run"]
    environ = {"PATH": os.defpath, "DISPATCH_ID": "dsp_1", **NASTY}
    # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
    # says how a runner starts the default shell.
    words = ["bash", "-e", "-c", script]
    ran = subprocess.run(
        words, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    stop, rest = ran.stdout.split("\n", 1)
    token = stop.removeprefix("::stop-commands::")
    assert len(token) == 32
    shown = "".join(f"{name}: {value}\n" for name, value in NASTY.items())
    assert rest == f"DISPATCH_ID: dsp_1\n{shown}::{token}::\n"
    assert ran.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_the_run_shows_the_dispatchs_id_and_the_token_may_do_nothing() -> None:
    found = read(printed(sending({"a": "1"})))
    assert found["run-name"] == f"entry ${{{{ {ID} }}}}"
    assert found["permissions"] == {}
    assert found["jobs"]["handle"]["timeout-minutes"] == 10


def test_without_metadata_no_id_is_promised() -> None:
    text = printed(sending({"a": "1"}, inject_metadata=False))
    assert "inject_metadata" in text
    assert "dispatchd.id" not in text
    check([text])
    some = trigger(
        "entry",
        dispatch=[{"event_type": "a"}, {"event_type": "b", "inject_metadata": False}],
    )
    assert "Some dispatches have `inject_metadata: false`" in printed(some)
    check([printed(some)])


def test_a_payload_of_nothing_is_said_to_be_empty() -> None:
    assert "no `client_payload` of its own" in printed(sending({}))


def lines(text: str, variable: str) -> Iterator[str]:
    """The comments above a variable."""
    before = text.partition(f"      {variable}: ")[0].splitlines()
    while before and before[-1].startswith("      # "):
        yield before.pop().removeprefix("      # ")


def test_a_key_that_some_events_lack_says_so() -> None:
    text = printed(sending({"both": "1", "first": "1"}, {"both": "2", "second": "{{ 1 }}"}))
    assert list(lines(text, "PAYLOAD_BOTH")) == []
    (note,) = lines(text, "PAYLOAD_SECOND")
    assert note == "Empty but for two: the payload of other events lacks this key."
    assert list(variables(text)) == [
        "DISPATCH_ID",
        "PAYLOAD_BOTH",
        "PAYLOAD_FIRST",
        "PAYLOAD_SECOND",
    ]


def test_keys_that_github_does_not_tell_apart_say_so() -> None:
    text = printed(sending({"job": "1", "Job": "2"}))
    assert list(variables(text)) == ["DISPATCH_ID", "PAYLOAD_JOB", "PAYLOAD_JOB_2"]
    assert any("do not tell these keys apart: job, Job" in x for x in lines(text, "PAYLOAD_JOB"))


def test_one_of_several_types_can_be_listened_to_alone() -> None:
    entry = sending({"a": "1"}, {"b": "2"})
    assert read(printed(entry))["on"]["repository_dispatch"]["types"] == ["one", "two"]
    alone = printed(entry, "two")
    assert read(alone)["on"]["repository_dispatch"]["types"] == ["two"]
    assert list(variables(alone)) == ["DISPATCH_ID", "PAYLOAD_B"]
    assert list(lines(alone, "PAYLOAD_B")) == []
    with pytest.raises(UsageError, match=r"does not send 'three'; it sends: one, two"):
        printed(entry, "three")


def test_the_types_of_a_template_are_all_listened_to() -> None:
    dispatch = {"event_type": "{{ body.kind }}", "event_types": ["b", "a"]}
    text = printed(trigger("entry", dispatch=dispatch))
    assert read(text)["on"]["repository_dispatch"]["types"] == ["a", "b"]


def test_a_workflow_lives_in_one_repository() -> None:
    dispatches = [
        {"event_type": "build", "repository": "acme/site"},
        {"event_type": "test", "repository": "acme/shop"},
    ]
    entry = trigger("entry", dispatch=dispatches)
    with pytest.raises(UsageError, match=r"build to acme/site; test to acme/shop.*--event-type"):
        printed(entry)
    assert "sends to acme/shop." in printed(entry, "test")


async def test_the_command_prints_the_workflow_of_a_trigger_or_a_cron(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.write(triggers=[trigger_entry("push")])
    await shell.run("init", "cron")
    for name, kind, event_type in (("push", "trigger", "build"), ("nightly", "cron", "nightly")):
        ran = await shell.run("workflow", name)
        assert ran.code == 0
        assert ran.out.startswith(f"# Listens to what dispatchd's {kind} {name} sends to octo-org/")
        assert read(ran.out)["on"]["repository_dispatch"]["types"] == [event_type]
    unknown = await shell.run("workflow", "pull")
    assert (unknown.code, unknown.err) == (
        2,
        "dispatchd: there is no entry 'pull'; there are: push, nightly\n",
    )
