"""`/metrics`: what is counted and read, in both formats, and that the page, the alerts and the
dashboard name nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from msgspec.structs import replace
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from daemon import metrics
from daemon.dispatch import Attempt, Dispatch, State
from daemon.event import Delivery, Event, Firing, FiringOutcome, Outcome, Verdict
from daemon.facts import (
    AttemptMade,
    DispatchSettled,
    EventRecorded,
    FiringAccounted,
    RequestRefused,
    RunSeen,
    Trouble,
)
from daemon.measures import Histogram
from daemon.metrics import Counting
from daemon.metrics.families import FAMILIES
from daemon.run import Match, Run
from tests.harness import reserved_port
from tests.inprocess import Serving, serving
from tests.specs import API_KEY, SIGNED, config, cron_entry, trigger_entry

ROOT = Path(__file__).parents[1]
MONITORING = ROOT / "examples" / "monitoring"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
OPEN = "application/openmetrics-text; version=1.0.0"

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(daemon: Serving, accept: str = "") -> tuple[str, str]:
    """The content type and the text."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Accept": accept}
    async with daemon.session.get(daemon.url + "/metrics", headers=headers) as response:
        assert response.status == 200
        return response.headers["Content-Type"], await response.text()


def samples(families: Iterable[Metric]) -> Samples:
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in families
        for each in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


async def test_the_way_of_an_event_is_counted_from_delivery_to_run(tmp_path: Path) -> None:
    push = trigger_entry("push", auth=SIGNED, when="body.wanted")
    async with serving(tmp_path, triggers=[push], crons=[cron_entry("nightly")]) as daemon:
        assert (await daemon.deliver("/hook", {"wanted": True}))[0] == 202
        assert (await daemon.deliver("/hook", {"wanted": False}))[0] == 200
        assert (await daemon.call("POST", "/hook", data=b"{}", key=None))[0] == 401
        await daemon.until(lambda fact: isinstance(fact, RunSeen))
        found = samples(plain((await scrape(daemon))[1]))
    deliveries = "dispatchd_deliveries_total"
    assert value(found, deliveries, trigger="push", outcome="dispatched") == 1
    assert value(found, deliveries, trigger="push", outcome="unmatched") == 1
    assert value(found, deliveries, trigger="push", outcome="error") == 0
    assert value(found, "dispatchd_requests_refused_total", status="401") == 1
    assert value(found, "dispatchd_intake_duration_seconds_count") == 2
    assert value(found, "dispatchd_dispatches_made_total", entry="push") == 1
    assert value(found, "dispatchd_attempts_total", outcome="accepted", status="204") == 1
    settled = "dispatchd_dispatches_settled_total"
    assert value(found, settled, entry="push", state="accepted") == 1
    assert value(found, settled, entry="nightly", state="dead") == 0
    assert value(found, "dispatchd_run_matches_total", match="verified") == 1
    assert value(found, "dispatchd_event_to_run_seconds_count") == 1
    assert value(found, "dispatchd_entries", kind="cron") == 1
    assert value(found, "dispatchd_dispatches", state="pending") == 0
    assert value(found, "dispatchd_github_rate_limit", credential="GH_TOKEN") == 5000
    assert value(found, "dispatchd_store_commit_duration_seconds_count") > 2
    assert value(found, "dispatchd_database_bytes") > 100_000
    assert value(found, "dispatchd_database_max_bytes") == 0
    assert value(found, "dispatchd_disk_free_bytes") > 0
    assert value(found, "dispatchd_disk_reserve_bytes") > 0
    assert value(found, "dispatchd_config_generation") == 1
    assert value(found, "process_resident_memory_bytes") > 10_000_000


async def test_a_queue_that_stands_still_is_seen_with_its_age_and_its_reason(
    tmp_path: Path,
) -> None:
    with reserved_port() as port:
        nobody_there = {"GH_API_URL": f"http://127.0.0.1:{port}"}
    async with serving(tmp_path, triggers=[trigger_entry("push")], environ=nobody_there) as daemon:
        assert (await daemon.call("POST", "/hook", key=None, json={}))[0] == 202
        await daemon.until(lambda fact: isinstance(fact, AttemptMade))
        found = samples(plain((await scrape(daemon))[1]))
    assert value(found, "dispatchd_github_unreachable_seconds", credential="GH_TOKEN") > 0
    assert value(found, "dispatchd_queue_oldest_age_seconds") > 0
    assert value(found, "dispatchd_attempts_total", outcome="unreachable", status="none") >= 1


async def test_it_wants_the_key_and_speaks_the_format_that_is_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path, triggers=[trigger_entry("push")]) as daemon:
        assert (await daemon.call("GET", "/metrics", key=None))[0] == 401
        wrong = {"Authorization": "Bearer a key that is not ours"}
        assert (await daemon.call("GET", "/metrics", key=None, headers=wrong))[0] == 401
        status = "/api/v1/status"  # the bearer is for Prometheus alone
        bearer = {"Authorization": f"Bearer {API_KEY}"}
        assert (await daemon.call("GET", status, key=None, headers=bearer))[0] == 401

        kind, text = await scrape(daemon, "*/*")
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        assert text.count("# TYPE") == len(list(plain(text)))
        for accept in (OPEN, f"{OPEN.upper()},text/plain;q=0.5", "application/openmetrics-text"):
            kind, text = await scrape(daemon, accept)
            assert kind == f"{OPEN}; charset=utf-8"
            assert text.endswith("# EOF\n")
            found = samples(open_metrics(text))  # type: ignore[no-untyped-call]
            assert value(found, "dispatchd_firing_lateness_seconds_bucket", le="+Inf") == 0
        # What a client makes up is not repeated to it.
        kind, _ = await scrape(daemon, "application/openmetrics-text; version=x; escaping=evil")
        assert kind == f"{OPEN}; charset=utf-8"


async def test_without_its_database_the_rest_is_still_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The more it is wanted then. Nobody waits for long for a database that does not answer."""
    monkeypatch.setattr(metrics.reading, "READ_WITHIN", 0.0)
    async with serving(tmp_path, triggers=[trigger_entry("push")]) as daemon:
        text = (await scrape(daemon))[1]
    assert "dispatchd_queue_overdue_seconds" not in text
    assert "dispatchd_store_commit_failures_total 0.0" in text


def counted(counting: Counting) -> dict[tuple[str, tuple[str, ...]], Any]:
    return {
        (family.shown, labels): value
        for family, values in counting.measured()
        for labels, value in values.items()
    }


def run(**changes: Any) -> Run:
    made = Run(
        "o/r", 1, 1, "ci.yml", "CI", "t", "repository_dispatch", "queued", "", "main", "", NOW, NOW
    )
    return replace(made, **changes)


def dispatch(entry: str = "push", **changes: Any) -> Dispatch:
    made = Dispatch("dsp_1", "evt_1", entry, "o/r", "x", "{}", NOW, NOW, NOW)
    return replace(made, **changes)


def test_strangers_make_no_series() -> None:
    """Not by paths, names, statuses or words of GitHub's that nobody knew of."""
    counting = Counting(config([trigger_entry("push")]), lambda: NOW)
    before = len(counted(counting))
    for n in range(1000):
        at = NOW - timedelta(seconds=1)
        delivery = Delivery("/hook", "POST", f"/h{n}", {}, {}, {}, b"", "10.0.0.1", at)
        event = Event(f"evt_{n}", delivery)
        counting.hear(EventRecorded(event, (Verdict(f"gone-{n}", Outcome.DISPATCHED),)))
        counting.hear(RequestRefused("GET", f"/{n}", "10.0.0.1", 600 + n, "why"))
        counting.hear(Trouble(f"part-{n}", "text"))
        attempt = Attempt("dsp_1", 1, NOW, timedelta(0), "failed", status=600 + n)
        counting.hear(AttemptMade(dispatch(f"gone-{n}"), attempt))
        ended = run(id=n, status="completed", conclusion=f"word-{n}")
        counting.hear(RunSeen(dispatch(f"gone-{n}", match=Match.VERIFIED), ended, None))
    assert len(counted(counting)) - before == 5
    assert counted(counting)["dispatchd_runs_completed_total", ("other", "other")] == 1000


def test_of_a_very_large_config_the_first_thousand_entries_have_series() -> None:
    crons = [cron_entry(f"cron-{n}") for n in range(1002)]
    counting = Counting(config(crons=crons), lambda: NOW)
    for name in ("cron-999", "cron-1000", "cron-1001"):
        counting.hear(FiringAccounted(name, NOW, FiringOutcome.MISSED, "why", 5))
    found = counted(counting)
    assert found["dispatchd_firings_total", ("cron-999", "missed")] == 5
    assert found["dispatchd_firings_total", ("other", "missed")] == 10


def test_lateness_is_that_of_what_was_not_caught_up_on() -> None:
    counting = Counting(config(crons=[cron_entry("nightly")]), lambda: NOW)
    due = NOW - timedelta(seconds=2)
    for n, firing in enumerate(
        [
            Firing("nightly", due, NOW),
            Firing("nightly", NOW + timedelta(seconds=1), NOW),  # recorded ahead of its time
            Firing("nightly", due, NOW, catch_up=True),
            Firing("nightly", due, NOW, by_hand=True),
        ]
    ):
        counting.hear(EventRecorded(Event(f"evt_{n}", firing), ()))
    lateness = counted(counting)["dispatchd_firing_lateness_seconds", ()]
    assert (lateness.cumulative[-1], lateness.total) == (2, 2.0)


def test_what_is_superseded_and_what_takes_its_time_is_counted() -> None:
    counting = Counting(config([trigger_entry("push")]), lambda: NOW)
    delivery = Delivery("/hook", "POST", "/hook", {}, {}, {}, b"", "10.0.0.1", NOW)
    verdict = Verdict("push", Outcome.DISPATCHED, dispatches=(dispatch(),), supersedes=("a", "b"))
    counting.hear(EventRecorded(Event("evt_1", delivery), (verdict,)))
    taken = dispatch(state=State.ACCEPTED, settled_at=NOW + timedelta(seconds=3))
    counting.hear(DispatchSettled(taken))
    found = counted(counting)
    assert found["dispatchd_dispatches_settled_total", ("push", "superseded")] == 2
    assert found["dispatchd_dispatches_settled_total", ("push", "accepted")] == 1
    assert found["dispatchd_acceptance_delay_seconds", ()].total == 3


def test_a_run_that_is_made_again_ends_twice_and_starts_once() -> None:
    counting = Counting(config([trigger_entry("push")]), lambda: NOW)
    bound = dispatch(match=Match.VERIFIED)
    created = NOW + timedelta(seconds=4)
    begun = run(created_at=created)
    failed = run(created_at=created, status="completed", conclusion="failure")
    again = run(created_at=created, attempt=2)
    good = run(created_at=created, attempt=2, status="completed", conclusion="success")
    seen = [begun, failed, again, good]
    for before, now in zip([None, *seen], seen, strict=False):
        counting.hear(RunSeen(bound, now, before))
    found = counted(counting)
    assert found["dispatchd_runs_completed_total", ("push", "failure")] == 1
    assert found["dispatchd_runs_completed_total", ("push", "success")] == 1
    assert found["dispatchd_run_matches_total", ("verified",)] == 1
    assert found["dispatchd_event_to_run_seconds", ()].total == 4


def test_a_histogram_counts_a_value_up_to_every_bound_that_it_does_not_pass() -> None:
    histogram = Histogram((1, 5))
    for each in (0.5, 1, 4, 6):
        histogram.observe(each)
    assert (histogram.cumulative, histogram.total) == ((2, 3, 4), 11.5)


# The page, the alerts and the dashboard


@pytest.fixture
async def exposition(tmp_path: Path) -> str:
    async with serving(tmp_path, triggers=[trigger_entry("push")]) as daemon:
        return (await scrape(daemon))[1]


async def test_the_page_lists_the_metrics_that_there_are(exposition: str) -> None:
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposition, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", exposition, re.MULTILINE))
    labels = {each.shown: ", ".join(f"`{name}`" for name in each.labels) for each in FAMILIES}
    told = {(name, kinds[name], labels.get(name, ""), helps[name]) for name in kinds}
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", re.MULTILINE)
    assert set(row.findall(page)) == told
    assert labels.keys() <= kinds.keys()


def queries() -> Iterator[tuple[str, str]]:
    """What the alerts and the dashboard ask Prometheus, each with where it stands."""
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def named(query: str) -> dict[str, set[str]]:
    """The metrics that a query names, with the labels by which it chooses or groups."""
    # Grafana's variables stand where PromQL has a duration or a text.
    expression = promql_parser.parse(query.replace("$__rate_interval", "5m"))
    found: dict[str, set[str]] = {}
    grouped: set[str] = set()

    def visit(each: promql_parser.Expr) -> None:
        if isinstance(each, promql_parser.MatrixSelector):
            each = each.vector_selector
        if isinstance(each, promql_parser.VectorSelector):
            chosen = {matcher.name for matcher in each.matchers.matchers}
            found.setdefault(str(each.name), set()).update(chosen)
        if isinstance(each, promql_parser.AggregateExpr) and each.modifier is not None:
            grouped.update(each.modifier.labels)

    promql_parser.walk(expression, visit)
    return {name: labels | grouped for name, labels in found.items()}


def test_alerts_and_dashboard_name_metrics_and_labels_that_there_are(exposition: str) -> None:
    given = {"job", "instance"}  # by Prometheus itself
    known = {"up": set[str]()}
    for each in FAMILIES:
        parts = ("_bucket", "_count", "_sum") if each.kind == "histogram" else ("",)
        for suffix in parts:
            known[each.shown + suffix] = {*each.labels, *(["le"] if suffix == "_bucket" else [])}
    for name in re.findall(r"^# TYPE (process_\w+)", exposition, re.MULTILINE):
        known[name] = set()
    asked = list(queries())
    assert len(asked) > 40
    for place, query in asked:
        for name, labels in named(query).items():
            assert name in known, f"{place}: there is no {name}"
            assert labels <= known[name] | given, f"{place}: {labels - known[name] - given}"


promtool = shutil.which("promtool")


@pytest.mark.skipif(promtool is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_wrong_and_the_alerts_do_what_they_say(
    tmp_path: Path, exposition: str
) -> None:
    for file in (*MONITORING.glob("*.yml"), ROOT / "tests" / "alerts-test.yml"):
        shutil.copy(file, tmp_path)
    for arguments, given in (
        (["check", "metrics"], exposition),
        (["check", "config", "--syntax-only", "prometheus.yml"], ""),
        (["check", "rules", "alerts.yml"], ""),
        (["test", "rules", "alerts-test.yml"], ""),
    ):
        done = subprocess.run(
            [str(promtool), *arguments], cwd=tmp_path, input=given, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_one_that_grafana_can_lay_out() -> None:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
