"""Has GitHub make those deliveries once more that failed while we were down: looks for them once at
a start, and when it is told to. Nothing is asked in between."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from daemon.errors import FetchError, Refused, StoreError, kind_and_place
from daemon.facts import Facts, Trouble
from daemon.github_hooks import Hook
from daemon.hook_places import HookPlaces
from daemon.hooks_at_github import Denied, HooksAtGithub, NotNow, until_of
from daemon.in_force import InForce
from daemon.own_hooks import credential_at
from daemon.recovery_report import HookReport, Order, Report
from daemon.redelivering import Redeliverer
from daemon.redelivery import missed, spans, start_of, without

SETTLE = 5.0
"""Seconds after the start before anything is asked for: what stands in front of the daemon has to
notice that it is there again."""

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 1800.0
"""Seconds between two looks while GitHub cannot be asked; they double."""

LOOKS_MAX = 10
"""Looks after which a start leaves it: about two hours."""

DENIALS_MAX = 3
"""Refusals one after the other, after which no more is asked for in a place. Fewer are taken for
deliveries that GitHub has forgotten meanwhile."""

WAITS_MAX = 5
"""Rate limits that are waited for while one place is looked through."""

Instants = Mapping[str, "datetime | None"]


class Arrivals(Protocol):
    """What came in, as the store knows it."""

    async def delivered(
        self,
        guids: Collection[str],
        routes: Collection[str],
        spans: Sequence[tuple[datetime, datetime]],
    ) -> Collection[str]:
        """Those of the delivery ids that came in by these routes in one of the spans."""
        ...


class Recovery:
    """Looks through the webhooks in ``places`` whose URL is one of the config's. ``last`` is how
    the last look went, or goes."""

    def __init__(
        self,
        github: HooksAtGithub,
        redeliverer: Redeliverer,
        places: HookPlaces,
        arrivals: Arrivals,
        in_force: InForce,
        *,
        clock: Callable[[], datetime],
        facts: Facts,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._github = github
        self._redeliverer = redeliverer
        self._places = places
        self._arrivals = arrivals
        self._in_force = in_force
        self._clock = clock
        self._facts = facts
        self._sleep = sleep
        self._turns = asyncio.Lock()
        self._ordered: asyncio.Task[None] | None = None
        self.last: Report | None = None

    async def run(self) -> None:
        """The look at the start, which comes to an end. Never raises."""
        if not self._in_force.hook_urls.any or not self._in_force.settings.recover:
            return
        await self._sleep(SETTLE)
        order, pause = Order(), FIRST_PAUSE
        for number in range(LOOKS_MAX):
            report = Report(order, self._clock())
            await self._look_through(report)
            if number == 0 or report.finished_work:
                self._publish(report)
            if not report.failed:
                return
            order = Order(places=tuple(filter(None, report.failed)))
            await self._sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        self._tell("given up; once GitHub can be asked again: dispatchd recover")

    def begin(self, order: Order) -> Report:
        """Starts a look, which goes on by itself. Raises Refused (409) while another one goes on,
        or where no webhook could be known as ours."""
        if not self._in_force.hook_urls.any:
            raise Refused(
                409,
                "no webhook of GitHub's can be known as ours: that takes an enabled trigger with "
                '"auth": {"scheme": "github", …}, and `public_url` in DAEMON.yaml',
            )
        if self._turns.locked() or not (self._ordered is None or self._ordered.done()):
            raise Refused(409, "missed deliveries are being looked for already")
        report = self.last = Report(order, self._clock())
        self._ordered = asyncio.create_task(self._carry_out(report))
        return report

    async def stop(self) -> None:
        """Breaks off what was begun; GitHub has what it was asked for."""
        if self._ordered is not None:
            self._ordered.cancel()
            await asyncio.gather(self._ordered, return_exceptions=True)

    async def _carry_out(self, report: Report) -> None:
        await self._look_through(report)
        self._publish(report)

    async def _look_through(self, report: Report) -> None:
        """One look at all places, of one credential after the other, of several at once."""
        async with self._turns:
            self.last = report
            try:
                places = report.order.places or await self._places.all()
                through = await self._places.looked_through()
                lanes: dict[str, list[str]] = defaultdict(list)
                for place in places:
                    credential = credential_at(self._in_force.settings, place)
                    if credential is not None:
                        lanes[credential.name].append(place)
                    elif report.order.places:
                        report.denied[place] = f"no credential is for {place}"
                await asyncio.gather(
                    *(self._work(several, through, report) for several in lanes.values())
                )
            except StoreError as error:
                report.failed[""] = str(error)
            except Exception as error:  # noqa: BLE001 - a fault of ours, for which nothing stops
                self._tell(kind_and_place(error))
            finally:
                report.finished = True

    async def _work(self, places: Sequence[str], through: Instants, report: Report) -> None:
        """What concerns one credential."""
        for place in places:
            since = start_of(through.get(place.lower()), report.began_at)
            if (wanted := report.order.since) is not None:
                since = max(wanted, start_of(None, report.began_at))
            try:
                found = await self._found(place, since, report)
                report.hooks += found
                if not found and place.lower() in through:
                    await self._places.forget(place)
            except Denied as error:
                report.denied[place] = str(error)
                if place.lower() in through:
                    await self._places.forget(place)
            except (FetchError, StoreError) as error:
                report.failed[place] = str(error)
        if report.order.dry_run:
            return
        mine = [each for each in report.hooks if each.hook.place in places]
        await self._ask_again(mine, report)
        await self._note_done(mine, through, report)

    async def _found(self, place: str, since: datetime, report: Report) -> list[HookReport]:
        """What was missed there. Waits for the end of rate limits."""
        for _ in range(WAITS_MAX):
            try:
                return [
                    await self._looked_at(hook, since, report)
                    for hook in await self._github.of(place)
                    if hook.active and self._in_force.hook_urls.behind(hook.url)
                ]
            except NotNow as error:
                refusal = error
                await self._redeliverer.wait_until(until_of(error, self._clock()))
        raise refusal

    async def _looked_at(self, hook: Hook, since: datetime, report: Report) -> HookReport:
        deliveries, whole = await self._github.deliveries(hook, since)
        found = missed(deliveries, since, with_refused=report.order.refused)
        have: Collection[str] = ()
        if found.again:
            routes = {trigger.path for trigger in self._in_force.hook_urls.behind(hook.url)}
            guids = {each.guid for each in found.again}
            have = await self._arrivals.delivered(guids, routes, spans(found.again))
        return HookReport(hook, since, len(deliveries), without(found, have), len(have), whole)

    async def _ask_again(self, reports: Sequence[HookReport], report: Report) -> None:
        """Asks for what was missed, of all these hooks, oldest first."""
        owed = [(one.at, one.id, each) for each in reports for one in each.found.again]
        wanted = {(each.hook, one.id): one for each in reports for one in each.found.again}
        denials: Counter[str] = Counter()
        for _, number, each in sorted(owed, key=lambda one: one[:2]):
            place = each.hook.place
            if place in report.failed or denials[place] >= DENIALS_MAX:
                continue
            one = wanted[each.hook, number]
            try:
                await self._redeliverer.ask_for(each.hook, one)
                each.asked.append(one)
                denials[place] = 0
            except Denied as error:
                denials[place] += 1
                report.denied[place] = str(error)
            except FetchError as error:
                # Perhaps it was heard: the next look shows whether it arrived.
                report.failed[place] = str(error)

    async def _note_done(
        self, reports: Sequence[HookReport], through: Instants, report: Report
    ) -> None:
        """Keeps which places are looked through, so that the next start begins from there."""
        for place in {each.hook.place for each in reports}:
            known = start_of(through.get(place.lower()), report.began_at)
            mine = [each for each in reports if each.hook.place == place]
            if place in report.denied or place in report.failed:
                continue
            if not all(each.done and each.since <= known for each in mine):
                continue
            try:
                await self._places.remember(place, report.began_at)
            except StoreError as error:
                self._tell(f"that {place} is looked through is not stored: {error}")

    def _publish(self, report: Report) -> None:
        if report.hooks and not report.order.dry_run:
            self._facts.publish(report.fact)
        for each in report.hooks:
            if not each.whole:
                self._tell(
                    f"{each.hook.place} delivered so much to {each.hook.url} that only the newest "
                    f"{each.looked_at:,} were looked through"
                )
        reasons = [*report.denied.values(), *report.failed.values()]
        if reasons:
            more = f" (and the like, of {len(reasons)} places)" if len(reasons) > 1 else ""
            self._tell(
                f"{reasons[0]}{more}. Mend that; or set `recover: false` in DAEMON.yaml, where "
                "they are not to be looked for at a start"
            )

    def _tell(self, what: str) -> None:
        self._facts.publish(Trouble("recovery", f"missed webhook deliveries: {what}"))
