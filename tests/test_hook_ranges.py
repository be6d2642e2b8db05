"""GitHub's own networks: asked for over HTTP, kept over restarts, asked for again in time, and what
holds while GitHub cannot be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.addresses import AllowList, Networks
from daemon.client import GitHub
from daemon.errors import FetchError, StoreError, StoreUnavailable
from daemon.facts import Fact, Facts, RequestRefused, Trouble
from daemon.github_meta import META_MAX, RANGES_MAX, HookRanges, meta_request, ranges_told
from daemon.hook_ranges import FIRST_PAUSE, FRESH, LONGEST_PAUSE, RangeRefresher
from daemon.secret import Secret
from daemon.simulator import Simulator
from daemon.store import Store
from tests.inprocess import serving
from tests.specs import SIGNED, trigger_entry
from tests.wires import SHORT, T0, TOKEN, now, response, saying, wire

SOURCE = "https://api.github.com"
KEPT = HookRanges(SOURCE, ("192.0.2.0/24",), '"v1"', T0)
HOOKS = b'{"hooks": ["192.0.2.0/24", "2001:db8::/32"]}'

BODIES = st.dictionaries(
    st.sampled_from(["hooks", "web"]),
    st.lists(st.none() | st.text(max_size=5) | st.ip_addresses().map(str)) | st.integers(0, 9),
).map(orjson.dumps)


def told(status: int, body: bytes = b"", known: HookRanges | None = None, etag: str = "") -> object:
    """What an answer comes to: the ranges, or why there are none."""
    try:
        return ranges_told(status, {"etag": etag}, body, known=known, source=SOURCE, now=T0 + FRESH)
    except FetchError as error:
        return str(error)


class TestTheAnswer:
    def test_it_names_the_networks_of_webhooks(self) -> None:
        cidrs = ("192.0.2.0/24", "2001:db8::/32")
        assert told(200, HOOKS, etag='W/"1"') == HookRanges(SOURCE, cidrs, 'W/"1"', T0 + FRESH)

    def test_not_modified_means_that_what_is_known_still_holds(self) -> None:
        assert told(304, known=KEPT) == replace(KEPT, told_at=T0 + FRESH)
        assert "304" in str(told(304))
        assert "304" in str(told(304, known=replace(KEPT, source="https://ghe.example/api/v3")))

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (200, b"", "not GitHub: check GH_API_URL"),
            (200, b"<html>log in</html>", "not GitHub: check GH_API_URL"),
            (200, b"[]", "not GitHub: check GH_API_URL"),
            (200, b"[" * 100_000, "not GitHub: check GH_API_URL"),
            (200, b"{}", "names no `hooks`"),
            (200, b'{"hooks": []}', "names no `hooks`"),
            (200, b'{"hooks": "192.0.2.0/24"}', "names no `hooks`"),
            (200, b'{"hooks": ["192.0.2.0/24", 7]}', "'7' is not a network"),
            (200, b'{"hooks": ["192.0.2.0/24", "192.0.2.1/24"]}', "is an address within a network"),
            (301, b"", "answered 301 to GET https://api.github.com/meta: check GH_API_URL"),
            (401, b"", "the token is wrong, expired or revoked"),
            (403, b"", "a rate limit, or the token is not permitted"),
            (404, b"", "check GH_API_URL"),
            (502, b"", "GitHub answered 502 to GET https://api.github.com/meta"),
        ],
    )
    def test_one_that_names_none_says_what_to_do(self, status: int, body: bytes, said: str) -> None:
        assert said in str(told(status, body))

    def test_it_may_not_name_more_than_is_looked_through_for_each_delivery(self) -> None:
        many = orjson.dumps({"hooks": ["192.0.2.1"] * (RANGES_MAX + 1)})
        assert "1,001 networks" in str(told(200, many))

    @pytest.mark.parametrize("etag", ["", "a\r\nb: c", "x" * 201, "ä"])
    def test_an_etag_that_cannot_be_sent_again_is_left_out(self, etag: str) -> None:
        found = told(200, HOOKS, etag=etag)
        assert isinstance(found, HookRanges)
        assert found.etag == ""
        assert "If-None-Match" not in meta_request(SOURCE, found).headers

    def test_an_etag_goes_to_the_api_that_gave_it_and_to_no_other(self) -> None:
        assert meta_request(SOURCE, KEPT).headers["If-None-Match"] == '"v1"'
        assert "If-None-Match" not in meta_request("https://ghe.example/api/v3", KEPT).headers

    @given(st.integers(100, 599), st.binary() | BODIES)
    def test_whatever_is_answered_it_is_ranges_or_a_fetch_error(
        self, status: int, body: bytes
    ) -> None:
        assert isinstance(told(status, body, KEPT), HookRanges | str)


class TestOverHttp:
    async def test_the_stand_in_tells_them_and_a_simulations_own_sender_is_among_them(
        self, simulator: Simulator
    ) -> None:
        async with GitHub(simulator.url, TOKEN, now) as github:
            ranges = await github.hook_ranges(None)
        hooks = Networks.parse(ranges.cidrs)
        assert (ranges.source, ranges.told_at) == (simulator.url, T0)
        assert all(map(hooks.contains, ["192.30.252.1", "2a0a:a440::1", "127.0.0.1", "::1"]))
        assert not hooks.contains("127.0.0.2")

    async def test_what_is_known_already_is_not_sent_again(self, simulator: Simulator) -> None:
        later = T0 + timedelta(days=1)
        async with GitHub(simulator.url, TOKEN, now) as github:
            ranges = await github.hook_ranges(None)
        async with GitHub(simulator.url, TOKEN, lambda: later) as github:
            body_less = replace(ranges, cidrs=("192.0.2.0/24",))  # as only the body could correct
            again = await github.hook_ranges(body_less)
        assert again == replace(body_less, told_at=later)

    async def test_a_wrong_token_is_named(self, simulator: Simulator) -> None:
        async with GitHub(simulator.url, Secret("ghp_other", "env:GH_TOKEN"), now) as github:
            with pytest.raises(FetchError, match=r"answered 401 .* set GH_TOKEN"):
                await github.hook_ranges(None)

    async def test_the_request_carries_the_token_and_asks_for_no_compression(self) -> None:
        async with (
            wire(saying(response(200, HOOKS))) as server,
            GitHub(server.url, TOKEN, now) as github,
        ):
            await github.hook_ranges(replace(KEPT, source=server.url))
        (head,) = server.heads
        assert head.startswith("GET /meta HTTP/1.1\r\n")
        assert f"Authorization: Bearer {TOKEN.reveal()}\r\n" in head
        assert "Accept-Encoding: identity\r\n" in head
        assert 'If-None-Match: "v1"\r\n' in head

    async def test_a_redirect_is_not_followed(self) -> None:
        async with wire(saying(response(200, HOOKS))) as elsewhere:
            moved = response(302, b"", f"Location: {elsewhere.url}/meta")
            async with wire(saying(moved)) as server, GitHub(server.url, TOKEN, now) as github:
                with pytest.raises(FetchError, match="answered 302"):
                    await github.hook_ranges(None)
        assert elsewhere.heads == []

    async def test_an_answer_that_is_too_large_is_given_up(self) -> None:
        endless = response(200, b" " * (META_MAX + 1))
        async with wire(saying(endless)) as server, GitHub(server.url, TOKEN, now) as github:
            with pytest.raises(FetchError, match="more than 4,194,304 bytes"):
                await github.hook_ranges(None)

    async def test_an_answer_that_breaks_off_is_none(self) -> None:
        """Half of a list would turn away what comes from the other half."""

        async def break_off(writer: asyncio.StreamWriter) -> None:
            writer.write(response(200, HOOKS)[:-5])
            writer.close()

        async with wire(break_off) as server, GitHub(server.url, TOKEN, now) as github:
            with pytest.raises(FetchError, match=r"could not be reached at 127\.0\.0\.1"):
                await github.hook_ranges(None)

    async def test_an_answer_that_does_not_come_is_not_waited_for(self) -> None:
        over = asyncio.Event()

        async def stall(_: asyncio.StreamWriter) -> None:
            await over.wait()

        async with wire(stall) as server:
            async with GitHub(server.url, TOKEN, now, timeout=SHORT) as github:
                with pytest.raises(FetchError, match="timed out"):
                    await github.hook_ranges(None)
            over.set()


class Shelf:
    """A store of one row, which can fail."""

    def __init__(self, ranges: HookRanges | None = None) -> None:
        self.ranges = ranges
        self.failing: StoreError | None = None

    async def hook_ranges(self, source: str) -> HookRanges | None:
        if self.failing:
            raise self.failing
        return self.ranges if self.ranges and self.ranges.source == source else None

    async def keep_hook_ranges(self, ranges: HookRanges) -> None:
        if self.failing:
            raise self.failing
        self.ranges = ranges


class Enough(Exception):
    """Ends a refresher after so many sleeps."""


class Days:
    """A refresher whose sleeps move the clock and take no time."""

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.now = T0
        self.shelf = shelf or Shelf()
        self.answers: Callable[[], HookRanges] = lambda: replace(KEPT, told_at=self.now)
        self.asked: list[tuple[float, HookRanges | None]] = []
        self.slept: list[float] = []
        self.most = 0
        self.seen: list[Fact] = []
        facts = Facts()
        facts.subscribe(self.seen.append)
        self.refresher = RangeRefresher(
            self.fetch, self.shelf, SOURCE, clock=lambda: self.now, facts=facts, sleep=self.sleep
        )
        self.refresher.need(needed=True)

    async def fetch(self, known: HookRanges | None) -> HookRanges:
        self.asked.append(((self.now - T0).total_seconds(), known))
        return self.answers()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        if len(self.slept) == self.most:
            raise Enough

    async def pass_by(self, sleeps: int) -> None:
        """Runs for so many sleeps."""
        self.most = len(self.slept) + sleeps
        with pytest.raises(Enough):
            await self.refresher.run()

    @property
    def troubles(self) -> list[str]:
        return [fact.message for fact in self.seen if isinstance(fact, Trouble)]

    def refuse(self) -> None:
        def failing() -> HookRanges:
            raise FetchError("GitHub answered 502")

        self.answers = failing


class TestRefreshing:
    async def test_they_are_asked_for_at_once_and_then_once_a_day(self) -> None:
        days = Days()
        assert days.refresher.known() is None
        await days.pass_by(49)
        assert days.refresher.known() == Networks.parse(KEPT.cidrs)
        assert [at for at, _ in days.asked] == [0.0, 86400.0, 172800.0]
        assert [known is None for _, known in days.asked] == [True, False, False]
        assert days.shelf.ranges == replace(KEPT, told_at=T0 + 2 * FRESH)
        assert days.troubles == []

    async def test_after_a_restart_they_are_known_before_github_is_asked(self) -> None:
        days = Days(Shelf(KEPT))
        days.refuse()
        days.now = T0 + timedelta(days=400)
        await days.refresher.recall()
        assert days.refresher.known() == Networks.parse(KEPT.cidrs)
        await days.pass_by(1)
        assert days.refresher.known() == Networks.parse(KEPT.cidrs)
        assert days.asked[0][1] == KEPT
        assert "Those of 2026-03-01T12:00:00Z hold until they are" in days.troubles[0]

    async def test_after_a_restart_they_are_not_asked_for_before_the_day_is_over(self) -> None:
        days = Days(Shelf(KEPT))
        days.now = T0 + timedelta(hours=23)
        await days.refresher.recall()
        await days.pass_by(2)
        assert [at for at, _ in days.asked] == [86400.0]

    async def test_what_another_api_told_is_not_recalled(self) -> None:
        days = Days(Shelf(replace(KEPT, source="https://ghe.example/api/v3")))
        await days.refresher.recall()
        assert days.refresher.known() is None

    async def test_those_that_a_wrong_clock_dated_ahead_are_asked_for_at_once(self) -> None:
        days = Days(Shelf(replace(KEPT, told_at=T0 + timedelta(days=1000))))
        await days.refresher.recall()
        await days.pass_by(1)
        assert [at for at, _ in days.asked] == [0.0]

    async def test_while_it_fails_it_is_tried_again_after_pauses_that_grow(self) -> None:
        days = Days()
        days.refuse()
        await days.pass_by(12)
        assert days.slept[:4] == [FIRST_PAUSE, 10.0, 20.0, 40.0]
        assert days.slept[-1] == LONGEST_PAUSE
        assert len(days.asked) == 12

    async def test_a_failure_is_told_once_with_what_it_means_until_it_is_over(self) -> None:
        days = Days()
        days.refuse()
        await days.pass_by(5)
        (told_once,) = days.troubles
        assert "GitHub answered 502" in told_once
        assert "Until they are, triggers that allow `github` refuse what GitHub sends" in told_once
        days.answers = lambda: replace(KEPT, told_at=days.now)
        await days.pass_by(1)
        assert days.slept[-1] > LONGEST_PAUSE
        days.refuse()
        days.now += FRESH
        await days.pass_by(3)
        assert len(days.troubles) == 2

    async def test_networks_that_github_changed_take_the_place_of_the_old_ones(self) -> None:
        days = Days(Shelf(KEPT))
        await days.refresher.recall()
        moved = replace(KEPT, cidrs=("198.51.100.0/24",), told_at=T0 + FRESH)
        days.answers = lambda: moved
        days.now = T0 + FRESH
        await days.pass_by(1)
        allowed = AllowList(Networks(), github=True)
        assert allowed.objection("198.51.100.1", days.refresher.known()) == ""
        assert allowed.objection("192.0.2.1", days.refresher.known())
        assert days.shelf.ranges == moved

    async def test_a_store_that_fails_takes_nothing_from_what_was_fetched(self) -> None:
        days = Days()
        days.shelf.failing = StoreUnavailable("the disk is full")
        await days.refresher.recall()
        await days.pass_by(2)
        assert days.refresher.known() == Networks.parse(KEPT.cidrs)
        assert [text.partition("the disk is full")[1] for text in days.troubles] == [
            "the disk is full"
        ] * 2

    async def test_what_was_kept_and_cannot_be_read_is_fetched_again(self) -> None:
        days = Days(Shelf(replace(KEPT, cidrs=("192.0.2.0/24", "?"))))
        await days.refresher.recall()
        assert days.refresher.known() is None
        await days.pass_by(1)
        assert days.refresher.known() == Networks.parse(KEPT.cidrs)
        assert "they are fetched again" in days.troubles[0]


class TestInTheDaemon:
    """A trigger that allows ``github`` alone, and a sender on this machine."""

    TRIGGER = trigger_entry(auth=SIGNED, allow_from=["github"])

    async def test_what_an_earlier_start_was_told_admits_the_first_delivery(
        self, tmp_path: Path
    ) -> None:
        async with Simulator(now, tokens=["another"]) as simulator:  # which tells nothing today
            url = f"sqlite:///{tmp_path}/dispatchd.sqlite"
            store = Store.open(url, owner="earlier", now=T0)
            await store.keep_hook_ranges(HookRanges(simulator.url, ("127.0.0.1/32",), "", T0))
            await store.close()
            async with serving(tmp_path, triggers=[self.TRIGGER], simulator=simulator) as daemon:
                assert (await daemon.deliver("/hook", {}))[0] == 202

    async def test_while_they_were_never_told_a_delivery_is_refused_with_the_reason(
        self, tmp_path: Path
    ) -> None:
        github = Simulator(now, tokens=["another"])
        async with serving(tmp_path, triggers=[self.TRIGGER], simulator=github) as daemon:
            await daemon.until(lambda fact: isinstance(fact, Trouble))
            assert (await daemon.deliver("/hook", {}))[0] == 403
            (refused,) = (fact for fact in daemon.seen if isinstance(fact, RequestRefused))
        assert "could not be fetched yet" in refused.reason

    async def test_githubs_networks_are_not_asked_for_where_no_trigger_needs_them(
        self, tmp_path: Path
    ) -> None:
        disabled = self.TRIGGER | {"enabled": False}
        own = trigger_entry("own", auth=SIGNED, allow_from=["127.0.0.0/8"])
        async with serving(tmp_path, triggers=[disabled, own]) as daemon:
            await daemon.deliver("/hook", {})
            await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        assert daemon.simulator.requests == 1
