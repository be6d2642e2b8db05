"""What `on_failure` and `on_missing` say: read, or refused in their place."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from daemon.checkup.listening import sent
from daemon.config import Secrets
from daemon.follow_up import Cause
from daemon.notice import NOTICES_MAX, NOTICES_PER
from daemon.spec import CronSpec, DispatchSpec, NoticeSpec, TriggerSpec
from tests.test_config import CRON, HOME, TRIGGER, only_fault, read

URL = "https://hooks.example.com/services/T0/B0/TokenOfTheHook"
ENVIRON = {**HOME, "HOOK": URL}
NOTIFY = {"notify": "env:HOOK"}


def notice(directory: Path, follow_up: dict[str, Any], environ: dict[str, str]) -> NoticeSpec:
    config = read(directory, crons=[CRON | {"on_failure": follow_up}], environ=environ)
    spec = config.crons[0].on_failure
    assert isinstance(spec, NoticeSpec)
    return spec


def fault(directory: Path, follow_up: Any, environ: dict[str, str] | None = None) -> str:
    crons = [CRON | {"on_failure": follow_up}]
    return only_fault(directory, crons=crons, environ=ENVIRON if environ is None else environ)


def test_a_notice_is_read_with_every_default(tmp_path: Path) -> None:
    spec = notice(tmp_path, NOTIFY, ENVIRON)
    assert spec.url is not None
    assert (spec.url.reveal(), spec.url.reference) == (URL, "env:HOOK")
    assert (spec.text, spec.max, spec.per) == (None, NOTICES_MAX, NOTICES_PER)


def test_both_kinds_of_entry_have_both_keys(tmp_path: Path) -> None:
    keys = {"on_failure": NOTIFY, "on_missing": {"event_type": "rebuild"}}
    config = read(tmp_path, crons=[CRON | keys], triggers=[TRIGGER | keys], environ=ENVIRON)
    entries: list[CronSpec | TriggerSpec] = [*config.crons, *config.triggers]
    for spec in entries:
        assert isinstance(spec.on_failure, NoticeSpec)
        assert isinstance(spec.on_missing, DispatchSpec)
        assert all(config.follows(spec.name, cause) for cause in Cause)
    assert not config.follows("/dispatch", Cause.DEAD)


def test_the_other_dispatch_takes_all_that_a_dispatch_does(tmp_path: Path) -> None:
    again = {
        "event_type": "{{ dispatch.event_type }}",
        "event_types": ["build"],
        "client_payload": {"why": "{{ dispatch.reason }}", "run": "{{ run.id }}"},
        "repository": "acme/repairs",
        "send_within": "1h",
    }
    config = read(tmp_path, crons=[CRON | {"on_missing": again}], environ=ENVIRON)
    spec = config.crons[0].on_missing
    assert isinstance(spec, DispatchSpec)
    assert (spec.repository, spec.send_within.total_seconds()) == ("acme/repairs", 3600)
    assert "acme/repairs" in config.settings.repositories
    assert not config.follows("nightly", Cause.DEAD)
    assert config.follows("nightly", Cause.MISSING)


def test_defaults_can_hold_them_for_all_entries(tmp_path: Path) -> None:
    crons = {"defaults": {"on_failure": NOTIFY}, "crons": [CRON, CRON | {"name": "other"}]}
    config = read(tmp_path, crons=crons, environ=ENVIRON)
    assert all(isinstance(cron.on_failure, NoticeSpec) for cron in config.crons)


def test_a_disabled_entry_follows_nothing(tmp_path: Path) -> None:
    crons = [CRON | {"enabled": False, "on_failure": {"notify": "env:UNSET"}}]
    config = read(tmp_path, crons=crons)
    assert not config.follows("nightly", Cause.DEAD)
    assert "UNSET" in config.warnings[0]


@pytest.mark.parametrize(
    ("follow_up", "said"),
    [
        (
            {"notify": "https://hooks.example.com/services/T0/B0/x"},
            "crons[0].on_failure.notify: a URL that leads out of this network is a secret: whoever "
            "knows it can write there (set a variable to the URL, and write env:NAME here)",
        ),
        (
            {"notify": "http://ann:secret@localhost/x"},
            "crons[0].on_failure.notify: a URL that leads out",
        ),
        ({"notify": "mailto://a:b@example.com"}, "crons[0].on_failure.notify: a URL that leads"),
        ({"notify": "HOOK"}, "crons[0].on_failure.notify: must be a reference to a URL"),
        ({"notify": 5}, "crons[0].on_failure.notify: must be a string, not a number"),
        ({"notify": "env:UNSET"}, "crons[0].on_failure.notify: the environment variable UNSET is"),
        (
            NOTIFY | {"txt": "x"},
            'crons[0].on_failure.txt: unknown key "txt" (did you mean "text"?)',
        ),
        (NOTIFY | {"text": ""}, "crons[0].on_failure.text: must not be empty"),
        (
            NOTIFY | {"text": "{{ dispatch.reson }}"},
            "crons[0].on_failure.text: unknown name 'dispatch.reson': did you mean "
            "'dispatch.reason'?",
        ),
        (NOTIFY | {"text": "{{ body.x }}"}, "crons[0].on_failure.text: unknown name 'body.x'"),
        (
            NOTIFY | {"text": "{{ dispatch_id }}"},
            "crons[0].on_failure.text: unknown name 'dispatch_id': did you mean 'dispatch.id'?",
        ),
        (NOTIFY | {"rate_limit": {"max": 5}}, 'crons[0].on_failure.rate_limit: missing key "per"'),
        (
            NOTIFY | {"rate_limit": {"max": 0, "per": "1m"}},
            "crons[0].on_failure.rate_limit.max: must be at least 1",
        ),
        ({"event_type": "x", "notfy": ""}, 'crons[0].on_failure.notfy: unknown key "notfy"'),
        (
            {"event_type": "x", "client_payload": {"a": "{{ run.nmae }}"}},
            "crons[0].on_failure.client_payload.a: unknown name 'run.nmae': did you mean",
        ),
        ({"event_type": "{{ cause }}"}, "crons[0].on_failure.event_type: a template needs the"),
        ({}, 'crons[0].on_failure: missing key "event_type"'),
        ([NOTIFY], "crons[0].on_failure: must be an object, not an array"),
        (None, "crons[0].on_failure: must be an object, not null"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_its_place(tmp_path: Path, follow_up: Any, said: str) -> None:
    found = fault(tmp_path, follow_up)
    assert found.partition(": ")[2].startswith(said)
    assert "secret@" not in found


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://hooks.example.com/TokenOfTheHook", "what is at env:HOOK is not https"),
        ("TokenOfTheHook", "what is at env:HOOK is no URL"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_it(tmp_path: Path, url: str, said: str) -> None:
    found = fault(tmp_path, NOTIFY, {**HOME, "HOOK": url})
    assert said in found
    assert "TokenOfTheHook" not in found


@pytest.mark.parametrize("url", ["http://localhost:2586/builds", "http://ntfy/builds"])
def test_a_url_within_this_network_may_be_written_out(tmp_path: Path, url: str) -> None:
    spec = notice(tmp_path, {"notify": url}, dict(HOME))
    assert spec.url is not None
    assert spec.url.reveal() == url


def test_what_apprise_is_for_needs_apprise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {**HOME, "HOOK": "mailto://ann:secret@example.com"}
    spec = notice(tmp_path, NOTIFY, environ)
    assert spec.url is not None
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "apprise" else find(name)
    )
    found = fault(tmp_path, NOTIFY, environ)
    assert "Apprise, which is not installed (pip install 'dispatchd[notify]')" in found
    assert "secret" not in found


def test_a_url_that_is_not_there_is_only_warned_of_without_secrets(tmp_path: Path) -> None:
    config = read(tmp_path, crons=[CRON | {"on_failure": NOTIFY}], secrets=Secrets.OPTIONAL)
    assert "the environment variable HOOK is not set" in config.warnings[0]


def test_a_dollar_before_a_template_is_warned_of(tmp_path: Path) -> None:
    text = NOTIFY | {"text": "see ${{ run.url }}"}
    config = read(tmp_path, crons=[CRON | {"on_failure": text}], environ=ENVIRON)
    assert "on_failure.text: the `$` before {{" in config.warnings[0]


def test_what_follows_is_among_what_the_entries_send(tmp_path: Path) -> None:
    """So doctor looks for who listens to it."""
    again = {"on_missing": {"event_type": "rebuild"}, "on_failure": NOTIFY}
    config = read(tmp_path, crons=[CRON | again], environ=ENVIRON)
    assert [one.event_type for one in sent(config)] == ["build", "rebuild"]
