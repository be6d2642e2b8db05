"""The schemas describe every key of the contract with valid examples, and are judged by as
jsonschema does, only quicker."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from daemon.document import Document
from daemon.schemas import AnyName, Name, check, schema
from daemon.schemas.predicates import Predicates
from daemon.schemas.validator import compiled

NAMES: tuple[Name, ...] = get_args(Name)

DISPATCH = {"event_type": "build"}
CRON = {"name": "a", "schedule": "@daily", "dispatch": DISPATCH}
TRIGGER = {"name": "a", "path": "/a", "auth": {"scheme": "none"}, "dispatch": DISPATCH}

CONTRACT = {
    "crons": """name description enabled schedule every offset at timezone start_at end_at exclude
        jitter catch_up max_lateness catch_up_limit overlap alert_after on_failure on_missing
        dispatch type job""",
    "triggers": """name description enabled path methods auth allow_from max_body variables when
        dedupe coalesce rate_limit parent response on_failure on_missing dispatch type
        watch_path actions""",
    "daemon": """gh_token gh_owner gh_repo gh_api_url gh_api_version ca_file
        api_key api_keys tls_cert tls_key dispatchd_listen dispatchd_database_url
        dispatchd_log_format dispatchd_log_level gh_writes_per_second gh_write_burst
        gh_writes_per_hour credentials repositories trusted_proxies public_url retention
        max_chain_depth breaker notify heartbeat_url recover max_database_size
        reload_on_change""",
    "dispatch": """event_type event_types client_payload repository send_within expect_run
        inject_metadata on_ambiguous via workflow ref inputs""",
}


def entry(name: Name) -> dict[str, Any]:
    found = schema(name)
    described: dict[str, Any] = found if name == "daemon" else found["$defs"]["entry"]
    return described


def described_keys(part: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that a user may write, with its schema. Conditions repeat some and are left out."""
    if not isinstance(part, dict):
        return
    for key, child in part.get("properties", {}).items():
        if "not" not in child or "type" in child:
            yield f"{path}.{key}", child
        yield from described_keys(child, f"{path}.{key}")
    for inner in ("items", "then"):
        yield from described_keys(part.get(inner), f"{path}.{inner}")
    for key, child in part.get("$defs", {}).items():
        yield from described_keys(child, f"{path}.{key}")


ALL_KEYS = [
    pytest.param(name, child, id=path)
    for name in NAMES
    for path, child in described_keys(schema(name), name)
]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_schema_is_one_of_draft_2020_12(name: Name) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema(name)["$id"] == f"urn:dispatchd:schema:{name}"
    assert schema(name)["title"]


@pytest.mark.parametrize(("name", "child"), ALL_KEYS)
def test_every_key_is_explained_with_examples_that_are_valid(
    name: Name, child: dict[str, Any]
) -> None:
    assert child["description"].endswith((".", "*/"))
    whole = Draft202012Validator(schema(name))
    for example in child["examples"]:
        assert list(whole.evolve(schema=child).iter_errors(example)) == []
    if "default" in child:
        assert list(whole.evolve(schema=child).iter_errors(child["default"])) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_the_contract_is_described(name: Name) -> None:
    older = {"command", "url", "method", "headers", "vars"}
    assert set(entry(name)["properties"]) - older == set(CONTRACT[name].split())


def test_both_files_describe_a_dispatch_alike() -> None:
    dispatch = schema("crons")["$defs"]["dispatch"]
    assert set(dispatch["properties"]) == set(CONTRACT["dispatch"].split())
    assert dispatch == schema("triggers")["$defs"]["dispatch"]
    assert schema("crons")["$defs"]["follow_up"] == schema("triggers")["$defs"]["follow_up"]


@pytest.mark.parametrize("name", ["crons", "triggers"])
def test_the_defaults_take_the_keys_of_an_entry(name: Name) -> None:
    defaults = schema(name)["$defs"]["defaults"]["properties"]
    assert list(defaults) == list(entry(name)["properties"])
    for key, child in defaults.items():
        forbidden = key in ("name", "auth")
        assert child.get("$ref") == (None if forbidden else f"#/$defs/entry/properties/{key}")


def test_every_pattern_says_in_words_what_it_wants() -> None:
    """A pattern means nothing to most people: ``x-form`` completes "must be …"."""
    for name in NAMES:
        for part in parts(schema(name)):
            assert "x-form" in part or "pattern" not in part, part


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a schema but the conditions, which are never reported."""
    if isinstance(value, dict):
        yield value
        value = [child for key, child in value.items() if key != "if"]
    for child in value if isinstance(value, list) else ():
        yield from parts(child)


SAMPLES: list[Any] = [
    *(example for name in NAMES for _, key in described_keys(schema(name), "")
      for example in key["examples"]),
    *(None, True, 0, 5, 5.0, 0.5, 10**9, "", "none", "a" * 101, [], {}, ["a", "a"], [1, True]),
    *({"scheme": "token", "secret": "env:A"}, {"a b": 1}, CRON, TRIGGER, [CRON, {}]),
]  # fmt: skip


@given(st.data())
def test_the_quick_validator_judges_as_jsonschema_does(data: st.DataObject) -> None:
    """Neither making each part's validator only once changes a verdict, on entries right or wrong,
    nor does asking jsonschema about those alone that do not fit."""
    name = data.draw(st.sampled_from(NAMES))
    keys = [*entry(name)["properties"], "other"]
    changes = data.draw(st.dictionaries(st.sampled_from(keys), st.sampled_from(SAMPLES)))
    start: dict[str, Any] = {"crons": CRON, "triggers": TRIGGER, "daemon": {}}[name]
    found: Any = {**copy.deepcopy(start), **changes}
    if name != "daemon":
        found = data.draw(st.sampled_from([[found], {name: [found], "defaults": changes}]))
    plain = schema(name)
    slow = {tuple(error.absolute_path) for error in Draft202012Validator(plain).iter_errors(found)}
    assert {tuple(error.absolute_path) for error in compiled(plain).iter_errors(found)} == slow
    assert Predicates(plain).of(plain)(found) is not bool(slow)


@pytest.mark.parametrize("name", [*NAMES, "case"])
def test_a_predicate_tells_what_fits_from_what_does_not_as_jsonschema_does(name: AnyName) -> None:
    """Each schema within a schema, on what fits one of them or another."""
    plain = schema(name)
    slow, quick = Draft202012Validator(plain), Predicates(plain)
    for part in schemas_within(plain):
        validator, predicate = slow.evolve(schema=part), quick.of(part)
        for sample in SAMPLES:
            assert predicate(sample) == validator.is_valid(sample), (part, sample)


def schemas_within(part: Any) -> Iterator[dict[str, Any]]:
    """``part`` and all that it is made of."""
    if not isinstance(part, dict):
        return
    yield part
    nested = [part.get(key) for key in ("items", "not", "if", "then", "else", "propertyNames")]
    nested += [part.get("additionalProperties")]
    for key in ("properties", "$defs"):
        nested += part.get(key, {}).values()
    for key in ("allOf", "anyOf", "oneOf"):
        nested += part.get(key, [])
    for each in nested:
        yield from schemas_within(each)


def test_ten_thousand_entries_are_checked_and_each_wrong_one_is_found() -> None:
    entries = [{**CRON, "name": f"e{number}", "timezone": "UTC"} for number in range(10_000)]
    text = json.dumps(entries)
    assert check(Document("F", text, entries), "crons") == []
    wrong = [{**one, "shedule": ""} for one in entries]
    assert len(check(Document("F", json.dumps(wrong), wrong), "crons")) == 10_000
