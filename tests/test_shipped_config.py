"""The configuration that ships: it loads as it is, and does what its descriptions say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config import Secrets, load
from daemon.dispatch import Dispatch, State
from daemon.event import Delivery, Event, Firing, Outcome
from daemon.expressions import JSON
from daemon.judge import Judgement, judge_delivery, judge_firing
from daemon.schemas import schema
from daemon.signatures import Request
from daemon.spec import Config, TriggerSpec

SHIPPED = Path(__file__).parent.parent / "config"
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
SECRET = "0123456789abcdef0123456789abcdef"
ENVIRON = {"GH_REPO": "acme/site", "API_KEY": SECRET, "GH_WEBHOOK_SECRET": SECRET}

PUSH_HEADERS = {"x-github-event": "push", "x-github-delivery": "d-1"}
PUSH: dict[str, JSON] = {
    "ref": "refs/heads/main",
    "before": "0" * 40,
    "after": "a" * 40,
    "deleted": False,
    "repository": {"full_name": "acme/app", "default_branch": "main"},
    "pusher": {"name": "ada", "email": "ada@example.com"},
    "commits": [],
}
PULL_REQUEST_HEADERS = {"x-github-event": "pull_request"}


@pytest.fixture(scope="module")
def shipped() -> Config:
    return load(SHIPPED, ENVIRON)


def judge(
    config: Config, name: str, body: JSON, headers: Mapping[str, str] | None = None
) -> Judgement:
    """What the trigger makes of a delivery that has been verified."""
    trigger = found(config, name)
    delivery = Delivery(
        route=trigger.path,
        method="POST",
        path=trigger.path,
        headers=headers or {},
        query={},
        params={},
        body=json.dumps(body).encode(),
        client_ip="192.0.2.1",
        received_at=NOW,
    )
    return judge_delivery(Event("evt_1", delivery), delivery, body, [trigger], lambda: "dsp_1")[0]


def found(config: Config, name: str) -> TriggerSpec:
    trigger = config.trigger(name)
    assert trigger is not None
    return trigger


def sent(judgement: Judgement) -> Dispatch:
    """The one dispatch of a verdict that has one."""
    verdict = judgement.verdict
    assert verdict.outcome is Outcome.DISPATCHED, verdict.reason
    (dispatch,) = verdict.dispatches
    assert dispatch.state is State.PENDING, dispatch.reason
    return dispatch


def payload(dispatch: Dispatch) -> dict[str, Any]:
    """What the workflow sees beside our metadata."""
    values: dict[str, Any] = json.loads(dispatch.client_payload)
    assert values.pop("dispatchd") == {"id": dispatch.id, "entry": dispatch.entry, "depth": 0}
    return values


class TestAsItShips:
    def test_it_is_valid_in_a_fresh_checkout(self) -> None:
        """With nothing set there are only warnings, each about something that is not set."""
        config = load(SHIPPED, {}, secrets=Secrets.OPTIONAL)
        assert all(re.search(r"is not set|set GH_OWNER", each) for each in config.warnings)

    def test_with_everything_set_nothing_is_doubtful(self, shipped: Config) -> None:
        assert shipped.warnings == ()

    def test_what_needs_a_secret_is_disabled_and_all_else_enabled(self, shipped: Config) -> None:
        assert [cron.enabled for cron in shipped.crons] == [True]
        assert shipped.triggers
        for trigger in shipped.triggers:
            assert trigger.enabled is not trigger.auth.scheme.needs_secret

    def test_it_runs_with_nothing_but_a_repository(self) -> None:
        assert load(SHIPPED, {"GH_REPO": "acme/site"}, secrets=Secrets.REQUIRED).crons

    def test_every_entry_says_what_it_is_for(self, shipped: Config) -> None:
        assert all(cron.description for cron in shipped.crons)
        assert all(trigger.description for trigger in shipped.triggers)

    @pytest.mark.parametrize("name", ["CRONS.json", "TRIGGERS.json"])
    def test_editors_find_the_schema(self, name: str) -> None:
        reference = json.loads((SHIPPED / name).read_text())["$schema"]
        assert json.loads((SHIPPED / reference).resolve().read_text())["title"] == name

    def test_the_settings_file_shows_every_setting_and_sets_none(self) -> None:
        text = (SHIPPED / "DAEMON.yaml").read_text()
        assert yaml.safe_load(text) is None
        shown = set(re.findall(r"^# ([a-z_]+): ", text, re.MULTILINE))
        properties = schema("daemon")["properties"]
        assert shown == {key for key in properties if not properties[key].get("x-not-yet")}

    def test_the_defaults_that_the_settings_file_shows_are_true(self, tmp_path: Path) -> None:
        """Uncommented, its lines load; those that show a default change nothing."""
        lines = re.findall(
            r"^# ([a-z_]+: .*)$", (SHIPPED / "DAEMON.yaml").read_text(), re.MULTILINE
        )
        assert len(lines) > 5
        (tmp_path / "CRONS.json").write_text("[]")
        usual = load(tmp_path, ENVIRON | {"GH_TOKEN": "ghp_x"}).settings
        (tmp_path / "DAEMON.yaml").write_text("\n".join(lines))
        changed = load(tmp_path, {"GH_TOKEN": "ghp_x", "API_KEY": SECRET}).settings
        assert changed.default_repository == "my-organisation/my-repository"
        for name in ("gh_token", "api_key", "gh_api_url", "listen", "retention", "pace"):
            assert getattr(changed, name) == getattr(usual, name), name


class TestSystemBuild:
    def test_it_is_due_every_night_and_dispatches_a_build(self, shipped: Config) -> None:
        (cron,) = shipped.crons
        due = cron.schedule.next_after(NOW)
        assert due == datetime(2026, 3, 5, 3, 30, tzinfo=UTC)
        firing = Firing(cron.name, due, due)
        verdict = judge_firing(Event("evt_1", firing), firing, cron, lambda: "dsp_1")
        (dispatch,) = verdict.dispatches
        assert (dispatch.event_type, dispatch.repository) == ("wat-factory", "acme/site")
        assert dispatch.expires_at == due + timedelta(hours=6)
        values = payload(dispatch)
        assert values["job_id"] == "dsp_1"
        assert values["job_description"].endswith("due at 2026-03-05T03:30:00Z")


class TestGithubPush:
    def test_a_push_to_the_default_branch_is_passed_on(self, shipped: Config) -> None:
        dispatch = sent(judge(shipped, "github-push", PUSH, PUSH_HEADERS))
        assert dispatch.event_type == "push-received"
        assert payload(dispatch) == {
            "repository": "acme/app",
            "branch": "main",
            "ref": "refs/heads/main",
            "sha": "a" * 40,
            "pusher": "ada",
        }

    @pytest.mark.parametrize(
        "change",
        [{"ref": "refs/heads/topic"}, {"ref": "refs/tags/main"}, {"deleted": True}],
    )
    def test_other_pushes_are_not(self, shipped: Config, change: dict[str, JSON]) -> None:
        judgement = judge(shipped, "github-push", PUSH | change, PUSH_HEADERS)
        assert judgement.verdict.outcome is Outcome.UNMATCHED

    def test_another_event_is_unmatched_whatever_it_holds(self, shipped: Config) -> None:
        body: JSON = {"zen": "Keep it logically awesome.", "hook_id": 1}
        judgement = judge(shipped, "github-push", body, {"x-github-event": "ping"})
        assert judgement.verdict.outcome is Outcome.UNMATCHED

    def test_githubs_delivery_id_tells_a_repetition(self, shipped: Config) -> None:
        dedupe = judge(shipped, "github-push", PUSH, PUSH_HEADERS).verdict.dedupe
        assert dedupe is not None
        assert dedupe.key == "d-1"

    def test_only_githubs_signature_is_believed(self, shipped: Config) -> None:
        auth = found(shipped, "github-push").auth
        headers = auth.scheme.sign(b"{}", auth.secrets[0], NOW)
        signed = Request("POST", "/hooks/github", headers, {}, b"{}")
        forged = Request("POST", "/hooks/github", headers, {}, b"[]")
        assert auth.scheme.verify(signed, auth.secrets, NOW) is None
        assert auth.scheme.verify(forged, auth.secrets, NOW) is not None


class TestCreateJob:
    def test_a_job_is_built_on_a_branch_of_its_own(self, shipped: Config) -> None:
        judgement = judge(shipped, "create-job", {"job": "Paint it {{ blue }}"})
        dispatch = sent(judgement)
        assert dispatch.event_type == "wat-factory"
        assert payload(dispatch) == {
            "job_id": "dsp_1",
            "job_description": "Paint it {{ blue }}",
            "branch": "job/dsp_1",
        }

    def test_the_answer_names_job_and_branch(self, shipped: Config) -> None:
        answer = judge(shipped, "create-job", {"job": "x"}).answer
        assert answer is not None
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert json.loads(answer.body) == {"job_id": "dsp_1", "branch": "job/dsp_1"}

    @pytest.mark.parametrize(
        "body", [{}, {"job": ""}, {"job": " \n"}, {"job": 5}, {"job": None}, {"job": ["x"]}]
    )
    def test_a_body_without_a_job_is_unmatched(self, shipped: Config, body: JSON) -> None:
        assert judge(shipped, "create-job", body).verdict.outcome is Outcome.UNMATCHED

    @pytest.mark.parametrize("body", [None, "job", ["job"], 5])
    def test_a_body_that_is_no_object_is_unmatched(self, shipped: Config, body: JSON) -> None:
        assert judge(shipped, "create-job", body).verdict.outcome is Outcome.UNMATCHED

    def test_it_is_called_with_the_key(self, shipped: Config) -> None:
        auth = found(shipped, "create-job").auth
        request = Request("POST", "/webhook", {"x-api-key": SECRET}, {}, b"{}")
        assert auth.scheme.verify(request, auth.secrets, NOW) is None


class TestAutoChain:
    def body(self, **results: JSON) -> dict[str, JSON]:
        """A merged job pull request with a plan and a score, but for what ``results`` change."""
        usual: dict[str, JSON] = {
            "job": "Plan the web scraper",
            "status": "completed",
            "changed_files": ["README.md", "PRPs/web-scraper.md"],
            "commit_message": "Plan the web scraper\n\nCONFIDENCE_SCORE: 8/10",
            "log": "",
            "merge_result": "merged",
            "pr_url": "https://github.com/acme/site/pull/7",
            "run_url": "https://github.com/acme/site/actions/runs/1",
        }
        return {
            "action": "closed",
            "pull_request": {"merged": True, "head": {"ref": "job/dsp_0"}},
            "job_results": usual | results,
        }

    def outcome(self, config: Config, body: JSON) -> Outcome:
        return judge(config, "auto-chain", body, PULL_REQUEST_HEADERS).verdict.outcome

    def test_a_merged_plan_dispatches_the_build_of_its_system(self, shipped: Config) -> None:
        dispatch = sent(judge(shipped, "auto-chain", self.body(), PULL_REQUEST_HEADERS))
        assert dispatch.event_type == "wat-factory"
        assert payload(dispatch) == {
            "job_id": "dsp_1",
            "job_description": "Build the system web-scraper from PRPs/web-scraper.md",
            "system": "web-scraper",
            "prp": "PRPs/web-scraper.md",
            "parent_job_id": "dsp_0",
        }

    @pytest.mark.parametrize("place", ["commit_message", "log", "job"])
    @pytest.mark.parametrize(
        ("text", "enough"),
        [
            ("CONFIDENCE_SCORE: 8/10", True),
            ("CONFIDENCE_SCORE: 9/10", True),
            ("CONFIDENCE_SCORE: 10/10", True),
            ("CONFIDENCE_SCORE:8/10", True),
            ("so **CONFIDENCE_SCORE: 8/10**, I think", True),
            ("a\nb\nCONFIDENCE_SCORE:  9 / 10\nc", True),
            ("CONFIDENCE_SCORE: 8.5/10", True),
            ("CONFIDENCE_SCORE: 7/10", False),
            ("CONFIDENCE_SCORE: 7.9/10", False),
            ("CONFIDENCE_SCORE: 1/10", False),
            ("CONFIDENCE_SCORE: 0/10", False),
            ("CONFIDENCE_SCORE: 8/100", False),
            ("CONFIDENCE_SCORE: 80/100", False),
            ("CONFIDENCE_SCORE: 18/10", False),
            ("CONFIDENCE_SCORE: N/10", False),
            ("confidence: 9/10", False),
            ("", False),
        ],
    )
    def test_the_score_decides_wherever_it_stands(
        self, shipped: Config, place: str, text: str, enough: bool
    ) -> None:
        results: dict[str, JSON] = {"commit_message": "", "log": "", "job": ""}
        expected = Outcome.DISPATCHED if enough else Outcome.UNMATCHED
        assert self.outcome(shipped, self.body(**results | {place: text})) is expected

    def test_one_text_that_reaches_it_is_enough(self, shipped: Config) -> None:
        body = self.body(commit_message="CONFIDENCE_SCORE: 3/10", log="CONFIDENCE_SCORE: 9/10")
        assert self.outcome(shipped, body) is Outcome.DISPATCHED

    @pytest.mark.parametrize(
        "files",
        [
            [],
            ["README.md"],
            ["PRPs/templates/base.md"],
            ["PRPs/templates/deep/base.md"],
            ["PRPs/plan.txt"],
            ["docs/PRPs/plan.md"],
            ["PRPs/.md"],
            ["PRPs.md"],
            None,
            "PRPs/plan.md",
            [None, 5],
        ],
    )
    def test_without_a_plan_nothing_is_built(self, shipped: Config, files: JSON) -> None:
        assert self.outcome(shipped, self.body(changed_files=files)) is Outcome.UNMATCHED

    def test_the_first_plan_that_is_no_template_is_taken(self, shipped: Config) -> None:
        files: JSON = ["PRPs/templates/base.md", "PRPs/my.system.md", "PRPs/other.md"]
        judgement = judge(
            shipped, "auto-chain", self.body(changed_files=files), PULL_REQUEST_HEADERS
        )
        assert payload(sent(judgement))["system"] == "my.system"

    @pytest.mark.parametrize(
        "change",
        [
            {"action": "opened"},
            {"pull_request": {"merged": False, "head": {"ref": "job/dsp_0"}}},
            {"pull_request": {}},
            {"job_results": {}},
            {"job_results": None},
            {"job_results": "none"},
        ],
    )
    def test_what_is_no_merged_job_is_unmatched(
        self, shipped: Config, change: dict[str, JSON]
    ) -> None:
        assert self.outcome(shipped, self.body() | change) is Outcome.UNMATCHED

    @pytest.mark.parametrize("missing", ["action", "pull_request", "job_results"])
    def test_a_missing_part_is_no_error(self, shipped: Config, missing: str) -> None:
        body = {key: value for key, value in self.body().items() if key != missing}
        assert self.outcome(shipped, body) is Outcome.UNMATCHED

    @pytest.mark.parametrize("missing", ["commit_message", "log", "job"])
    @pytest.mark.parametrize("null", [True, False])
    def test_a_missing_text_does_not_keep_the_others_from_deciding(
        self, shipped: Config, missing: str, null: bool
    ) -> None:
        score = "CONFIDENCE_SCORE: 8/10"
        results: dict[str, JSON] = {"commit_message": score, "log": score, "job": score}
        body = self.body(**results | {missing: None})
        if not null:
            results = body["job_results"]  # type: ignore[assignment]
            del results[missing]
        assert self.outcome(shipped, body) is Outcome.DISPATCHED

    def test_another_event_is_unmatched(self, shipped: Config) -> None:
        for headers in ({"x-github-event": "push"}, {}):
            judgement = judge(shipped, "auto-chain", self.body(), headers)
            assert judgement.verdict.outcome is Outcome.UNMATCHED

    def test_a_branch_that_is_no_jobs_has_no_parent(self, shipped: Config) -> None:
        body = self.body() | {"pull_request": {"merged": True, "head": {"ref": "topic"}}}
        judgement = judge(shipped, "auto-chain", body, PULL_REQUEST_HEADERS)
        assert payload(sent(judgement))["parent_job_id"] == ""
