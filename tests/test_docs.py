"""The documents are true: their commands do what they show, their links lead somewhere, and what
they list is what there is."""

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from daemon import app, catching_up, dispatcher, janitor, scheduler, spec
from daemon.admission import OPEN, SCOPES, SOCKET_ONLY
from daemon.api import LISTED_BY_DEFAULT, LISTED_MAX, Api
from daemon.arming import Arming
from daemon.body import DEPTH_MAX, FORM_FIELDS_MAX
from daemon.branches import Branches
from daemon.by_hand import ByHand
from daemon.cli.commands import app as command_line
from daemon.client import REDIRECTS_MAX
from daemon.connections import HEAD_MAX, KEEP_ALIVE, Limits
from daemon.cron import parse
from daemon.dispatch import State
from daemon.dispatch_route import CALL_BYTES_MAX, IDEMPOTENCY_KEY_MAX, SETTLED_WITHIN
from daemon.doors import ADMINS
from daemon.event import Outcome
from daemon.github import PAYLOAD_BYTES_MAX
from daemon.hooking import Hooking
from daemon.http_server import FILES_BESIDE
from daemon.pausing import Pausing
from daemon.reading import BODY_TIMEOUT, LARGE, ROOM_BYTES
from daemon.releasing import Releasing
from daemon.reloading import Reloading
from daemon.retry import RetryPolicy
from daemon.simulator import Fault, FaultKind
from daemon.spec import Config, Pace
from daemon.web import SECURITY_HEADERS, TRANSPORT_SECURITY
from tests.console import Step, Terminal, steps
from tests.examples import Example, examples
from tests.harness import reserved_port

pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("examples/*.md"), *DOCS.rglob("*.md")])
SAID = {**SECURITY_HEADERS, **TRANSPORT_SECURITY}
del SAID["Server"]
SIMULATION = {"dispatchd/dispatchd.sqlite": "dispatchd/dispatchd-simulation.sqlite"}

LOOKS = re.compile(r"curl (?!.* -[Xd])|dispatchd (status|events|dispatches)\b", re.DOTALL)
"""Commands that change nothing: a reader types them again while something is on its way."""
LOOK_AGAIN = 100
PAUSE = 0.2
"""Seconds between two looks, each of which is a process."""


@pytest.mark.parametrize(
    "pages",
    [
        ["http.md"],
        ["simulation.md"],
        ["chains.md"],
        ["commands.md", "delivery.md", "housekeeping.md", "upgrading.md"],
    ],
    ids=" ".join,
)
async def test_the_pages_can_be_followed_from_the_top_to_the_bottom(
    tmp_path_factory: pytest.TempPathFactory, pages: list[str]
) -> None:
    """The commands are typed in order, beside a daemon in simulation with the page's own config,
    and print what the page shows."""
    home = tmp_path_factory.mktemp("home")  # short: a socket's path has a limit
    await read([DOCS / page for page in pages], home)


async def read(pages: list[Path], home: Path) -> None:
    with reserved_port() as port:
        here = f"127.0.0.1:{port}"
        environ = {"DISPATCHD_LISTEN": here, "COLUMNS": "200"}
        replaced = {"127.0.0.1:8080": here, **SIMULATION}
        async with Terminal(home, environ, replaced) as terminal:
            for page in pages:
                for example in examples(page):
                    await follow(example, terminal, home)
            assert await terminal.stop() == 0


async def follow(example: Example, terminal: Terminal, home: Path) -> None:
    """Does with one example what the page tells its readers to do with it."""
    match example:
        case Example(directives={"file": file}):
            path = home / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(example.text)
        case Example(language="console", directives={"needs": program}) if not shutil.which(
            program
        ):
            pass
        case Example(language="console", directives={"background": ""} as directives):
            (step,) = steps(example)
            if "instead" in directives:
                assert await terminal.stop() == 0
            await terminal.leave_running(step)
        case Example(language="console"):
            for step in steps(example):
                await type_and_note(step, terminal)


async def type_and_note(step: Step, terminal: Terminal) -> None:
    """Types the command, and puts the ids that it shows into ``$EVENT`` and ``$DISPATCH``."""
    for _ in range(LOOK_AGAIN if LOOKS.match(step.command) else 0):
        try:
            printed = await terminal.type(step)
            break
        except AssertionError:
            await asyncio.sleep(PAUSE)
    else:
        printed = await terminal.type(step)
    for name, prefix in (("EVENT", "evt"), ("DISPATCH", "dsp")):
        if found := re.search(rf"\b{prefix}_[0-9a-z]{{26}}\b", printed):
            await terminal.type(Step(f"export {name}={found[0]}", "", step.line))


def anchors(page: Path) -> set[str]:
    """What can stand behind ``#`` in a link to the page, by GitHub's rule for headings."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    broken = []
    for link in links:
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    assert pages == {link for link in re.findall(r"\]\(([^)]+)\)", index) if "../" not in link}


def test_the_routes_listed_are_those_that_are_served() -> None:
    unused: Any = None
    api = Api(
        unused,
        unused,
        Arming((), unused, unused),
        Pausing(Config((), (), unused), unused, unused),
        ByHand(unused, unused),
        Hooking(Config((), (), unused), unused, unused, unused, unused),
        Releasing(Config((), (), unused), unused, unused, unused),
        Reloading(unused),
        Branches(unused, unused, unused),
        unused,
        unused,
        unused,
        unused,
        unused,
        unused,
    )
    served = {(route.method, route.path) for route in api.routes(trusted=True)}
    text = (DOCS / "http.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(GET|POST) (\S+)` \| (.*?) \|", text, re.MULTILINE)
    listed = {(method, path): key for method, path, key in rows}
    assert listed.keys() == {route for route in served if route[0] != "*"}
    wanted = {route: f"`{scope}`" for route, scope in SCOPES.items()}
    wanted |= dict.fromkeys(OPEN, "–")
    wanted |= dict.fromkeys(SOCKET_ONLY, "[socket only](#the-unix-socket)")
    assert listed == wanted
    public = {(route.method, route.path) for route in api.routes(trusted=False)}
    assert served - public == {*SOCKET_ONLY, *(("*", path) for _, path in SOCKET_ONLY)}


def test_the_commands_explained_are_those_that_exist_with_all_their_options() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    commands: dict[str, Any] = get_command(command_line).commands  # type: ignore[attr-defined]
    assert {f"## {name}" for name in commands} <= set(text.splitlines())
    assert set(re.findall(r"^\| \[`dispatchd (\w+)`\]", text, re.MULTILINE)) == set(commands)
    for name, command in commands.items():
        options = [option for each in command.params for option in each.opts]
        missing = [one for one in options if one.startswith("--") and f"{one}" not in text]
        assert missing == [], name


def first_cells(page: str, heading: str) -> set[str]:
    """What is named in the first column of the table below a heading."""
    _, _, rest = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    rows = re.findall(r"^\| (`.*?) \|", rest.partition("\n## ")[0], re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_verdict_and_every_state_is_explained() -> None:
    assert first_cells("flow.md", "Verdicts") == set(Outcome)
    assert first_cells("flow.md", "States of a dispatch") == set(State)


def test_everything_that_the_stand_in_can_do_wrong_is_explained() -> None:
    explained = first_cells("simulation.md", "Faults")
    assert explained == {*FaultKind, *(field.name for field in fields(Fault))}


def test_the_map_of_the_code_leaves_nothing_out_and_names_nothing_that_is_not_there() -> None:
    text = (DOCS / "flow.md").read_text(encoding="utf-8").partition("## A map of the code")[2]
    mapped = set(re.findall(r"`daemon/(\w+(?:\.py|/))`", text))
    there = {file.name for file in (ROOT / "daemon").glob("[!_]*.py")}
    there |= {f"{file.parent.name}/" for file in (ROOT / "daemon").glob("*/__init__.py")}
    assert mapped == there


def test_every_path_into_the_code_exists() -> None:
    for page in PAGES:
        for path in re.findall(r"`(daemon/[\w./]+)`", page.read_text(encoding="utf-8")):
            assert (ROOT / path).exists(), f"{page}: {path}"


def test_the_figures_named_are_those_of_the_code() -> None:
    retry, pace, limits = RetryPolicy(), Pace(), Limits()
    figures = {
        "delivery.md": [
            f"until when at most ({dispatcher.LEASE.seconds // 60} minutes)",
            f"GitHub gets {app.DRAIN.seconds} seconds",
            f"followed, at most {REDIRECTS_MAX} times",
            f"a random time of up to {retry.base.seconds} s, doubled with each attempt, and up to "
            f"{retry.cap.seconds // 60} min",
            f"{retry.window.days * 24} h after its first attempt",
            f"the wait is {retry.throttle_base.seconds // 60} min at least",
            f"{retry.throttle_cap.seconds // 3600} h at most",
            f"| `GH_WRITE_BURST` | {pace.burst} |",
            f"| `GH_WRITES_PER_SECOND` | {pace.writes_per_second:g} |",
            f"| `GH_WRITES_PER_HOUR` | {pace.writes_per_hour} |",
            f"at most {dispatcher.IN_FLIGHT_MAX} at once",
            f"up to {catching_up.ON_TIME.seconds} s late",
            f"`catch_up_limit` instants ({spec.CATCH_UP_LIMIT})",
            f"every {scheduler.TICK.seconds} s at the latest",
            f"every {janitor.EVERY / 60:.0f} minutes",
        ],
        "http.md": [
            f"more than {DEPTH_MAX} levels deep",
            f"more than {FORM_FIELDS_MAX:,} fields",
            f"within {BODY_TIMEOUT:.0f} s",
            f"together {HEAD_MAX:,} bytes, and {limits.head:.0f} s from the first byte",
            f"| {ROOM_BYTES // 2**20} MiB, from the first byte",
            f"its large bodies (over {LARGE // 2**10} KiB)",
            f"| {limits.connections:,}, or the limit of open files less {FILES_BESIDE} |",
            f"| {limits.head:.0f} s from the first byte; until then",
            *(f"`{name}: {value}`" for name, value in SAID.items()),
            f"| {KEEP_ALIVE / 60:.1f} minutes |",
            f"| {limits.answer:.0f} s in which nothing of it is taken |",
            f"takes {ADMINS.connections} connections",
            f"within {SETTLED_WITHIN:.0f} s",
            f"{PAYLOAD_BYTES_MAX:,} bytes",
            f"larger than {CALL_BYTES_MAX // 2**20} MiB",
            f"1 to {IDEMPOTENCY_KEY_MAX} characters",
            f"`limit` (1 to {LISTED_MAX}, else {LISTED_BY_DEFAULT})",
        ],
    }
    for page, expected in figures.items():
        text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
        assert [figure for figure in expected if figure not in text] == []


def test_schedules_fire_around_a_change_of_the_clock_as_the_table_says() -> None:
    text = (DOCS / "delivery.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| `(\w+/\w+)` \| (\S+) \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) > 3
    for expression, zone, after, shown in rows:
        schedule, instant = parse(expression, zone), datetime.fromisoformat(after)
        for expected in re.findall(r"\d{4}\S+Z", shown):
            found = schedule.next_after(instant)
            assert found == datetime.fromisoformat(expected), (expression, zone, after)
            instant = found
