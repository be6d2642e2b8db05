"""What a check-up makes of what it saw."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.checkup import Finding, access, listening, report, secrets, surroundings
from daemon.checkup.access import Answer, Rights, Used
from daemon.checkup.finding import fail, ok, warn
from daemon.checkup.secrets import weakness
from daemon.checkup.surroundings import Database, Zones
from daemon.github import Question, Reply
from daemon.github_app import AppKey
from daemon.github_workflows import (
    READ_ACTIONS,
    WRITE_ACTIONS,
    WRITE_CONTENTS,
    RepositoryTold,
    actions_question,
    file_question,
    files_question,
    repository_question,
    workflows_question,
)
from daemon.listeners import Listeners
from daemon.pacing import Limits
from daemon.secret import Secret
from daemon.spec import Config, Credential, Pace
from tests.github_caller import T0
from tests.openapi import check_request, operation_of
from tests.specs import API_KEY, ENVIRON, SECRET, config, cron_entry, trigger_entry
from tests.test_listeners import on, workflow

CREDENTIAL = Credential(
    "GH_TOKEN", Secret("ghp_x", "env:GH_TOKEN"), "https://api.github.com", Pace()
)
HERE = {"x-github-request-id": "1", "date": "Sun, 01 Mar 2026 12:00:00 GMT"}
TOLD = RepositoryTold("octo/site", "main", False, False, False, {"push": True, "pull": True})
REFUSED = b'{"message": "Resource not accessible by personal access token"}'

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def reply(
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"{}",
    left: int | None = None,
) -> Reply:
    limits = Limits(5000, left, T0 + timedelta(minutes=30), "core") if left is not None else None
    return Reply(status, {**HERE, **(headers or {})}, body, limits, T0)


def answer(of: Reply, *, late: float = 0.5) -> Answer:
    at = T0 + timedelta(seconds=late)
    return Answer(of, at, at + timedelta(seconds=0.2))


@pytest.mark.parametrize(
    "value",
    ["changeme", "Change-Me!", "secret123", "your-webhook-secret-here", "aaaaaaaaaaaaaaaaaaaa",
     "abcabcabcabcabcabc", "0123456789abcdef", "qwertyuiopasdf", "fedcba9876543210", "7", "hunter2",
     "It's a Secret to Everybody"],
)  # fmt: skip
def test_a_secret_that_anybody_would_try_is_a_failure(value: str) -> None:
    plain, why = weakness(value)
    assert plain
    assert why
    assert value not in why


@pytest.mark.parametrize("value", ["Tr0ub4dor&3", "aabbaabbbabaababbbab", "xK9#mQ2$vL5"])
def test_a_secret_that_can_be_found_by_trying_is_warned_of(value: str) -> None:
    plain, why = weakness(value)
    assert not plain
    assert why


@given(st.text(alphabet=string.hexdigits.lower()[:16], min_size=64, max_size=64))
def test_random_secrets_are_strong_unless_they_are_not_random(value: str) -> None:
    if len(set(value)) > 8 and value[:16] not in value[16:]:
        assert weakness(value) == (False, "")


@given(st.text(max_size=100))
def test_any_text_can_be_held_against_the_rules(value: str) -> None:
    plain, why = weakness(value)
    assert not plain or why


def examined(environ: Mapping[str, str], *entries: Mapping[str, Any]) -> list[Finding]:
    return list(secrets.examined(config([*entries], environ={**ENVIRON, **environ}), NOW))


def test_a_secret_that_two_places_share_is_told() -> None:
    entry = trigger_entry(auth={"scheme": "github", "secret": "env:GH_WEBHOOK_SECRET"})
    assert [each.grade for each in examined({}, entry)] == ["ok", "ok"]
    found = examined({"API_KEY": SECRET}, entry)
    assert found[-1].grade == "warn"
    assert "the same value as trigger" in found[-1].text
    found = examined({"API_KEY": ENVIRON["GH_TOKEN"]})
    assert "the same value as GH_TOKEN" in found[-1].text
    assert not [each for each in found if API_KEY in each.text + each.remedy]


def test_what_the_sender_issues_is_not_held_to_the_rules_of_what_people_make_up() -> None:
    key = "11" * 32
    entry = trigger_entry(auth={"scheme": "discord", "secret": "env:DISCORD"})
    found = examined({"DISCORD": key}, entry)
    assert [each.subject for each in found] == ["API_KEY"]


@pytest.mark.parametrize(
    ("of", "grade", "said"),
    [
        (reply(headers={"x-oauth-scopes": "repo, gist"}), "ok", "scopes gist, repo"),
        (reply(headers={"x-oauth-scopes": ""}), "ok", "scopes (none)"),
        (reply(), "ok", "fine-grained"),
        (reply(404), "ok", "GitHub takes it"),
        (reply(401, body=b'{"message": "Bad credentials"}'), "fail", "wrong, expired or revoked"),
        (reply(503), "warn", "cannot be told"),
        (
            reply(headers={"github-authentication-token-expiration": "2026-03-05 08:00:00 UTC"}),
            "warn",
            "until 2026-03-05, which is in 3 days",
        ),
        (
            reply(headers={"github-authentication-token-expiration": "2026-09-05 08:00:00 -0700"}),
            "ok",
            "until 2026-09-05",
        ),
        (reply(headers={"github-authentication-token-expiration": "soon"}), "ok", "takes it"),
    ],
)
def test_a_token_is_good_or_not_and_for_how_long(of: Reply, grade: str, said: str) -> None:
    found = access.token(CREDENTIAL, answer(of), T0)
    assert found.grade == grade
    assert said in found.text


@pytest.mark.parametrize(
    ("late", "grade", "said"),
    [
        (0.0, "ok", "agrees"),
        (0.9, "ok", "agrees"),
        (5.9, "ok", "agrees"),
        (-4.0, "ok", "agrees"),
        (20.0, "warn", "19 s ahead of"),
        (-20.0, "warn", "20 s behind"),
        (-3600.0, "fail", "60 minutes behind"),
        (40 * 86400.0, "fail", "960 hours ahead of"),
    ],
)
def test_the_clock_is_held_against_githubs(late: float, grade: str, said: str) -> None:
    found = access.clock(CREDENTIAL, answer(reply(), late=late))
    assert found.grade == grade
    assert said in found.text


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 99 Mar 2026 12:00:00 GMT"])
def test_an_answer_without_a_time_says_nothing_of_the_clock(date: str) -> None:
    assert access.clock(CREDENTIAL, answer(reply(headers={"date": date}))).grade == "warn"


@pytest.mark.parametrize(
    ("left", "used", "grade", "said"),
    [
        (4000, None, "ok", "4,000 of 5,000 requests are left until 12:30Z; ours is 1 a second"),
        (400, None, "warn", "400 of 5,000"),
        (0, None, "fail", "0 of 5,000"),
        (None, None, "ok", "names no limit"),
        (4000, Used(12, "", ""), "ok", "500 an hour, 12 of them used"),
        (4000, Used(460, "", ""), "warn", "460 of them used"),
        (4000, Used(1, "2026-03-01T13:00:00Z", ""), "warn", "wait until 2026-03-01T13:00:00Z"),
    ],
)
def test_what_is_left_of_the_rate_is_told(
    left: int | None, used: Used | None, grade: str, said: str
) -> None:
    found = access.rate(CREDENTIAL, answer(reply(left=left)), used)
    assert found.grade == grade
    assert said in found.text


def test_what_does_not_answer_as_github_is_told() -> None:
    portal = replace(reply(), headers={})
    found = access.reached(CREDENTIAL, answer(portal), "http://proxy.example:3128")
    assert found.grade == "warn"
    assert "through the proxy proxy.example:3128, but not as GitHub does" in found.text


CLASSIC = Rights(TOLD, frozenset({"repo"}), None, {})
FINE = Rights(TOLD, None, None, {})
APP = Rights(TOLD, None, {"contents": "read", "actions": "write"}, {})
PUBLIC = replace(CLASSIC, scopes=frozenset({"public_repo"}))


@pytest.mark.parametrize(
    ("known", "right", "grade", "said"),
    [
        (CLASSIC, WRITE_CONTENTS, "ok", "scopes (repo) have it"),
        (PUBLIC, WRITE_CONTENTS, "fail", "scopes are public_repo"),
        (replace(PUBLIC, told=replace(TOLD, public=True)), WRITE_CONTENTS, "ok", "public_repo"),
        (replace(CLASSIC, scopes=frozenset()), WRITE_CONTENTS, "fail", "scopes are none"),
        (replace(CLASSIC, told=replace(TOLD, may={"push": False})), WRITE_CONTENTS, "fail",
         "may not push"),
        (APP, WRITE_CONTENTS, "fail", "the App's token has contents: read"),
        (APP, WRITE_ACTIONS, "ok", "GitHub says so"),
        (replace(APP, permissions={"actions": "read"}), WRITE_CONTENTS, "fail", "nothing"),
        (replace(FINE, probes={WRITE_CONTENTS: reply(422)}), WRITE_CONTENTS, "ok",
         "as far as is known"),
        (replace(FINE, probes={WRITE_CONTENTS: reply(
            403, {"x-accepted-github-permissions": "contents=write"}, REFUSED)}),
         WRITE_CONTENTS, "fail", "(GitHub names what it takes: contents=write)"),
        (replace(FINE, probes={WRITE_CONTENTS: reply(404)}), WRITE_CONTENTS, "fail", "no contents"),
        (replace(FINE, probes={WRITE_CONTENTS: reply(502)}), WRITE_CONTENTS, "warn",
         "cannot be told"),
        (FINE, WRITE_CONTENTS, "warn", "could not be found out"),
        (replace(FINE, probes={READ_ACTIONS: reply()}), READ_ACTIONS, "ok", "can be listed"),
        (replace(APP, probes={READ_ACTIONS: reply(403, body=REFUSED)}), READ_ACTIONS, "fail",
         "needs 'actions: read'"),
        (FINE, READ_ACTIONS, "fail", "did not answer"),
    ],
)  # fmt: skip
def test_rights_are_known_or_said_to_be_doubtful(
    known: Rights, right: str, grade: str, said: str
) -> None:
    (found,) = access.rights("octo/site", {right}, known, T0)
    assert (found.grade, found.subject) == (grade, "octo/site")
    assert said in found.text


def test_nothing_is_tried_out_where_github_says_it_or_the_scopes_do() -> None:
    assert access.to_be_probed(FINE)
    assert not access.to_be_probed(CLASSIC)
    assert not access.to_be_probed(APP)


def test_every_question_is_one_of_githubs_operations() -> None:
    asked = [
        repository_question("octo/site"),
        actions_question("octo/site"),
        workflows_question("octo/site", 1),
        files_question("octo/site"),
        file_question("octo/site", ".github/workflows/a b.yml"),
        access.dispatch_probe("octo/site"),
        access.start_probe("octo/site", "a.yml"),
        *access.ref_questions("octo/site", "main"),
        *access.ref_questions("octo/site", "refs/heads/feature/x"),
    ]
    operations = [operation_of(each.method, each.path.partition("?")[0]) for each in asked]
    assert len(set(operations)) == 7  # a directory and a file are one, and so are all refs
    limits = access.limits_question()
    assert operation_of(limits.method, limits.path) == "GET /rate_limit"


@pytest.mark.parametrize(
    "probe", [access.dispatch_probe("octo/site"), access.start_probe("octo/site", "a.yml")]
)
def test_what_is_sent_in_vain_can_start_nothing(probe: Question) -> None:
    """GitHub's own description requires what it lacks."""
    with pytest.raises(jsonschema.ValidationError, match="is a required property"):
        check_request(operation_of(probe.method, probe.path), {})
    assert probe.body == b"{}"


def listeners(*workflows: Any) -> Listeners:
    return Listeners("octo-org/octo-repo", "main", False, False, None, workflows, (), T0)


def sending(*entries: Mapping[str, Any]) -> list[listening.Sent]:
    return list(listening.sent(config(crons=[*entries])))


def test_each_kind_of_dispatch_is_told_once_with_those_who_send_it() -> None:
    templated = {
        "event_type": "{{ firing.catch_up ? 'late' : 'nightly' }}",
        "event_types": ["late", "nightly"],
    }
    sent = sending(
        cron_entry("a"),
        cron_entry("b", dispatch=templated),
        cron_entry("c", dispatch={"event_type": "nightly", "repository": "octo/other"}),
        cron_entry("off", dispatch={"event_type": "off"}, enabled=False),
    )
    names = {each.name: each.entries for each in sent}
    assert names == {
        "octo-org/octo-repo: nightly": ("a", "b"),
        "octo-org/octo-repo: late": ("b",),
        "octo/other: nightly": ("c",),
    }
    assert all(each.rights == {WRITE_CONTENTS, READ_ACTIONS} for each in sent)


def test_a_listener_that_hides_the_id_is_given_the_line_to_add() -> None:
    (one,) = sending(cron_entry())
    hiding = workflow("night.yml", on("nightly"), "It's ${{ github.ref }}")
    heard, shown = listening.heard(one, listeners(hiding))
    assert (heard.grade, shown.grade, shown.check) == ("ok", "warn", "run-name")
    line = "run-name: 'It''s ${{ github.ref }} [${{ github.event.client_payload.dispatchd.id }}]'"
    assert shown.remedy.endswith(line)
    mended = replace(hiding, shows_id=True)
    assert [each.grade for each in listening.heard(one, listeners(mended))] == ["ok", "ok"]
    (alone,) = sending(cron_entry(dispatch={"event_type": "nightly", "inject_metadata": False}))
    assert [each.check for each in listening.heard(alone, listeners(hiding))] == ["listener"]


def test_a_dispatch_that_nobody_hears_is_a_failure_with_the_diagnosis() -> None:
    (one,) = sending(cron_entry())
    (found,) = listening.heard(one, listeners(workflow("a.yml", on("Nightly"))))
    assert (found.check, found.grade) == ("listener", "fail")
    assert "Did you mean 'Nightly' (a.yml)?" in found.text


def test_the_workflow_of_which_a_run_is_expected_has_to_listen() -> None:
    def expecting(run: Any) -> listening.Sent:
        (one,) = sending(cron_entry(dispatch={"event_type": "nightly", "expect_run": run}))
        return one

    there = listeners(workflow("a.yml", on("nightly")), workflow("b.yml", on("deploy")))
    assert next(listening.heard(expecting({"workflow": "a.yml"}), there)).grade == "ok"
    other = next(listening.heard(expecting({"workflow": "b.yml"}), there))
    assert (other.grade, "What listens is: a.yml" in other.text) == ("fail", True)
    (none,) = listening.heard(expecting(False), listeners())
    assert (none.grade, none.text) == ("ok", "sent by cron, who expects no run of it")


def test_inputs_that_the_workflow_does_not_declare_are_a_failure() -> None:
    by_name = {
        "via": "workflow_dispatch",
        "workflow": "a.yml",
        "ref": "main",
        "inputs": {"target": "live", "extra": "x"},
    }
    (one,) = sending(cron_entry(dispatch=by_name))
    assert one.rights == {WRITE_ACTIONS, READ_ACTIONS}
    started = workflow("a.yml", '{"workflow_dispatch": {"inputs": {"target": {}}}}')
    found = {each.check: each for each in listening.heard(one, listeners(started))}
    assert found["inputs"].grade == "fail"
    assert "no input dispatchd, extra" in found["inputs"].text
    assert "inject_metadata" in found["inputs"].remedy
    assert "[${{ inputs.dispatchd }}]" in found["run-name"].remedy


@pytest.mark.parametrize(
    ("found", "running", "grades", "said"),
    [
        (Database("/d"), False, ["ok"], "read and written"),
        (Database("/d"), True, [], ""),
        (Database("/d", exists=False), False, ["ok"], "can be made"),
        (Database("/d", lasting=False), False, ["warn"], "in memory"),
        (Database("/d", held_by="another dispatchd (pid 7)"), False, ["warn"], "pid 7"),
        (Database("/d", held_by="another dispatchd (pid 7)"), True, ["ok"], "daemon uses it"),
        (Database("/d", fault="it is damaged"), False, ["fail"], "damaged"),
        (Database("/d", fault="/d cannot be read"), True, [], ""),
        (Database("/d", room=1 << 20), False, ["ok", "warn"], "1 MB left"),
        (Database("/d", open_to_all=True), True, ["warn"], "every user"),
    ],
)
def test_a_database_can_be_used_or_not(
    found: Database, running: bool, grades: list[str], said: str
) -> None:
    told = list(surroundings.database(found, running=running))
    assert [each.grade for each in told] == grades
    assert said in "".join(each.text for each in told)


@pytest.mark.parametrize(
    ("zones", "grade", "said"),
    [
        (Zones("/usr/share/zoneinfo", "2026a", "2025b"), "ok", "release 2026a"),
        (Zones("/usr/share/zoneinfo", "2025b", "2025b"), "ok", "release 2025b"),
        (Zones("/usr/share/zoneinfo", "2025b", "2026a"), "warn", "is newer, 2026a"),
        (Zones("/usr/share/zoneinfo", "2024a", "2024a"), "warn", "is old"),
        (Zones("/usr/share/zoneinfo", "", ""), "ok", "does not say"),
        (Zones("", "", "2026a"), "ok", "2026a"),
        (Zones("", "", "2019c"), "warn", "is old"),
        (Zones("", "", ""), "fail", "there is none"),
    ],
)
def test_time_zone_data_is_current_or_not(zones: Zones, grade: str, said: str) -> None:
    found = surroundings.time_zones(zones, T0)
    assert found.grade == grade
    assert said in found.text


def test_the_daemon_tells_of_itself() -> None:
    from daemon import __version__

    status: dict[str, Any] = {
        "version": __version__,
        "ready": True,
        "credentials": [{"name": "acme", "refused": "GitHub answered 401"}],
        "pauses": [{"entry": "nightly", "by": "ann", "since": "2026-03-01T00:00:00Z"}],
    }
    grades = [each.grade for each in surroundings.daemon(status, "")]
    assert grades == ["ok", "fail", "warn"]
    (other, *_) = surroundings.daemon({**status, "version": "0.0.1"}, "")
    assert (other.grade, "restart" in other.remedy) == ("warn", True)
    (stuck, *_) = surroundings.daemon({**status, "ready": False}, "")
    assert stuck.grade == "fail"
    (absent,) = surroundings.daemon(None, "no daemon answers: …")
    assert (absent.grade, absent.text) == ("warn", "no daemon answers: …")


def with_url(url: str, **keys: Any) -> Config:
    return config([trigger_entry(**keys)], settings={"public_url": url})


@pytest.mark.parametrize(
    ("url", "grade"),
    [
        ("https://hooks.example.com", "ok"),
        ("http://hooks.example.com", "warn"),
        ("http://127.0.0.1:8080", "warn"),
    ],
)
def test_the_public_address_is_safe_or_not(url: str, grade: str) -> None:
    signed = {"scheme": "github", "secret": "env:GH_WEBHOOK_SECRET"}
    assert [each.grade for each in surroundings.public_url(with_url(url, auth=signed))] == [grade]


def test_a_trigger_that_is_open_to_all_is_told() -> None:
    found = list(surroundings.public_url(config([trigger_entry("open")])))
    assert [(each.subject, each.grade) for each in found] == [("open", "warn")]
    known = config([trigger_entry(allow_from=["10.0.0.0/8"])])
    assert list(surroundings.public_url(known)) == []


def test_the_report_counts_and_lists() -> None:
    found = report([ok("a", "x", "fine"), warn("b", "y", "hm"), fail("c", "z", "no", "mend it")])
    assert (found["healthy"], found["ok"], found["warn"], found["fail"]) == (False, 1, 1, 1)
    assert found["checks"][2] == {
        "check": "c",
        "subject": "z",
        "result": "fail",
        "text": "no",
        "remedy": "mend it",
    }
    assert report([warn("b", "y", "hm")])["healthy"] is True


def test_an_app_is_called_one() -> None:
    app = replace(CREDENTIAL, key=AppKey("7", Secret("pem", "file:/key")))
    assert "a GitHub App's" in access.token(app, answer(reply()), T0).text
