"""The three files as one Config: what loads, what is refused, and how that is told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.config import Secrets, load
from daemon.errors import ConfigError
from daemon.expressions import Bindings
from daemon.signatures import parse
from daemon.spec import Auth, Config, DedupeSpec

HOME = {"GH_OWNER": "acme", "GH_REPO": "site"}
LONG_SECRET = "0123456789abcdef0123456789abcdef"

CRON: dict[str, Any] = {
    "name": "nightly",
    "schedule": "0 3 * * *",
    "dispatch": {"event_type": "build"},
}
TRIGGER: dict[str, Any] = {
    "name": "push",
    "path": "/hooks/push",
    "auth": {"scheme": "none"},
    "dispatch": {"event_type": "pushed"},
}


def read(
    directory: Path,
    *,
    crons: Any = None,
    triggers: Any = None,
    yaml: str | None = None,
    environ: Mapping[str, str] = HOME,
    secrets: Secrets = Secrets.REQUIRED,
) -> Config:
    """Writes the files that are given (text as it is, all else as JSON) and loads them."""
    for name, content in (("CRONS.json", crons), ("TRIGGERS.json", triggers)):
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content, indent=1)
            (directory / name).write_text(text, encoding="utf-8")
    if yaml is not None:
        (directory / "DAEMON.yaml").write_text(yaml, encoding="utf-8")
    return load(directory, environ, secrets=secrets)


def faults(directory: Path, **files: Any) -> list[str]:
    """The faults of a config that must not load, without the directory before the file's name."""
    with pytest.raises(ConfigError) as caught:
        read(directory, **files)
    return [str(fault).replace(f"{directory}/", "") for fault in caught.value.faults]


def only_fault(directory: Path, **files: Any) -> str:
    found = faults(directory, **files)
    assert len(found) == 1, found
    return found[0]


class TestEntries:
    def test_a_cron_entry_becomes_a_spec_with_every_default(self, tmp_path: Path) -> None:
        spec = read(tmp_path, crons=[CRON]).crons[0]
        assert (spec.name, spec.description, spec.enabled) == ("nightly", "", True)
        assert (spec.schedule.text, spec.schedule.timezone) == ("0 3 * * *", "UTC")
        dispatch = spec.dispatches[0]
        assert dispatch.event_type.literal == "build"
        assert dispatch.repository == "acme/site"
        assert dispatch.send_within == timedelta(hours=24)
        assert dispatch.inject_metadata

    def test_a_trigger_entry_becomes_a_spec_with_every_default(self, tmp_path: Path) -> None:
        spec = read(tmp_path, triggers=[TRIGGER]).triggers[0]
        assert spec.methods == {"POST"}
        assert spec.max_body == 5 * 1024 * 1024
        assert spec.dedupe == DedupeSpec(None, timedelta(hours=24))
        assert spec.auth == Auth(parse({"scheme": "none"}))
        assert (spec.when, spec.response, spec.variables) == (None, None, ())

    def test_every_key_of_a_trigger_reaches_its_spec(self, tmp_path: Path) -> None:
        entry = TRIGGER | {
            "description": "tells",
            "methods": ["GET", "PUT"],
            "path": "/hooks/{team}",
            "max_body": "1 MiB",
            "variables": {"branch": "body.ref", "main": "variables.branch == 'main'"},
            "when": "variables.main && params.team == 'web'",
            "dedupe": {"key": "body.id", "window": "7d"},
            "response": {"status": 201, "body": {"id": "{{ dispatch_id }}"}},
            "dispatch": [
                {"event_type": "one", "repository": "acme/tools", "send_within": "90s"},
                {"event_type": "two", "client_payload": {"n": 1}, "inject_metadata": False},
            ],
        }
        spec = read(tmp_path, triggers=[entry]).triggers[0]
        assert spec.description == "tells"
        assert spec.methods == {"GET", "PUT"}
        assert spec.max_body == 1024 * 1024
        assert [name for name, _ in spec.variables] == ["branch", "main"]
        assert spec.dedupe is not None
        assert spec.dedupe.key is not None
        assert spec.dedupe.window == timedelta(days=7)
        assert spec.response is not None
        assert (spec.response.status, spec.response.content_type) == (201, "application/json")
        one, two = spec.dispatches
        assert (one.repository, one.send_within) == ("acme/tools", timedelta(seconds=90))
        assert (two.client_payload.root, two.inject_metadata) == ({"n": 1}, False)

    def test_dedupe_false_switches_it_off(self, tmp_path: Path) -> None:
        config = read(tmp_path, triggers=[TRIGGER | {"dedupe": False}])
        assert config.triggers[0].dedupe is None

    def test_a_text_answer_is_plain_text_unless_it_says_otherwise(self, tmp_path: Path) -> None:
        answers = [{"body": "ok"}, {"body": "<ok/>", "content_type": "application/xml"}]
        entries = [
            TRIGGER | {"name": f"t{index}", "response": response}
            for index, response in enumerate(answers)
        ]
        specs = read(tmp_path, triggers=entries).triggers
        assert [spec.response and spec.response.content_type for spec in specs] == [
            "text/plain; charset=utf-8",
            "application/xml",
        ]

    def test_the_object_form_merges_its_defaults_under_each_entry(self, tmp_path: Path) -> None:
        config = read(
            tmp_path,
            crons={
                "defaults": {"timezone": "Europe/Berlin", "dispatch": {"event_type": "usual"}},
                "crons": [
                    {"name": "a", "schedule": "0 4 * * *"},
                    CRON | {"name": "b", "timezone": "UTC"},
                ],
            },
        )
        a, b = config.crons
        assert (a.schedule.timezone, b.schedule.timezone) == ("Europe/Berlin", "UTC")
        assert a.dispatches[0].event_type.literal == "usual"
        assert b.dispatches[0].event_type.literal == "build"

    def test_disabled_entries_are_kept(self, tmp_path: Path) -> None:
        config = read(tmp_path, crons=[CRON | {"enabled": False}])
        assert [spec.enabled for spec in config.crons] == [False]
        assert config.warnings == ()

    def test_an_entry_can_be_looked_up_by_name(self, tmp_path: Path) -> None:
        config = read(tmp_path, crons=[CRON], triggers=[TRIGGER])
        assert config.cron("nightly") is config.crons[0]
        assert config.trigger("push") is config.triggers[0]
        assert config.trigger("nightly") is None


class TestFaults:
    def test_all_faults_of_all_files_come_at_once_in_order(self, tmp_path: Path) -> None:
        found = faults(
            tmp_path,
            crons='[\n{"name": "a", "schedule": "61 * * * *", "dispatch": {"event_type": "e"}}\n]',
            triggers='[\n {"name": "b", "path": "/b", "auth": {"scheme": "none"},\n'
            '  "when": "body.x", "dispatch": {"event_type": "{{ x }}"}, "colour": 1}\n]',
            yaml="gh_write_burst: many\n",
        )
        assert [fault.split(": ")[:2] for fault in found] == [
            ["CRONS.json:2:27", "crons[0].schedule"],
            ["DAEMON.yaml:1:17", "gh_write_burst"],
            ["TRIGGERS.json:3:52", "triggers[0].dispatch.event_type"],
            ["TRIGGERS.json:3:60", "triggers[0].colour"],
        ]

    def test_a_fault_tells_file_line_column_path_and_cure(self, tmp_path: Path) -> None:
        found = only_fault(
            tmp_path, crons='[{"name": "a", "schedul": "@daily", "dispatch": {"event_type": "e"}}]'
        )
        assert found.startswith("CRONS.json:1:16: crons[0].schedul: ")
        assert "schedule" in found

    def test_every_key_that_is_missing_is_told(self, tmp_path: Path) -> None:
        """Though they are missing in one and the same place."""
        found = faults(tmp_path, triggers=[{"name": "a"}])
        missing = [re.search(r'missing key "(\w+)"', fault) for fault in found]
        assert [each and each[1] for each in missing] == ["auth", "dispatch", "path"]

    def test_faults_in_one_entry_do_not_hide_each_other(self, tmp_path: Path) -> None:
        """A misshapen key and an expression that does not compile are told together."""
        found = faults(tmp_path, triggers=[TRIGGER | {"when": "body.nope.(", "methods": "POST"}])
        assert {fault.split(": ")[1] for fault in found} == {
            "triggers[0].when",
            "triggers[0].methods",
        }

    def test_a_name_is_taken_once_across_both_files(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, crons=[CRON], triggers=[TRIGGER | {"name": "nightly"}])
        assert found.startswith("TRIGGERS.json:3:11: triggers[0].name: ")
        assert "CRONS.json:3:11" in found

    def test_a_disabled_entry_gives_way_to_an_enabled_one_of_its_name(self, tmp_path: Path) -> None:
        config = read(tmp_path, crons=[CRON | {"enabled": False}, CRON])
        assert [spec.enabled for spec in config.crons] == [True]
        assert "is taken" in config.warnings[0]

    def test_a_name_that_is_no_slug_is_refused_with_one_that_is(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, crons=[CRON | {"name": "Nightly Build!"}])
        assert '"nightly-build"' in found

    def test_a_zone_that_does_not_exist_is_told_at_the_zone(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, crons=[CRON | {"timezone": "Europe/Berln"}])
        assert "crons[0].timezone: " in found
        assert "Europe/Berlin" in found

    def test_a_doubtful_schedule_is_a_warning(self, tmp_path: Path) -> None:
        config = read(tmp_path, crons=[CRON | {"schedule": "0 0 1 * MON"}])
        assert "crons[0].schedule: " in config.warnings[0]

    def test_a_fault_in_a_default_is_told_once_at_its_place(self, tmp_path: Path) -> None:
        found = only_fault(
            tmp_path,
            crons={
                "defaults": {"schedule": "61 * * * *", "dispatch": {"event_type": "e"}},
                "crons": [{"name": "a"}, {"name": "b"}],
            },
        )
        assert found.startswith("CRONS.json:3:15: defaults.schedule: ")

    @pytest.mark.parametrize("span", ["soon", "99999999d"])
    def test_so_is_one_deep_in_a_default(self, tmp_path: Path, span: str) -> None:
        defaults = {"dispatch": {"event_type": "e", "send_within": span}}
        entries = [{"name": name, "schedule": "@daily"} for name in "ab"]
        found = only_fault(tmp_path, crons={"defaults": defaults, "crons": entries})
        assert "defaults.dispatch.send_within: " in found

    @pytest.mark.parametrize("enabled", [True, False])
    def test_so_is_one_that_each_entry_would_tell_in_its_own_words(
        self, tmp_path: Path, enabled: bool
    ) -> None:
        """What an expression may name is another list where the path has a parameter."""
        entries = [TRIGGER, TRIGGER | {"name": "other", "path": "/hooks/{team}"}]
        defaults = {"response": {"body": "{{ nope }}"}, "enabled": enabled}
        triggers = {"defaults": defaults, "triggers": entries}
        if enabled:
            found = faults(tmp_path, triggers=triggers)
        else:
            found = list(read(tmp_path, triggers=triggers).warnings)
        assert [": defaults.response.body: " in each for each in found] == [True]

    @pytest.mark.parametrize("enabled", [True, False])
    def test_a_default_that_is_no_such_value_is_told_once_whoever_takes_it(
        self, tmp_path: Path, enabled: bool
    ) -> None:
        entries = [CRON | {"name": name, "enabled": enabled} for name in "ab"]
        found = only_fault(tmp_path, crons={"defaults": {"catch_up": "never"}, "crons": entries})
        assert "defaults.catch_up: " in found

    @pytest.mark.parametrize("key", ["auth", "name"])
    def test_defaults_hold_neither_auth_nor_name(self, tmp_path: Path, key: str) -> None:
        found = faults(tmp_path, triggers={"defaults": {key: TRIGGER[key]}, "triggers": [TRIGGER]})
        assert len(found) == 1
        assert f"defaults.{key}" in found[0]

    def test_either_file_of_entries_may_be_missing_but_not_both(self, tmp_path: Path) -> None:
        assert "holds neither CRONS.json nor TRIGGERS.json" in only_fault(tmp_path)
        assert read(tmp_path, triggers=[TRIGGER]).crons == ()

    def test_a_file_that_is_not_json_does_not_hide_the_faults_of_the_other(
        self, tmp_path: Path
    ) -> None:
        found = faults(tmp_path, crons="[{,]", triggers=[TRIGGER | {"path": "/ping"}])
        assert [fault.split(":")[0] for fault in found] == ["CRONS.json", "TRIGGERS.json"]


class TestDisabledEntries:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"path": "/dispatch"},
            {"when": "body."},
            {"colour": "red"},
            {"methods": "POST"},
            {"auth": {"scheme": "hmac", "secret": "env:NOT_SET"}},
            {"dispatch": {"event_type": "e", "client_payload": {"dispatchd": 1}}},
            {"coalesce": {"window": "5s", "max_wait": "1s"}},
            {"name": "Not A Slug"},
        ],
    )
    def test_whatever_is_wrong_is_only_a_warning(
        self, tmp_path: Path, wrong: dict[str, Any]
    ) -> None:
        """And what cannot be read is left out, beside entries that can."""
        entry = TRIGGER | wrong | {"enabled": False}
        config = read(tmp_path, crons=[CRON], triggers=[entry])
        assert config.triggers == ()
        assert len(config.warnings) == 1
        assert "TRIGGERS.json:" in config.warnings[0]

    def test_enabled_false_in_the_defaults_counts(self, tmp_path: Path) -> None:
        config = read(
            tmp_path,
            crons={"defaults": {"enabled": False}, "crons": [CRON | {"schedule": "never"}]},
        )
        assert config.crons == ()
        assert "crons[0].schedule" in config.warnings[0]

    def test_a_secret_that_is_not_set_keeps_the_entry(self, tmp_path: Path) -> None:
        auth = {"scheme": "github", "secret": "env:NOT_SET"}
        config = read(tmp_path, triggers=[TRIGGER | {"auth": auth, "enabled": False}])
        assert config.triggers[0].auth.secrets == ()
        assert "NOT_SET is not set" in config.warnings[0]


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/dispatch",
            "/dispatch/",
            "/ping",
            "/healthz",
            "/readyz",
            "/metrics",
            "/mcp",
            "/api",
            "/api/v1/x",
            "/api/{x}",
        ],
    )
    def test_the_daemons_own_routes_are_taken(self, tmp_path: Path, path: str) -> None:
        found = only_fault(tmp_path, triggers=[TRIGGER | {"path": path}])
        assert "triggers[0].path: " in found
        assert "own routes" in found

    @pytest.mark.parametrize(
        "path", ["/a/{b", "/a/b}", "/a/{}", "/a/{b}{c}", "/a/x-{b}", "/{a}/{a}", "/{1a}", "/%20"]
    )
    def test_a_malformed_path_is_refused(self, tmp_path: Path, path: str) -> None:
        assert "triggers[0].path: " in only_fault(tmp_path, triggers=[TRIGGER | {"path": path}])

    def test_parameters_are_names_that_expressions_know(self, tmp_path: Path) -> None:
        entry = TRIGGER | {"path": "/hooks/{team}", "when": "params.team == 'a'"}
        assert read(tmp_path, triggers=[entry]).triggers[0].when is not None
        found = only_fault(tmp_path, triggers=[entry | {"when": "params.tem == 'a'"}])
        assert "params.team" in found

    def test_triggers_may_share_a_path_whatever_else_differs(self, tmp_path: Path) -> None:
        other = TRIGGER | {"name": "other", "methods": ["PUT"], "max_body": 100}
        assert len(read(tmp_path, triggers=[TRIGGER, other]).triggers) == 2

    def test_paths_that_differ_in_a_parameters_name_only_are_refused(self, tmp_path: Path) -> None:
        """Only one of the two routes would ever be called."""
        found = only_fault(
            tmp_path,
            triggers=[
                TRIGGER | {"path": "/hooks/{team}"},
                TRIGGER | {"name": "other", "path": "/hooks/{group}"},
            ],
        )
        assert "'/hooks/{team}' of 'push'" in found


class TestExpressions:
    def test_the_column_of_a_fault_points_into_the_string(self, tmp_path: Path) -> None:
        text = json.dumps([TRIGGER | {"when": "body.a == nope"}])
        found = only_fault(tmp_path, triggers=text)
        assert found.startswith(f"TRIGGERS.json:1:{text.index('nope') + 1}: triggers[0].when: ")

    def test_behind_an_escape_the_character_is_told_in_words(self, tmp_path: Path) -> None:
        text = json.dumps([TRIGGER | {"when": 'body.a == "x" && nope'}])
        found = only_fault(tmp_path, triggers=text)
        column = text.index('"body.a')
        assert found.startswith(f"TRIGGERS.json:1:{column + 1}: triggers[0].when: ")
        assert "character 18" in found

    def test_a_misspelt_name_deep_in_a_payload_is_told_where_it_stands(
        self, tmp_path: Path
    ) -> None:
        payload = {"list": ["fine", {"at": "{{ event.recieved_at }}"}]}
        entry = TRIGGER | {"dispatch": {"event_type": "e", "client_payload": payload}}
        found = only_fault(tmp_path, triggers=[entry])
        assert "triggers[0].dispatch.client_payload.list[1].at: " in found
        assert "event.received_at" in found

    def test_a_condition_must_be_able_to_decide(self, tmp_path: Path) -> None:
        assert "true or false" in only_fault(tmp_path, triggers=[TRIGGER | {"when": "'yes'"}])

    def test_variables_see_those_before_them_only(self, tmp_path: Path) -> None:
        variables = {"a": "variables.b", "b": "'x'"}
        found = only_fault(tmp_path, triggers=[TRIGGER | {"variables": variables}])
        assert "triggers[0].variables.a: " in found

    def test_a_broken_variable_is_told_once_not_at_each_use(self, tmp_path: Path) -> None:
        entry = TRIGGER | {"variables": {"a": "nope"}, "when": "variables.a == 'x'"}
        assert "variables.a: " in only_fault(tmp_path, triggers=[entry])

    def test_the_dispatch_id_is_known_only_where_there_is_a_dispatch(self, tmp_path: Path) -> None:
        assert "dispatch_id" in only_fault(
            tmp_path, triggers=[TRIGGER | {"when": "dispatch_id == 'x'"}]
        )

    def test_crons_know_their_firing_and_no_body(self, tmp_path: Path) -> None:
        payload = {"due": "{{ firing.scheduled_at }}", "by": "{{ body.user }}"}
        entry = CRON | {"dispatch": {"event_type": "e", "client_payload": payload}}
        assert "client_payload.by: " in only_fault(tmp_path, crons=[entry])

    def test_what_is_compiled_renders(self, tmp_path: Path) -> None:
        payload = {"due": "{{ firing.scheduled_at }}", "id": "{{ dispatch_id }}"}
        entry = CRON | {"dispatch": {"event_type": "e", "client_payload": payload}}
        spec = read(tmp_path, crons=[entry]).crons[0]
        now = datetime(2026, 1, 2, tzinfo=UTC)
        values = Bindings({"firing.scheduled_at": now}).extended({"dispatch_id": "dsp_1"})
        rendered = spec.dispatches[0].client_payload.render(values)
        assert rendered == {"due": "2026-01-02T00:00:00Z", "id": "dsp_1"}


class TestDispatches:
    def dispatch(self, **keys: Any) -> list[Any]:
        return [CRON | {"dispatch": {"event_type": "e"} | keys}]

    @pytest.mark.parametrize(("inject", "most"), [(True, 9), (False, 10)])
    def test_a_payload_has_as_many_keys_as_github_leaves(
        self, tmp_path: Path, inject: bool, most: int
    ) -> None:
        """Nine beside the metadata, ten without it."""
        fits = {f"k{index}": index for index in range(most)}
        crons = self.dispatch(client_payload=fits, inject_metadata=inject)
        assert read(tmp_path, crons=crons).crons
        crons = self.dispatch(client_payload=fits | {"more": 1}, inject_metadata=inject)
        assert f"{most} keys of its own" in only_fault(tmp_path, crons=crons)

    @pytest.mark.parametrize("inject", [True, False])
    def test_the_reserved_key_is_refused(self, tmp_path: Path, inject: bool) -> None:
        crons = self.dispatch(client_payload={"dispatchd": "mine"}, inject_metadata=inject)
        assert "reserved" in only_fault(tmp_path, crons=crons)

    def test_a_payload_too_large_whatever_it_renders_to_is_refused(self, tmp_path: Path) -> None:
        text = "é" * 33_000
        crons = self.dispatch(client_payload={"a": text + "{{ dispatch_id }}"})
        assert "client_payload: " in only_fault(tmp_path, crons=crons)
        crons = self.dispatch(client_payload={"a": text[:32_000] + "{{ dispatch_id }}"})
        assert read(tmp_path, crons=crons).crons

    def test_a_templated_event_type_stands_beside_its_values(self, tmp_path: Path) -> None:
        templated = "deploy-{{ event.id }}"
        assert "event_types" in only_fault(tmp_path, crons=self.dispatch(event_type=templated))
        crons = self.dispatch(event_type=templated, event_types=["deploy-a", "deploy-b"])
        spec = read(tmp_path, crons=crons).crons[0].dispatches[0]
        assert spec.event_types == {"deploy-a", "deploy-b"}
        assert spec.event_type.literal is None

    def test_event_types_beside_a_literal_are_refused(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, crons=self.dispatch(event_types=["e"]))
        assert "crons[0].dispatch.event_types: " in found

    @pytest.mark.parametrize("repository", ["acme", "{{ body.repo }}", "a/b/c", "acme/..", "/x"])
    def test_a_repository_is_a_literal_owner_and_name(
        self, tmp_path: Path, repository: str
    ) -> None:
        assert "repository: " in only_fault(tmp_path, crons=self.dispatch(repository=repository))

    @pytest.mark.parametrize("span", ["1 day", "0s", "5", "99999999d", 5])
    def test_a_duration_that_cannot_be_read_is_refused(self, tmp_path: Path, span: Any) -> None:
        assert "send_within: " in only_fault(tmp_path, crons=self.dispatch(send_within=span))

    def test_a_repository_that_nothing_names_is_one_fault_for_all_entries(
        self, tmp_path: Path
    ) -> None:
        crons = [CRON, CRON | {"name": "b"}, CRON | {"name": "c", "enabled": False}]
        found = only_fault(tmp_path, crons=crons, environ={})
        assert "here and in 1 more" in found
        assert "set GH_OWNER and GH_REPO" in found

    def test_it_is_a_warning_where_the_config_need_not_be_ready(self, tmp_path: Path) -> None:
        config = read(tmp_path, crons=[CRON], environ={}, secrets=Secrets.OPTIONAL)
        assert config.crons[0].dispatches[0].repository == ""
        assert "GH_OWNER" in config.warnings[0]


class TestAuth:
    def auth(self, **keys: Any) -> list[Any]:
        return [TRIGGER | {"auth": keys}]

    def test_a_secret_is_followed_to_its_value(self, tmp_path: Path) -> None:
        triggers = self.auth(scheme="github", secret="env:HOOK")
        config = read(tmp_path, triggers=triggers, environ=HOME | {"HOOK": LONG_SECRET})
        assert [secret.reveal() for secret in config.triggers[0].auth.secrets] == [LONG_SECRET]
        assert config.warnings == ()

    def test_several_secrets_are_valid_at_once(self, tmp_path: Path) -> None:
        triggers = self.auth(scheme="github", secret=["env:NEW", "env:OLD"])
        environ = HOME | {"NEW": LONG_SECRET, "OLD": LONG_SECRET[::-1]}
        config = read(tmp_path, triggers=triggers, environ=environ)
        assert [str(secret) for secret in config.triggers[0].auth.secrets] == [
            "<secret env:NEW>",
            "<secret env:OLD>",
        ]

    def test_equal_auths_are_equal_whatever_the_order_of_their_keys(self, tmp_path: Path) -> None:
        """So each is verified once per delivery."""
        one = {"scheme": "hmac", "header": "X-Sign", "prefix": "v=", "secret": "env:HOOK"}
        two = dict(reversed(one.items()))
        triggers = [TRIGGER | {"auth": one}, TRIGGER | {"name": "b", "auth": two}]
        config = read(tmp_path, triggers=triggers, environ=HOME | {"HOOK": LONG_SECRET})
        assert len({trigger.auth for trigger in config.triggers}) == 1

    def test_a_secret_that_is_not_there_is_a_fault_when_it_is_required(
        self, tmp_path: Path
    ) -> None:
        triggers = self.auth(scheme="github", secret=["env:HOOK", "env:OLD"])
        environ = HOME | {"HOOK": LONG_SECRET, "OLD": ""}
        found = only_fault(tmp_path, triggers=triggers, environ=environ)
        assert "triggers[0].auth.secret[1]: the environment variable OLD is set, but empty" in found

    def test_it_is_a_warning_otherwise(self, tmp_path: Path) -> None:
        triggers = self.auth(scheme="github", secret="env:HOOK")
        config = read(tmp_path, triggers=triggers, secrets=Secrets.OPTIONAL)
        assert "HOOK is not set" in config.warnings[0]

    def test_a_short_secret_warns_without_showing_it(self, tmp_path: Path) -> None:
        triggers = self.auth(scheme="github", secret="env:HOOK")
        config = read(tmp_path, triggers=triggers, environ=HOME | {"HOOK": "hunter2"})
        assert "shorter than 16" in config.warnings[0]
        assert "hunter2" not in config.warnings[0]

    def test_a_scheme_with_a_secret_needs_one(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, triggers=self.auth(scheme="github"))
        assert "triggers[0].auth" in found
        assert "secret" in found

    def test_the_scheme_none_takes_no_secret(self, tmp_path: Path) -> None:
        triggers = self.auth(scheme="none", secret="env:HOOK")
        assert "secret" in only_fault(tmp_path, triggers=triggers)

    def test_a_parameter_that_cannot_work_is_told_at_its_key(self, tmp_path: Path) -> None:
        triggers = self.auth(scheme="hmac", header="X-S", signed="{nope}", secret="env:HOOK")
        found = only_fault(tmp_path, triggers=triggers, environ=HOME | {"HOOK": LONG_SECRET})
        assert "triggers[0].auth.signed: " in found

    def test_a_tolerance_is_a_span_of_time(self, tmp_path: Path) -> None:
        auth = {
            "scheme": "hmac",
            "header": "x-s",
            "signed": "{timestamp}.{body}",
            "timestamp_header": "x-t",
            "tolerance": "90s",
        }
        triggers = self.auth(**auth, secret="env:HOOK")
        config = read(tmp_path, triggers=triggers, environ=HOME | {"HOOK": LONG_SECRET})
        assert config.triggers[0].auth.scheme == parse(auth | {"tolerance": timedelta(seconds=90)})

    def test_a_secret_written_out_is_refused_and_not_repeated(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, triggers=self.auth(scheme="github", secret="p4ssw0rd"))
        assert "triggers[0].auth.secret: " in found
        assert "p4ssw0rd" not in found


class TestResponse:
    def response(self, content_type: str) -> list[Any]:
        return [TRIGGER | {"response": {"body": "ok", "content_type": content_type}}]

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/html",
            "application/problem+json",
            "text/plain; charset=utf-8",
            "text/plain;charset=UTF-8",
            'text/plain; charset="utf-8"; format=flowed',
            'text/plain; note="; charset=latin1"',
            "application/vnd.acme.v1+json; q=0.5;",
        ],
    )
    def test_the_answer_has_any_media_type(self, tmp_path: Path, content_type: str) -> None:
        spec = read(tmp_path, triggers=self.response(content_type)).triggers[0].response
        assert spec is not None
        assert spec.content_type == content_type

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain; charset=iso-8859-1",
            "text/plain;CHARSET=us-ascii",
            'text/plain; charset="utf-16"',
            "text/plain; charset=utf-8; charset=latin1",
            'text/plain; note="a\\"; b"; charset=utf-7',
        ],
    )
    def test_another_charset_than_it_is_sent_in_is_refused(
        self, tmp_path: Path, content_type: str
    ) -> None:
        found = only_fault(tmp_path, triggers=self.response(content_type))
        assert "triggers[0].response.content_type: the answer is sent as UTF-8" in found

    @pytest.mark.parametrize(
        "content_type",
        [
            *("text", "text/", "/plain", "text/plain/x", "text /plain", "text/plain x", " text/x"),
            *("text/plain, text/html", "text/plain; charset", "text/plain; charset=", "text/*;"),
            *("text/plain\n", "text/plain; a=\tb", "text/plain\x00", "text/plain; a=b c", "té/x"),
            *('text/plain; a="b', 'text/plain; a="\n"', "text/plain; a=é", "{{ body.type }}", ""),
        ],
    )
    def test_what_is_no_media_type_is_refused(self, tmp_path: Path, content_type: str) -> None:
        """Nor can a control character end the header."""
        found = only_fault(tmp_path, triggers=self.response(content_type))
        assert "triggers[0].response.content_type: must be a media type" in found

    @pytest.mark.parametrize(("status", "taken"), [(201.0, 201), (204, 204)])
    def test_a_whole_number_may_be_written_with_a_point(
        self, tmp_path: Path, status: float, taken: int
    ) -> None:
        """As JSON Schema has it: 201.0 is an integer."""
        entry = TRIGGER | {"response": {"status": status}, "max_body": 100.0}
        spec = read(tmp_path, triggers=[entry]).triggers[0]
        assert spec.max_body == 100
        assert spec.response is not None
        assert spec.response.status == taken


class TestSize:
    @pytest.mark.parametrize(
        ("written", "size"), [(100, 100), ("25 MiB", 26_214_400), ("2KiB", 2048), ("7 B", 7)]
    )
    def test_a_size_is_a_number_of_bytes_or_has_a_unit(
        self, tmp_path: Path, written: Any, size: int
    ) -> None:
        config = read(tmp_path, triggers=[TRIGGER | {"max_body": written}])
        assert config.triggers[0].max_body == size

    @pytest.mark.parametrize("written", ["26 MiB", 26_214_401, 0, "1 GiB", "0 B"])
    def test_a_size_beyond_the_limits_is_refused(self, tmp_path: Path, written: Any) -> None:
        assert "max_body: " in only_fault(tmp_path, triggers=[TRIGGER | {"max_body": written}])

    def test_ten_thousand_entries_load(self, tmp_path: Path) -> None:
        """Each with texts of its own, so that nothing can be shared."""
        crons, triggers = [], []
        for index in range(5_000):
            payload = {"job": f"{{{{ dispatch_id }}}} of {index}"}
            dispatch = {"event_type": "build", "client_payload": payload}
            schedule = f"{index % 60} {index // 60 % 24} * * *"
            crons.append({"name": f"c{index}", "schedule": schedule, "dispatch": dispatch})
            own = {"name": f"t{index}", "path": f"/hooks/{index}", "dispatch": dispatch}
            variables = {"ref": "body.?ref.orValue('')"}
            triggers.append(
                TRIGGER | own | {"variables": variables, "when": f"variables.ref == '{index}'"}
            )
        config = read(tmp_path, crons=crons, triggers=triggers)
        assert len(config.crons) == len(config.triggers) == 5_000


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 30), st.sampled_from(["", "a", "/a", "{{", "{{ x }}"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
KEYS = [*CRON, *TRIGGER, "enabled", "timezone", "variables", "when", "dedupe", "response"]
KEYS += ["job", "watch_path", "actions", "type", "methods", "max_body", "defaults"]


@given(
    kind=st.sampled_from(["crons", "triggers"]),
    changes=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4), max_size=3),
    defaults=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3) | VALUES,
    in_object=st.booleans(),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_json_the_files_hold_it_loads_or_every_fault_has_a_place(
    tmp_path: Path, kind: str, changes: list[dict[str, Any]], defaults: Any, in_object: bool
) -> None:
    """No value of any key may raise anything but a ConfigError whose faults name file and line."""
    base = CRON if kind == "crons" else TRIGGER
    entries = [base | change for change in changes]
    content = {"defaults": defaults, kind: entries} if in_object else entries
    for name in ("CRONS.json", "TRIGGERS.json"):
        (tmp_path / name).unlink(missing_ok=True)
    try:
        if kind == "crons":
            config = read(tmp_path, crons=content)
        else:
            config = read(tmp_path, triggers=content)
    except ConfigError as error:
        for fault in error.faults:
            assert fault.line > 0, fault
    else:
        assert all(re.match(r".+\.json:\d+:\d+: ", warning) for warning in config.warnings)
