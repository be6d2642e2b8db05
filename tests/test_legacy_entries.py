"""Entries of the older event handler: they load, mean the same, and tell what to write instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.config import Secrets, load
from daemon.config.legacy import literal, modern_template, slug
from daemon.errors import ConfigError, ExpressionError
from daemon.event import Delivery, Event, Firing
from daemon.expressions import JSON, Bindings, Vocabulary
from daemon.judge import judge_delivery, judge_firing
from daemon.secret import Secret
from daemon.signatures import Request, parse
from daemon.spec import Config, TriggerSpec

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SECRET = "0123456789abcdef0123456789abcdef"
ENVIRON = {"GH_REPO": "acme/site", "API_KEY": SECRET, "GH_WEBHOOK_SECRET": SECRET[::-1]}
DISPATCH = {"dispatch": {"event_type": "build"}}
VALUES: dict[str, Any] = {
    "body": {},
    "headers": {},
    "query": {},
    "method": "POST",
    "event.id": "evt_1",
    "event.received_at": NOW,
    "event.trigger": "t",
    "event.client_ip": "192.0.2.1",
}


def read(directory: Path, *, crons: Any = None, triggers: Any = None) -> Config:
    (directory / "CRONS.json").write_text(json.dumps(crons or []), encoding="utf-8")
    (directory / "TRIGGERS.json").write_text(json.dumps(triggers or []), encoding="utf-8")
    return load(directory, ENVIRON)


def older_trigger(job: str, path: str = "/hook", **keys: Any) -> dict[str, Any]:
    actions = [{"type": "agent", "job": job}]
    return {"name": "t", "watch_path": path, "actions": actions} | keys


def written_instead(warning: str) -> Any:
    """The entry that a warning tells to write."""
    return json.loads(warning.partition("write instead: ")[2].removesuffix(")"))


def payloads(
    trigger: TriggerSpec, body: JSON, headers: Mapping[str, str], query: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What the trigger sends for such a delivery, without our metadata."""
    delivery = Delivery(
        route=trigger.path,
        method="POST",
        path=trigger.path,
        headers=headers,
        query=query,
        params={},
        body=b"",
        client_ip="192.0.2.1",
        received_at=NOW,
    )
    judgement = judge_delivery(
        Event("evt_1", delivery), delivery, body, [trigger], lambda: "dsp_1", by_hand=True
    )[0]
    dispatches = judgement.verdict.dispatches
    assert [dispatch.reason for dispatch in dispatches] == [""] * len(dispatches)
    assert {dispatch.event_type for dispatch in dispatches} == {"wat-factory"}
    sent = [json.loads(dispatch.client_payload) for dispatch in dispatches]
    return [{key: each[key] for key in each if key != "dispatchd"} for each in sent]


class TestCrons:
    @pytest.mark.parametrize("kind", [{"type": "agent"}, {}])
    def test_an_agent_job_is_a_dispatch_of_its_text(
        self, tmp_path: Path, kind: dict[str, str]
    ) -> None:
        """The text was never a template there, so its braces stay."""
        entry = {"name": "tidy", "schedule": "@daily", "job": "Tidy {{body}} up"} | kind
        config = read(tmp_path, crons=[entry])
        firing = Firing("tidy", NOW, NOW)
        verdict = judge_firing(Event("evt_1", firing), firing, config.crons[0], lambda: "dsp_1")
        sent = json.loads(verdict.dispatches[0].client_payload)
        assert verdict.dispatches[0].event_type == "wat-factory"
        assert sent["job_id"] == "dsp_1"
        assert sent["job_description"] == "Tidy {{body}} up"

    def test_it_warns_at_its_place_and_shows_the_new_form(self, tmp_path: Path) -> None:
        entry = {"name": "Tidy Up", "schedule": "@daily", "type": "agent", "job": "Tidy"}
        config = read(tmp_path, crons=[entry])
        assert config.crons[0].name == "tidy-up"
        (warning,) = config.warnings
        assert ":1:2: crons[0]: an entry of the older event handler" in warning
        assert written_instead(warning) == {
            "name": "tidy-up",
            "schedule": "@daily",
            "dispatch": {
                "event_type": "wat-factory",
                "client_payload": {"job_id": "{{ dispatch_id }}", "job_description": "Tidy"},
            },
        }

    @pytest.mark.parametrize(
        ("entry", "reason"),
        [
            ({"type": "command", "command": "echo pong"}, "runs no shell"),
            ({"type": "http", "url": "https://example.com"}, "calls only GitHub"),
        ],
    )
    def test_other_types_are_refused_with_the_reason(
        self, tmp_path: Path, entry: dict[str, str], reason: str
    ) -> None:
        base = {"name": "a", "schedule": "@daily"}
        with pytest.raises(ConfigError, match=reason) as caught:
            read(tmp_path, crons=[base | entry])
        assert len(caught.value.faults) == 1
        config = read(tmp_path, crons=[base | entry | {"enabled": False}])
        assert config.crons == ()
        assert reason in config.warnings[0]

    def test_a_job_beside_a_dispatch_is_refused(self, tmp_path: Path) -> None:
        entry = {"name": "a", "schedule": "@daily", "job": "x", "dispatch": {"event_type": "e"}}
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, crons=[entry])
        assert len(caught.value.faults) == 1

    def test_a_job_may_stand_in_the_defaults(self, tmp_path: Path) -> None:
        crons = {"defaults": {"job": "Tidy"}, "crons": [{"name": "a", "schedule": "@daily"}]}
        assert len(read(tmp_path, crons=crons).crons[0].dispatches) == 1

    @pytest.mark.parametrize(
        ("defaults", "own"),
        [
            ({"type": "agent"}, DISPATCH),
            ({"type": "command"}, DISPATCH),
            ({"job": "Tidy"}, DISPATCH),
            ({"type": "agent", "job": "Tidy"}, DISPATCH),
            ({"type": "agent"} | DISPATCH, {}),
        ],
    )
    def test_no_default_makes_an_older_entry_of_one_with_a_dispatch(
        self, tmp_path: Path, defaults: dict[str, Any], own: dict[str, Any]
    ) -> None:
        entry = {"name": "a", "schedule": "@daily"} | own
        config = read(tmp_path, crons={"defaults": defaults, "crons": [entry]})
        assert config.warnings == ()
        assert config.crons[0].dispatches[0].event_type.literal == "build"

    def test_a_type_in_the_defaults_is_one_of_the_entries_with_a_job(self, tmp_path: Path) -> None:
        base = {"name": "a", "schedule": "@daily"}
        for kind, entry in (("agent", {"job": "x"}), ("command", {"command": "echo pong"})):
            crons = {"defaults": {"type": kind}, "crons": [base | entry]}
            if kind == "agent":
                assert (
                    "an entry of the older event handler" in read(tmp_path, crons=crons).warnings[0]
                )
            else:
                with pytest.raises(
                    ConfigError, match=r"defaults\.type: .* runs no shell"
                ) as caught:
                    read(tmp_path, crons=crons)
                assert len(caught.value.faults) == 1

    def test_a_type_in_the_defaults_is_no_dispatch(self, tmp_path: Path) -> None:
        """An entry that sends nothing is refused, not loaded."""
        crons = {"defaults": {"type": "agent"}, "crons": [{"name": "a", "schedule": "@daily"}]}
        with pytest.raises(ConfigError, match='missing key "dispatch"') as caught:
            read(tmp_path, crons=crons)
        assert len(caught.value.faults) == 1

    def test_the_job_of_a_type_may_stand_in_the_defaults(self, tmp_path: Path) -> None:
        entry = {"name": "a", "schedule": "@daily", "type": "agent"}
        for defaults in ({"job": "Tidy"}, {"dispatch": {"event_type": "tidy"}}):
            config = read(tmp_path, crons={"defaults": defaults, "crons": [entry]})
            assert len(config.crons[0].dispatches) == 1

    def test_the_type_agent_beside_a_dispatch_changes_nothing(self, tmp_path: Path) -> None:
        entry = {"name": "a", "schedule": "@daily", "dispatch": {"event_type": "e"}}
        config = read(tmp_path, crons=[entry | {"type": "agent"}])
        assert config.crons[0].dispatches[0].event_type.literal == "e"
        assert written_instead(config.warnings[0]) == entry


class TestTriggers:
    @pytest.mark.parametrize("place", ["entry", "defaults"])
    def test_the_type_agent_may_stand_beside_the_actions(self, tmp_path: Path, place: str) -> None:
        kind = {"type": "agent"}
        triggers: Any = [older_trigger("x") | kind]
        if place == "defaults":
            triggers = {"defaults": kind, "triggers": [older_trigger("x")]}
        config = read(tmp_path, triggers=triggers)
        assert payloads(config.triggers[0], {}, {}, {})[0]["job_description"] == "x"
        assert "type" not in written_instead(config.warnings[0])

    @pytest.mark.parametrize(
        ("kind", "reason"), [("command", "runs no shell"), ("http", "calls only GitHub")]
    )
    @pytest.mark.parametrize("entry", [older_trigger("x"), {"name": "t", "watch_path": "/hook"}])
    def test_another_type_there_is_refused_in_the_words_of_an_action(
        self, tmp_path: Path, kind: str, reason: str, entry: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigError, match=reason) as caught:
            read(tmp_path, triggers=[entry | {"type": kind}])
        (fault,) = caught.value.faults
        assert fault.path == "triggers[0].type"
        with pytest.raises(ConfigError) as within:
            read(tmp_path, triggers=[older_trigger("x", actions=[{"type": kind}])])
        assert (fault.message, fault.hint) == (
            within.value.faults[0].message,
            within.value.faults[0].hint,
        )

    def test_the_type_agent_excuses_no_missing_auth(self, tmp_path: Path) -> None:
        entry = {"name": "t", "path": "/x", "type": "agent", "dispatch": {"event_type": "e"}}
        with pytest.raises(ConfigError, match='missing key "auth"') as caught:
            read(tmp_path, triggers=[entry])
        assert len(caught.value.faults) == 1

    @pytest.mark.parametrize(
        "defaults",
        [{"watch_path": "/older"}, {"actions": [{"job": "x"}]}, {"type": "agent"}],
    )
    def test_no_default_makes_an_older_entry_of_one_in_todays_words(
        self, tmp_path: Path, defaults: dict[str, Any]
    ) -> None:
        """So its templates are strict: a missing field is an error, not nothing."""
        payload = {"who": "{{ body.who }}"}
        entry = {
            "name": "t",
            "path": "/hook",
            "auth": {"scheme": "none"},
            "dispatch": {"event_type": "e", "client_payload": payload},
        }
        config = read(tmp_path, triggers={"defaults": defaults, "triggers": [entry]})
        assert config.warnings == ()
        assert config.triggers[0].path == "/hook"
        with pytest.raises(ExpressionError):
            config.triggers[0].dispatches[0].client_payload.render(Bindings(VALUES))

    @pytest.mark.parametrize("shared", [True, False])
    def test_the_dispatch_of_an_entry_with_an_older_path_is_strict(
        self, tmp_path: Path, shared: bool
    ) -> None:
        """What it is told to write instead means the same."""
        path = {"watch_path": "/hook"}
        dispatch = {"event_type": "e", "client_payload": {"who": "{{ body.who }}"}}
        entry = {"name": "t", "auth": {"scheme": "none"}, "dispatch": dispatch}
        triggers: Any = {"defaults": path, "triggers": [entry]} if shared else [entry | path]
        config = read(tmp_path, triggers=triggers)
        assert config.triggers[0].path == "/hook"
        with pytest.raises(ExpressionError):
            config.triggers[0].dispatches[0].client_payload.render(Bindings(VALUES))

    @pytest.mark.parametrize(
        ("job", "rendered"),
        [
            ("plain", "plain"),
            ("By {{body.who}}", "By me"),
            ("{{body.who}}", "me"),
            ("{{ body.who }}", "me"),
            ("{{body.n}}", "5"),
            ("{{body.a}}", '{"b":"deep"}'),
            ("{{body.a.b}}!", "deep!"),
            ("{{body.for}}", "x"),
            ("{{body.nope}}", ""),
            ("[{{body.nope.deeper}}]", "[]"),
            ("[{{body.who.deeper}}]", "[]"),
            ("[{{query.page}}{{query.nope}}]", "[2]"),
            ("{{headers.x-github-event}}", "push"),
            ("{{headers.X-GitHub-Event}}{{headers.nope}}", "push"),
            ("{{body.list.1.x}}", "second"),
            ("a {{body.who}} b {{body.who}} c", "a me b me c"),
        ],
    )
    def test_older_templates_mean_the_same(self, tmp_path: Path, job: str, rendered: str) -> None:
        """A missing field renders as nothing, and the description is always a text."""
        body: dict[str, JSON] = {"a": {"b": "deep"}, "n": 5, "who": "me", "for": "x"}
        if "list" in job:
            body["list"] = [{}, {"x": "second"}]
        trigger = read(tmp_path, triggers=[older_trigger(job)]).triggers[0]
        sent = payloads(trigger, body, {"x-github-event": "push"}, {"page": "2"})
        assert sent == [{"job_id": "dsp_1", "job_description": rendered}]

    @pytest.mark.parametrize("body", [{"a": {"b": [1, None]}, "c": "x"}, [1], [], {}])
    @pytest.mark.parametrize("around", ["", "Payload: "])
    def test_the_whole_body_is_written_as_json(
        self, tmp_path: Path, body: JSON, around: str
    ) -> None:
        trigger = read(tmp_path, triggers=[older_trigger(around + "{{body}}")]).triggers[0]
        description = payloads(trigger, body, {}, {})[0]["job_description"]
        assert description.startswith(around)
        assert json.loads(description.removeprefix(around)) == body

    def test_a_body_of_text_stays_as_it_is(self, tmp_path: Path) -> None:
        trigger = read(tmp_path, triggers=[older_trigger("{{body}}")]).triggers[0]
        assert payloads(trigger, "as it is", {}, {})[0]["job_description"] == "as it is"

    @pytest.mark.parametrize("body", [None, "text", [1], {"a": None}, {"a": "b"}])
    def test_no_body_makes_a_dispatch_fail(self, tmp_path: Path, body: JSON) -> None:
        trigger = read(tmp_path, triggers=[older_trigger("[{{body.a.b}}]")]).triggers[0]
        assert payloads(trigger, body, {}, {})[0]["job_description"] == "[]"

    def test_several_actions_are_several_dispatches(self, tmp_path: Path) -> None:
        entry = older_trigger("one") | {
            "actions": [{"job": "one"}, {"type": "agent", "job": "two"}]
        }
        trigger = read(tmp_path, triggers=[entry]).triggers[0]
        sent = payloads(trigger, {}, {}, {})
        assert [each["job_description"] for each in sent] == ["one", "two"]

    def test_a_list_with_an_action_of_another_type_is_refused(self, tmp_path: Path) -> None:
        actions = [{"type": "agent", "job": "x"}, {"type": "command", "command": "rm -r x"}]
        with pytest.raises(ConfigError, match="runs no shell") as caught:
            read(tmp_path, triggers=[older_trigger("x") | {"actions": actions}])
        assert len(caught.value.faults) == 1

    def test_a_template_that_means_nothing_is_refused_where_it_stands(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, triggers=[older_trigger("{{ bodi.x }}")])
        (fault,) = caught.value.faults
        assert fault.path == "triggers[0].actions"
        assert "bodi" in fault.message

    def test_the_key_protects_what_names_no_auth(self, tmp_path: Path) -> None:
        trigger = read(tmp_path, triggers=[older_trigger("x")]).triggers[0]
        assert trigger.auth.scheme == parse({"scheme": "api_key"})
        assert trigger.auth.secrets == (Secret(SECRET, "env:API_KEY"),)

    def test_an_auth_of_its_own_stays(self, tmp_path: Path) -> None:
        trigger = read(tmp_path, triggers=[older_trigger("x", auth={"scheme": "none"})]).triggers[0]
        assert not trigger.auth.scheme.needs_secret

    @pytest.mark.parametrize("header", ["x-hub-signature-256", "x-github-webhook-secret-token"])
    def test_githubs_webhook_takes_the_signature_under_both_headers(
        self, tmp_path: Path, header: str
    ) -> None:
        trigger = read(tmp_path, triggers=[older_trigger("x", "/github/webhook")]).triggers[0]
        secret = trigger.auth.secrets[0]
        assert secret.reference == "env:GH_WEBHOOK_SECRET"
        (signature,) = parse({"scheme": "github"}).sign(b"{}", secret, NOW).values()

        def mismatch(body: bytes) -> object:
            request = Request("POST", "/github/webhook", {header: signature}, {}, body)
            return trigger.auth.scheme.verify(request, trigger.auth.secrets, NOW)

        assert mismatch(b"{}") is None
        assert mismatch(b"[]") is not None

    def test_it_warns_and_what_it_shows_loads_without_a_warning(self, tmp_path: Path) -> None:
        """The new form means the same, with the signature as GitHub sends it today."""
        entries = [
            older_trigger("{{body}}", name="On: Push!"),
            older_trigger("See {{body.a}}, {{headers.x-y}}", "/github/webhook", enabled=False),
        ]
        older = read(tmp_path, triggers=entries)
        assert [trigger.name for trigger in older.triggers] == ["on-push", "t"]
        assert len(older.warnings) == 2
        shown = [written_instead(warning) for warning in older.warnings]
        assert shown[1]["auth"] == {"scheme": "github", "secret": "env:GH_WEBHOOK_SECRET"}
        newer = read(tmp_path, triggers=shown)
        assert newer.warnings == ()
        for before, after in zip(older.triggers, newer.triggers, strict=True):
            assert (before.name, before.path, before.enabled) == (
                after.name,
                after.path,
                after.enabled,
            )
            full: JSON = {"a": "x", "b": [1]}
            assert payloads(before, full, {"x-y": "z"}, {}) == payloads(
                after, full, {"x-y": "z"}, {}
            )

    def test_only_the_path_may_be_older(self, tmp_path: Path) -> None:
        entry = {
            "name": "t",
            "watch_path": "/hook",
            "auth": {"scheme": "none"},
            "dispatch": {"event_type": "e", "client_payload": {"a": "{{ body.a }}"}},
        }
        config = read(tmp_path, triggers=[entry])
        assert config.triggers[0].path == "/hook"
        assert written_instead(config.warnings[0])["path"] == "/hook"

    def test_a_reserved_path_is_told_at_the_older_key(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            read(tmp_path, triggers=[older_trigger("x", "/dispatch")])
        assert [fault.path for fault in caught.value.faults] == ["triggers[0].watch_path"]

    def test_names_that_come_to_the_same_slug_are_refused(self, tmp_path: Path) -> None:
        entries = [older_trigger("x", name="My Hook"), older_trigger("x", name="my hook!")]
        with pytest.raises(ConfigError, match="'my-hook' is taken"):
            read(tmp_path, triggers=entries)

    def test_a_missing_key_is_a_warning_while_disabled(self, tmp_path: Path) -> None:
        (tmp_path / "TRIGGERS.json").write_text(json.dumps([older_trigger("x", enabled=False)]))
        config = load(tmp_path, {"GH_REPO": "acme/site"}, secrets=Secrets.REQUIRED)
        assert any("API_KEY is not set" in warning for warning in config.warnings)


@given(text=st.text(alphabet="{} ab\"'\\", max_size=20))
@example("{{{{ }}")
def test_a_text_that_was_no_template_renders_as_itself(text: str) -> None:
    rendered = Vocabulary.for_cron().template(literal(text)).render(Bindings({"event.id": "x"}))
    assert rendered == text


@given(
    root=st.sampled_from(["body", "query", "headers"]),
    fields=st.lists(st.from_regex(r"[\w-]{1,8}", fullmatch=True), max_size=3),
)
def test_every_older_template_can_be_translated(root: str, fields: list[str]) -> None:
    """Whatever the field is called: a word of CEL's, a number, with dashes, not in ASCII."""
    text = "{{" + ".".join([root, *fields]) + "}}"
    template = Vocabulary.for_trigger().template(modern_template(text), lenient=True)
    assert isinstance(template.render(Bindings(VALUES)), str)


@given(name=st.text(max_size=200))
def test_every_name_has_a_slug(name: str) -> None:
    made = slug(name)
    assert 1 <= len(made) <= 100
    assert slug(made) == made
