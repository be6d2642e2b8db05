"""Intake: requests a second that are verified, judged, rendered and on disk before their 202,
against an aiohttp handler that only reads the same body."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from bench import payloads
from bench.home import API_KEY, WEBHOOK_SECRET, Entry, Home, github_away
from bench.load import Served, send_all
from bench.plan import Plan
from bench.process import BenchError, Server, module, served
from bench.request import MARK, Request
from bench.row import Row, at_least
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


def push_request() -> Request:
    body = payloads.push(PUSH_BYTES)
    return Request(PATH, payloads.github_headers("push", body, WEBHOOK_SECRET, MARK), body)


def pull_request_request() -> Request:
    body = payloads.pull_request(PULL_REQUEST_BYTES)
    headers = payloads.github_headers("pull_request", body, WEBHOOK_SECRET, MARK)
    return Request(PATH, headers, body)


def call_request() -> Request:
    headers = {
        "Content-Type": "application/json",
        "Prefer": "respond-async",
        "x-api-key": API_KEY,
    }
    return Request("/dispatch", headers, payloads.call())


def push(plan: Plan) -> Iterator[Row]:
    what = "a signed push of 7 KB, against a bare handler"
    yield _against_bare(plan, "intake-push", what, (PUSH,), push_request())


def pull_request(plan: Plan) -> Iterator[Row]:
    what = "a signed pull_request of 25 KB that 1 of 20 triggers wants, against a bare handler"
    yield _against_bare(plan, "intake-pull-request", what, TWENTY, pull_request_request())


def dispatch(plan: Plan) -> Iterator[Row]:
    what = "POST /dispatch with respond-async, against a bare handler"
    yield _against_bare(plan, "intake-dispatch", what, (PUSH,), call_request())


def _against_bare(
    plan: Plan, name: str, what: str, triggers: tuple[Entry, ...], request: Request
) -> Row:
    """The daemon and the bare handler in turns. GitHub is away, so that the dispatches wait."""
    place = plan.directory(name)
    seconds = plan.sized(5, 0.2)
    loads: dict[int, list[Served]] = defaultdict(list)
    costs: dict[int, list[float]] = defaultdict(list)

    def rate(server: Server) -> float:
        before = server.busy()
        load = plan.generator.load(server.url, request, place, seconds)
        loads[server.pid].append(load)
        costs[server.pid].append((server.busy() - before) / load.answered * 1e6)
        return load.rate

    home = Home(place, triggers=triggers)
    with github_away() as github, served(module("peers.bare"), place / "bare.log") as bare:
        with home.daemon(github) as daemon:
            send_all(bare.url, request, place, plan.count(2000, 50))  # to warm up
            send_all(daemon.url, request, place, plan.count(2000, 50))
            before = home.dispatches()
            turns = in_turns(plan, name, lambda: rate(daemon), lambda: rate(bare))
        answered = sum(load.answered for load in loads[daemon.pid])
        if (owed := home.dispatches() - before) < answered:
            raise BenchError(f"{answered} were answered 202, {owed} dispatches are on disk")
    beside = turns.beside("dispatchd", "bare") | {
        "CPU": f"{median(costs[daemon.pid]):.0f} µs to {median(costs[bare.pid]):.0f} µs each",
        "p99": f"{median(load.p99 for load in loads[daemon.pid]):.0f} ms",
    }
    return Row.of(name, what, turns.ratios, goal=GOAL, beside=beside)
