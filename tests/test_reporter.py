"""What systemd is told of the daemon, and when its watchdog goes hungry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon.dispatch import State
from daemon.errors import StoreUnavailable
from daemon.facts import Fact, Facts, Started, Stopping, Trouble
from daemon.reporter import Reporter
from daemon.systemd import Notifier
from tests.test_systemd import Told

DEADLINE = 20.0
WATCHDOG = 0.3
STARTED = Started(("http://127.0.0.1:8080",), 2, 1, "sqlite", simulated=False)


class Part:
    """Gives its word at once, until it is stuck or unwell."""

    def __init__(self) -> None:
        self.works = asyncio.Event()
        self.works.set()
        self.error: Exception | None = None

    async def word(self) -> None:
        await self.works.wait()
        if self.error is not None:
            raise self.error


class Watched:
    def __init__(self, told: Told, facts: Facts, part: Part) -> None:
        self.told, self.facts, self.part = told, facts, part
        self.seen: list[Fact] = []
        facts.subscribe(self.seen.append)

    @property
    def fed(self) -> int:
        return self.told.messages.count("WATCHDOG=1")

    async def fed_again(self) -> None:
        await self.told.until("WATCHDOG=1", len(self.told.messages))


@asynccontextmanager
async def watched(
    directory: Path,
    stuck: str = "",
    counts: Mapping[State, int] | None = None,
) -> AsyncIterator[Watched]:
    address = str(directory / "notify")
    async with asyncio.timeout(DEADLINE), Told(address) as told:
        facts, parts = Facts(), {name: Part() for name in ("store", "dispatcher")}

        async def counted() -> Mapping[State, int]:
            return counts or {}

        words: dict[str, Callable[[], Awaitable[object]]] = {n: p.word for n, p in parts.items()}
        reporter = Reporter(
            Notifier({"NOTIFY_SOCKET": address}), words, counted, watchdog=WATCHDOG, facts=facts
        )
        facts.subscribe(reporter.hear)
        running = asyncio.create_task(reporter.run())
        yield Watched(told, facts, parts[stuck or "store"])
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()


async def test_it_is_ready_when_it_serves_and_says_how_it_stands(tmp_path: Path) -> None:
    counts = {State.PENDING: 2, State.SENDING: 1, State.HELD: 4}
    async with watched(tmp_path, counts=counts) as it:
        await it.fed_again()
        assert not any("READY" in message for message in it.told.messages)
        it.facts.publish(STARTED)
        await it.told.until("READY=1")
        message = await it.told.until("pending")
        assert message.endswith(
            "STATUS=2 crons, 1 trigger; 3 pending, 4 held; nothing dispatched since the start"
        )
        it.facts.publish(Stopping(1))
        assert await it.told.until("STOPPING=1") == (
            "STOPPING=1\nSTATUS=stopping; 1 dispatch in flight"
        )


async def test_it_says_that_it_is_a_simulation(tmp_path: Path) -> None:
    async with watched(tmp_path) as it:
        it.facts.publish(Started((), 0, 0, "sqlite", simulated=True))
        assert "STATUS=SIMULATION: 0 crons" in await it.told.until("READY=1")


@pytest.mark.parametrize("part", ["store", "dispatcher"])
async def test_a_part_that_is_stuck_lets_the_watchdog_go_hungry_until_it_works_again(
    tmp_path: Path, part: str
) -> None:
    async with watched(tmp_path, part) as it:
        it.facts.publish(STARTED)
        await it.fed_again()
        it.part.works.clear()
        await it.told.until(f"the {part} is stuck")
        fed = it.fed
        for _ in range(3):
            await it.told.until(f"the {part} is stuck", len(it.told.messages))
        assert it.fed == fed
        it.part.works.set()
        await it.fed_again()
        troubles = [fact.message for fact in it.seen if isinstance(fact, Trouble)]
        assert [text.split(" for ")[0] for text in troubles] == [
            f"the {part} has not stirred",
            f"the {part} works again",
        ]


async def test_a_database_that_refuses_is_told_and_is_no_reason_to_start_anew(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as it:
        it.facts.publish(STARTED)
        it.part.error = StoreUnavailable("the disk is full")
        await it.told.until("the database does not take writes")
        await it.fed_again()
        it.part.error = None
        await it.told.until("0 pending", len(it.told.messages))


async def test_where_nobody_listens_nothing_is_asked() -> None:
    async def never() -> Mapping[State, int]:
        raise AssertionError

    reporter = Reporter(Notifier({}), {"store": never}, never, watchdog=None, facts=Facts())
    await reporter.run()
