"""What a schema forbids is told once, in its place, in words that help, and without the value."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.document import Document, read_yaml
from daemon.schemas import Name, check

DISPATCH = {"event_type": "build"}
CRON = {"name": "a", "schedule": "@daily", "dispatch": DISPATCH}
TRIGGER = {"name": "a", "path": "/a", "auth": {"scheme": "none"}, "dispatch": DISPATCH}


def faults(name: Name, data: Any) -> list[str]:
    """What is said against the data, written as JSON on one line, without the line."""
    text = json.dumps(data)
    return [str(fault).removeprefix("F:1:") for fault in check(Document("F", text, data), name)]


def cron_faults(**changes: Any) -> list[str]:
    """What is said against a cron entry, without its place in the file."""
    return [fault.partition(" ")[2] for fault in faults("crons", [{**CRON, **changes}])]


def trigger_faults(**changes: Any) -> list[str]:
    return [fault.partition(" ")[2] for fault in faults("triggers", [{**TRIGGER, **changes}])]


@pytest.mark.parametrize("data", [[], [CRON], {"crons": []}, {"crons": [CRON], "defaults": {}}])
def test_both_forms_of_a_file_are_valid(data: Any) -> None:
    assert faults("crons", data) == []


def test_defaults_stand_in_for_what_an_entry_would_need() -> None:
    defaults = {"schedule": "@daily", "dispatch": DISPATCH}
    assert faults("crons", {"defaults": defaults, "crons": [{"name": "a"}]}) == []
    [said] = faults("crons", {"defaults": {"schedule": "@daily"}, "crons": [{"name": "a"}]})
    assert 'crons[0]: missing key "dispatch"' in said


def test_defaults_hold_neither_name_nor_auth() -> None:
    said = faults("triggers", {"defaults": {"name": "a", "auth": {}}, "triggers": []})
    why = "must be left out of the defaults: each entry has its own"
    assert said == [f"15: defaults.name: {why}", f"28: defaults.auth: {why}"]


def test_an_entry_says_in_one_way_when_it_fires() -> None:
    every = {"name": "a", "every": "6h", "dispatch": DISPATCH}
    assert faults("crons", [every]) == []
    said = cron_faults(every="6h")
    assert said == ['crons[0]: "schedule" and "every" exclude each other (keep one of them)']
    [missing] = faults("crons", [{"name": "a", "dispatch": DISPATCH}])
    assert 'missing key "schedule", "every" or "at"' in missing


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shedule": "x"}, 'crons[0].shedule: unknown key "shedule" (did you mean "schedule"?)'),
        ({"Timezone": "x"}, 'crons[0].Timezone: unknown key "Timezone" (did you mean "timezone"?)'),
        ({"colour": 1}, 'crons[0].colour: unknown key "colour" (allowed here: name, description,'
         " enabled, schedule, every, offset, at, timezone, start_at, end_at, exclude, jitter,"
         " catch_up, max_lateness, catch_up_limit, overlap, alert_after, on_failure,"
         " on_missing, dispatch)"),
        ({"timezone": 1}, 'crons[0].timezone: must be a string, not a number (such as'
         ' "Europe/Berlin")'),
        ({"enabled": "no"}, "crons[0].enabled: must be true or false, not a string"),
        ({"name": "x" * 134}, "crons[0].name: 134 characters, 34 more than the 100 allowed"),
        ({"schedule": ""}, 'crons[0].schedule: must not be empty (such as "0 3 * * *")'),
        ({"schedule": None}, 'crons[0].schedule: must be a string, not null (such as "0 3 * * *")'),
        ({"jitter": "0s"}, "crons[0].jitter: must be a duration: a whole number and s, m, h or d"
         ' (such as "5m")'),
        ({"start_at": "2030-01-01"}, "crons[0].start_at: must be an instant of RFC 3339, with its"
         ' offset (such as "2030-01-01T00:00:00Z")'),
        ({"exclude": "2030-12-25"}, "crons[0].exclude: must be an array, not a string (such as"
         ' ["2030-12-24/2030-12-26", "* * * * SAT,SUN"])'),
        ({"dispatch": "build"}, "crons[0].dispatch: must be an object or an array, not a string"
         ' (such as {"event_type": "wat-factory", "client_payload": {"system": "web-scraper"}})'),
        ({"dispatch": ["build"]}, "crons[0].dispatch[0]: must be an object, not a string"),
        ({"dispatch": [[DISPATCH]]}, "crons[0].dispatch[0]: must be an object, not an array"),
        ({"dispatch": {}}, 'crons[0].dispatch: missing key "event_type" (such as "event_type":'
         ' "wat-factory")'),
        ({"dispatch": {"event_type": "x" * 101}}, "crons[0].dispatch.event_type: 101 characters,"
         " 1 more than the 100 allowed"),
        ({"dispatch": {**DISPATCH, "repository": "acme/.."}}, "crons[0].dispatch.repository: must"
         ' be a repository as owner/name (such as "acme/site")'),
        ({"dispatch": {**DISPATCH, "send_within": "2h30m"}}, "crons[0].dispatch.send_within: must"
         ' be a duration: a whole number and s, m, h or d (such as "2h")'),
        ({"dispatch": {**DISPATCH, "event_types": ["a", "a"]}}, "crons[0].dispatch.event_types:"
         " holds the same value twice"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_cron_is_told_once_with_its_cure(changes: Any, said: str) -> None:
    assert cron_faults(**changes) == [said]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "a"}, "triggers[0].path: must be a path that begins with / and holds no space,"
         ' ? or # (such as "/github/webhook")'),
        ({"methods": ["post"]}, 'triggers[0].methods[0]: must be "GET", "POST", "PUT", "PATCH" or'
         ' "DELETE" (did you mean "POST"?)'),
        ({"max_body": 26214401}, "triggers[0].max_body: must be at most 26214400: this is 1 more"),
        ({"max_body": "5 MB"}, "triggers[0].max_body: must be a size: a number of bytes, or text"
         ' with B, KiB or MiB (such as "1 MiB")'),
        ({"max_body": 1.5}, "triggers[0].max_body: must be a whole number or a string, not a"
         ' fraction (such as "1 MiB")'),
        ({"variables": {"1a": "x"}}, "triggers[0].variables.1a: must be an identifier: letters,"
         " digits and _, no digit first"),
        ({"variables": {"a": 5}}, "triggers[0].variables.a: must be a string, not a number"),
        ({"dedupe": True}, "triggers[0].dedupe: must be false or an object"),
        ({"response": {"status": 99}}, "triggers[0].response.status: must be at least 200"),
        ({"response": {"content_type": "text/plain\nx: y"}}, "triggers[0].response.content_type:"
         ' must be a media type (such as "text/plain; charset=utf-8")'),
        ({"auth": {}}, 'triggers[0].auth: missing key "scheme" (such as "scheme": "github")'),
        ({"auth": {"scheme": "githb"}}, "triggers[0].auth.scheme: must be a scheme that"
         ' `dispatchd schemes` lists (did you mean "github"?)'),
        ({"auth": {"scheme": "github"}}, 'triggers[0].auth: missing key "secret" (such as'
         ' "secret": "env:GH_WEBHOOK_SECRET")'),
        ({"auth": {"scheme": "hmac", "secret": "env:A"}}, 'triggers[0].auth: missing key "header"'
         ' (such as "header": "x-signature")'),
        ({"auth": {"scheme": "hmac", "secret": "env:A", "haeder": "x"}}, "triggers[0].auth.haeder:"
         ' unknown key "haeder" (did you mean "header"?)'),
        ({"auth": {"scheme": "token", "secret": "env:A"}}, 'triggers[0].auth: missing key "header"'
         ' or "query" (such as "header": "x-signature")'),
        ({"auth": {"scheme": "token", "secret": "env:A", "header": "a", "query": "b"}},
         'triggers[0].auth: "header" and "query" exclude each other (keep one of them)'),
        ({"auth": {"scheme": "bearer", "secret": "env:A", "username": "a"}},
         "triggers[0].auth.username: must be left out with this scheme"),
        ({"auth": {"scheme": "none", "secret": "env:A"}},
         "triggers[0].auth.secret: must be left out with this scheme"),
        ({"auth": {"scheme": "github", "secret": "env:A", "verify_token": "env:B"}},
         "triggers[0].auth.verify_token: must be left out with this scheme"),
        ({"auth": {"scheme": "stripe", "secret": "env:A", "username": "a"}},
         "triggers[0].auth.username: must be left out with this scheme"),
        ({"auth": {"scheme": "sns"}}, 'triggers[0].auth: missing key "topic_arn" (such as'
         ' "topic_arn": "arn:aws:sns:eu-central-1:123456789012:builds")'),
        ({"auth": {"scheme": "stripe", "secret": "env:A", "delivery_field": "a..b"}},
         "triggers[0].auth.delivery_field: must be the body's keys joined by dots (such as"
         ' "event.id")'),
        ({"auth": {"scheme": "bearer", "secret": ["env:A", 5]}}, "triggers[0].auth.secret[1]: must"
         ' be a string, not a number (such as "env:GH_WEBHOOK_SECRET")'),
        ({"auth": {"scheme": "bearer", "secret": []}}, "triggers[0].auth.secret: must not be empty"
         ' (such as "env:GH_WEBHOOK_SECRET")'),
        ({"auth": {"scheme": "stripe", "secret": "STRIPE_WEBHOOK_SECRET"}},
         "triggers[0].auth.secret: must be a reference to a secret, never the secret itself"
         " (did you mean env:STRIPE_WEBHOOK_SECRET?)"),
        ({"auth": {"scheme": "stripe", "secret": ["$HOOK_1", ]}}, "triggers[0].auth.secret[0]: must"
         " be a reference to a secret, never the secret itself (did you mean env:HOOK_1?)"),
        ({"auth": {"scheme": "stripe", "secret": "${HOOK_1}"}}, "triggers[0].auth.secret: must"
         " be a reference to a secret, never the secret itself (did you mean env:HOOK_1?)"),
        ({"send_within": "2h"}, 'triggers[0].send_within: unknown key "send_within" (it belongs in'
         " `dispatch`)"),
        ({"secret": "env:A"}, 'triggers[0].secret: unknown key "secret" (it belongs in `auth`)'),
        ({"window": "2h"}, 'triggers[0].window: unknown key "window" (it belongs in `dedupe` or'
         " `coalesce`)"),
        ({"dispatch": {**DISPATCH, "when": "true"}}, 'triggers[0].dispatch.when: unknown key'
         ' "when" (it belongs beside `dispatch`)'),
        ({"dispatch": [{**DISPATCH, "coalesce": {}}]}, "triggers[0].dispatch[0].coalesce: unknown"
         ' key "coalesce" (it belongs beside `dispatch`)'),
        ({"dispatch": {}, "event_type": "x"}, 'triggers[0].event_type: unknown key "event_type" (it'
         " belongs in `dispatch`)"),
        ({"auth": {"scheme": "bearer", "secret": "env:A\n"}}, "triggers[0].auth.secret: must be a"
         ' reference to a secret, never the secret itself (such as "env:GH_WEBHOOK_SECRET")'),
    ],
)  # fmt: skip
def test_a_mistake_in_a_trigger_is_told_once_with_its_cure(changes: Any, said: str) -> None:
    assert trigger_faults(**changes) == [said]


@pytest.mark.parametrize(
    "secret", ["PASSWORD", "sk_live_51ABC", "Stripe_Secret", "S3CRET-", "_A", "A__", "AKIA12345678"]
)
def test_what_may_be_a_secret_is_not_taken_for_a_variables_name(secret: str) -> None:
    (said,) = trigger_faults(auth={"scheme": "stripe", "secret": secret})
    assert secret not in said
    assert said.endswith('(such as "env:GH_WEBHOOK_SECRET")')


def test_a_dispatch_that_is_spread_over_its_entry_is_not_missing_too() -> None:
    said = faults("crons", [{"name": "a", "schedule": "@daily", "event_type": "x"}])
    assert said == ['38: crons[0].event_type: unknown key "event_type" (it belongs in `dispatch`)']


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("crons", 5, "1: must be an array or an object, not a number"),
        ("crons", [5], "2: crons[0]: must be an object, not a number"),
        ("crons", {}, '1: missing key "crons"'),
        ("crons", {"cron": []}, '2: cron: unknown key "cron" (did you mean "crons"?)'),
        ("crons", {"crons": {}}, "11: crons: must be an array, not an object"),
        ("crons", {"crons": [CRON], "defaults": [1]}, "99: defaults: must be an object, not an"
         ' array (such as {"enabled": false})'),
        ("triggers", {"defaults": {"path": "/a", "dispach": {}},
                      "triggers": [{"name": "a", "auth": {"scheme": "none"}}] * 3},
         '29: defaults.dispach: unknown key "dispach" (did you mean "dispatch"?)'),
        ("crons", {"crons": [], "dispatch": {}}, '15: dispatch: unknown key "dispatch" (allowed'
         " here: $schema, defaults, crons)"),
        ("daemon", {"gh_token": "GH_TOKEN"}, "14: gh_token: must be a reference to a secret, never"
         " the secret itself (did you mean env:GH_TOKEN?)"),
        ("daemon", [], "1: must be an object, not an array"),
        ("daemon", {"GH_REPO": "a"}, '2: GH_REPO: unknown key "GH_REPO" (did you mean "gh_repo"?)'),
        ("daemon", {"gh_writes_per_hour": -1}, "24: gh_writes_per_hour: must be at least 0"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_whole_is_told_once(name: Name, data: Any, said: str) -> None:
    assert faults(name, data) == [said]


def test_faults_come_in_the_order_of_the_text_from_every_entry() -> None:
    text = '[\n  {"name": 5,\n   "schedul": "x"},\n  {}\n]'
    places = [
        (fault.line, fault.column, fault.path)
        for fault in check(Document("F", text, json.loads(text)), "crons")
    ]
    assert places == [
        (2, 3, "crons[0]"),
        (2, 12, "crons[0].name"),
        (3, 4, "crons[0].schedul"),
        *[(4, 3, "crons[1]")] * 3,
    ]


def test_a_template_may_be_longer_than_what_it_makes() -> None:
    long = "{{ " + "body.environment" * 10 + " }}"
    assert cron_faults(dispatch={"event_type": long, "event_types": ["a"]}) == []


@pytest.mark.parametrize(
    "older",
    [
        {"name": "Daily check", "schedule": "@daily", "job": "Check"},
        {"name": "Daily check", "schedule": "@daily", "type": "agent", "job": "Check"},
        {"name": "ping", "schedule": "@daily", "type": "command", "command": "echo pong"},
        {"name": "p", "schedule": "@daily", "type": "http", "url": "https://a.b", "method": "GET"},
    ],
)
def test_older_crons_pass_the_schema(older: Any) -> None:
    assert faults("crons", [older]) == []


def test_older_triggers_pass_the_schema_without_auth() -> None:
    actions = [{"job": "a"}, {"type": "agent", "job": "b"}, {"type": "command", "command": "ls"}]
    assert faults("triggers", [{"name": "A b", "watch_path": "/x", "actions": actions}]) == []
    [said] = faults("triggers", [{"name": "a", "watch_path": "/x", "actions": [{}]}])
    assert 'triggers[0].actions[0]: missing key "job"' in said


# What looks like the name of a variable is taken for one, and named as that.
SECRETS = st.from_regex(r"[A-Za-z0-9+/=_!@-]{12,40}", fullmatch=True).filter(
    lambda secret: not re.fullmatch(r"[A-Z0-9_]+", secret) or sum(map(str.isdigit, secret)) > 8
)


@given(SECRETS)
@example("A000000000_0")
def test_no_fault_repeats_a_secret_wherever_it_was_pasted(secret: str) -> None:
    auth = {"scheme": secret, "secret": [secret, {"value": secret}], "header": secret + " x"}
    entries = [
        {"name": {"x": secret}, "path": secret, "auth": auth, "when": [secret]},
        {"name": "a", "path": "/a", "auth": secret, "methods": [secret], "dispatch": secret},
        {"name": "a", "path": "/a", "auth": {"scheme": "token", "secret": secret}},
    ]
    settings = {"gh_token": secret, "api_key": [secret], "gh_api_url": secret, "retention": secret}
    said = [*faults("triggers", entries), *faults("daemon", settings)]
    assert len(said) > 12
    assert secret not in "".join(said)


def test_yaml_is_checked_with_its_places(tmp_path: Path) -> None:
    path = tmp_path / "DAEMON.yaml"
    path.write_text("gh_owner: acme\ngh_tokn: env:GH_TOKEN\nretention: 30\n")
    assert [str(fault) for fault in check(read_yaml(path, "D"), "daemon")] == [
        'D:2:1: gh_tokn: unknown key "gh_tokn" (did you mean "gh_token"?)',
        'D:3:12: retention: must be a string, not a number (such as "90d")',
    ]
