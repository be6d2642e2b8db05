"""Intake: requests a second that are verified, judged, rendered and on disk before their 202,
against an aiohttp handler that only reads the same body."""

from __future__ import annotations

import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from statistics import median

from bench import payloads, stripe_events
from bench.home import API_KEY, STRIPE_SECRET, WEBHOOK_SECRET, Entry, Home, github_away
from bench.load import Served, send_all
from bench.plan import Plan
from bench.process import BenchError, Server, module, served
from bench.request import Request, Seal
from bench.row import Goal, Row, at_least
from bench.turns import in_turns

PUSH_BYTES = 7 * 1024
PULL_REQUEST_BYTES = 25 * 1024

GOAL = at_least(0.30)

AUTH = {"scheme": "github", "secret": "env:GH_WEBHOOK_SECRET"}
PATH = "/hooks/github"

PUSH: Entry = {
    "name": "push",
    "path": PATH,
    "auth": AUTH,
    "when": "headers['x-github-event'] == 'push'"
    " && body.ref == 'refs/heads/' + body.repository.default_branch",
    "dispatch": {
        "event_type": "push-received",
        "client_payload": {
            "repository": "{{ body.repository.full_name }}",
            "sha": "{{ body.after }}",
            "pusher": "{{ body.pusher.name }}",
        },
    },
}


def _labelled(name: str, event: str, condition: str) -> Entry:
    """One of the triggers that share a path, each for another kind of delivery."""
    return {
        "name": name,
        "path": PATH,
        "auth": AUTH,
        "when": f"headers['x-github-event'] == '{event}' && {condition}",
        "dispatch": {
            "event_type": name,
            "client_payload": {
                "number": "{{ body.number }}",
                "branch": "{{ body.pull_request.head.ref }}",
                "sha": "{{ body.pull_request.head.sha }}",
            },
        },
    }


CONDITIONS = (
    *((f"opened-{n}", f"body.action == 'opened' && body.number > {n}") for n in range(4)),
    *((f"base-{n}", f"body.pull_request.base.ref == 'release/{n}'") for n in range(5)),
    *(
        (f"label-{n}", f"body.pull_request.labels.exists(l, l.name == 'team-{n}')")
        for n in range(5)
    ),
    *((f"author-{n}", f"body.pull_request.user.login == 'bot-{n}'") for n in range(3)),
    ("draft", "body.pull_request.draft"),
    ("fork", "body.pull_request.head.repo.full_name != body.pull_request.base.repo.full_name"),
    ("deploy", "body.action == 'labeled' && body.label.name == 'deploy'"),
)
"""Twenty, of which the last one holds for `payloads.pull_request`."""

TWENTY: tuple[Entry, ...] = tuple(
    _labelled(name, "pull_request", condition) for name, condition in CONDITIONS
)


OTHERS = (
    *((f"issue-{n}", "issues", f"body.issue.number == {n}") for n in range(20)),
    *((f"service-{n}", "push", f"body.repository.name == 'service-{n}'") for n in range(20)),
    *((f"release-{n}", "push", f"body.ref == 'refs/heads/release/{n}'") for n in range(20)),
    *((f"bot-{n}", "push", f"body.pusher.name == 'bot-{n}'") for n in range(20)),
    *(
        (
            *(f"folder-{n}", "push"),
            f"body.commits.exists(c, c.modified.exists(f, f.startsWith('services/{n}/')))",
        )
        for n in range(20)
    ),
)

HUNDRED: tuple[Entry, ...] = tuple(
    {**PUSH, "name": name, "when": f"headers['x-github-event'] == '{event}' && {condition}"}
    for name, event, condition in OTHERS
)
"""Triggers that share a path, none of which wants `payloads.push`."""

STRIPE: Entry = {
    "name": "invoice",
    "path": "/hooks/stripe",
    "auth": {"scheme": "stripe", "secret": "env:STRIPE_WEBHOOK_SECRET"},
    "when": "body.type == 'invoice.paid'",
    "dispatch": {
        "event_type": "invoice-paid",
        "client_payload": {
            "invoice": "{{ body.data.object.id }}",
            "customer": "{{ body.data.object.customer }}",
            "amount": "{{ body.data.object.amount_paid }}",
        },
    },
}


def push_request() -> Request:
    seal = Seal(WEBHOOK_SECRET)
    headers = payloads.github_headers("push")
    return Request(PATH, headers, payloads.push(PUSH_BYTES), seal=seal)


def pull_request_request() -> Request:
    seal = Seal(WEBHOOK_SECRET)
    headers = payloads.github_headers("pull_request")
    return Request(PATH, headers, payloads.pull_request(PULL_REQUEST_BYTES), seal=seal)


def stripe_request() -> Request:
    """Its signatures are good for five minutes."""
    now = int(time.time())
    seal = stripe_events.seal(STRIPE_SECRET, now)
    return Request("/hooks/stripe", stripe_events.headers(now), stripe_events.paid(), seal=seal)


def call_request() -> Request:
    headers = {
        "Content-Type": "application/json",
        "Prefer": "respond-async",
        "x-api-key": API_KEY,
    }
    return Request("/dispatch", headers, payloads.call())


@dataclass(frozen=True, slots=True)
class Intake:
    """What is sent to which triggers. Each delivery has to be answered with ``status`` and to leave
    as many ``verdicts`` of one outcome on disk."""

    triggers: tuple[Entry, ...]
    request: Callable[[], Request]
    status: int = HTTPStatus.ACCEPTED
    outcome: str = "dispatched"
    verdicts: int = 1


def push(plan: Plan) -> Iterator[Row]:
    what = "a signed push of 7 KB, against a bare handler"
    yield _against_bare(plan, "intake-push", what, Intake((PUSH,), push_request), GOAL)


def pull_request(plan: Plan) -> Iterator[Row]:
    what = "a signed pull_request of 25 KB that 1 of 20 triggers wants, against a bare handler"
    intake = Intake(TWENTY, pull_request_request)
    yield _against_bare(plan, "intake-pull-request", what, intake, GOAL)


def dispatch(plan: Plan) -> Iterator[Row]:
    what = "POST /dispatch with respond-async, against a bare handler"
    yield _against_bare(plan, "intake-dispatch", what, Intake((PUSH,), call_request), GOAL)


def stripe(plan: Plan) -> Iterator[Row]:
    what = "a signed Stripe event of 6 KB, against a bare handler"
    yield _against_bare(plan, "intake-stripe", what, Intake((STRIPE,), stripe_request))


def unmatched(plan: Plan) -> Iterator[Row]:
    what = "a signed push of 7 KB that none of 100 triggers wants, against a bare handler"
    intake = Intake(HUNDRED, push_request, HTTPStatus.OK, "unmatched", len(HUNDRED))
    yield _against_bare(plan, "intake-unmatched", what, intake)


def least(plan: Plan) -> Iterator[Row]:
    name = "intake-least"
    what = "the work of intake-push by the libraries alone, against a bare handler"
    place = plan.directory(name)
    database = place / "least.sqlite3"

    def kept() -> int:
        with closing(sqlite3.connect(database)) as connection:
            ((count,),) = connection.execute("SELECT count(*) FROM dispatches")
        return int(count)

    with served(module("peers.least", str(database)), place / "least.log") as program:
        race = Race(plan, name, place, Intake((), push_request), program, kept)
        yield race.row(what, "libraries")


def _against_bare(
    plan: Plan, name: str, what: str, intake: Intake, goal: Goal | None = None
) -> Row:
    """The daemon and the bare handler in turns. GitHub is away, so that the dispatches wait."""
    place = plan.directory(name)
    home = Home(place, triggers=intake.triggers)
    with github_away() as github, home.daemon(github) as daemon:
        race = Race(plan, name, place, intake, daemon, partial(home.verdicts, intake.outcome))
        return race.row(what, "dispatchd", goal)


@dataclass(frozen=True, slots=True)
class Race:
    """A server and the bare handler in turns; ``kept`` says how much the server has on disk."""

    plan: Plan
    name: str
    place: Path
    intake: Intake
    server: Server
    kept: Callable[[], int]
    loads: dict[int, list[Served]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By process; of CPU, in µs a request."""

    def row(self, what: str, called: str, goal: Goal | None = None) -> Row:
        """Raises BenchError where less is on disk than was acknowledged."""
        place, intake, server = self.place, self.intake, self.server
        with served(module("peers.bare"), place / "bare.log") as bare:
            warm = self.plan.count(2000, 50)
            send_all(bare.url, intake.request(), place, warm)
            send_all(server.url, intake.request(), place, warm, intake.status)
            before = self.kept()
            ours = partial(self._rate, server, intake.status)
            theirs = partial(self._rate, bare, HTTPStatus.ACCEPTED)
            turns = in_turns(self.plan, self.name, ours, theirs)
        answered = sum(load.answered for load in self.loads[server.pid])
        kept = self.kept() - before
        if kept < answered * intake.verdicts:
            raise BenchError(
                f"{answered} were answered {intake.status}, with {intake.verdicts} × "
                f"{intake.outcome} for each, and {kept} of these are on disk"
            )
        cpu = [median(self.costs[each.pid]) for each in (server, bare)]
        beside = turns.beside(called, "bare") | {
            "CPU": f"{cpu[0]:.0f} µs to {cpu[1]:.0f} µs each",
            "p99": f"{median(load.p99 for load in self.loads[server.pid]):.0f} ms",
        }
        return Row.of(self.name, what, turns.ratios, goal=goal, beside=beside)

    def _rate(self, server: Server, status: int) -> float:
        place, seconds = self.place, self.plan.sized(5, 0.5)
        before = server.busy()
        load = self.plan.generator.load(server.url, self.intake.request(), place, seconds, status)
        self.loads[server.pid].append(load)
        self.costs[server.pid].append((server.busy() - before) / load.answered * 1e6)
        return load.rate
