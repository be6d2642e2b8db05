"""What is fetched to prove a sender: once for all who wait, and never much for strangers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from daemon.errors import FetchError
from daemon.learning import Learning
from daemon.proving import FAILED_FOR, FETCHED_AT_ONCE, KEPT, Prover
from daemon.routes import Panel
from daemon.signatures import Request
from tests.odd_senders import CERTIFICATE_URL, NOW, TOPIC, certificate, notification, sns
from tests.specs import trigger

PANEL = Panel.of([trigger(auth={"scheme": "sns", "topic_arn": TOPIC})], "POST")


def naming(url: str) -> Request:
    """A message of the topic that names this certificate."""
    return sns(notification(SigningCertURL=url)).request


def bare(request: Request) -> Request:
    return Request(request.method, request.path, request.headers, request.query, request.body)


GENUINE = bare(sns().request)


def strange(number: int) -> Request:
    return naming(f"https://sns.eu-west-1.amazonaws.com/{number}.pem")


class Host:
    """Counts what is fetched from it."""

    def __init__(self, answer: Callable[[str], Awaitable[bytes]]) -> None:
        self.asked: list[str] = []
        self._answer = answer

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        return await self._answer(url)


def prover(host: Host) -> Prover:
    class Nothing:
        pass

    return Prover(Learning(Nothing()), host.fetch)  # type: ignore[arg-type] # it is not asked


async def believed(prover: Prover, request: Request, now: datetime = NOW) -> bool:
    return not await prover.doubts(request, PANEL, now)


async def test_a_certificate_is_fetched_once_for_all_who_wait_for_it() -> None:
    there = asyncio.Event()

    async def answer(url: str) -> bytes:
        await there.wait()
        return certificate()

    host = Host(answer)
    proving = prover(host)
    waiting = [asyncio.create_task(believed(proving, GENUINE)) for _ in range(5)]
    await asyncio.sleep(0)
    there.set()
    assert await asyncio.gather(*waiting) == [True] * 5
    assert await believed(proving, GENUINE)
    assert host.asked == [CERTIFICATE_URL]


async def test_one_that_could_not_be_fetched_is_not_asked_for_again_at_once() -> None:
    async def answer(url: str) -> bytes:
        if len(host.asked) == 1:
            raise FetchError("timed out")
        return certificate()

    host = Host(answer)
    proving = prover(host)
    soon, later = NOW + timedelta(seconds=1), NOW + FAILED_FOR
    assert [await believed(proving, GENUINE, at) for at in (NOW, soon, later)] == [
        False,
        False,
        True,
    ]
    assert len(host.asked) == 2


async def test_few_are_asked_for_at_once_and_a_known_one_waits_for_none_of_them() -> None:
    never = asyncio.Event()

    async def answer(url: str) -> bytes:
        if url != CERTIFICATE_URL:
            await never.wait()
        return certificate()

    host = Host(answer)
    proving = prover(host)
    assert await believed(proving, GENUINE)
    strangers = [asyncio.create_task(believed(proving, strange(n))) for n in range(20)]
    async with asyncio.timeout(5):
        await asyncio.wait(strangers, return_when=asyncio.FIRST_COMPLETED)
        assert await believed(proving, GENUINE)
    assert len(host.asked) == 1 + FETCHED_AT_ONCE
    never.set()
    assert (await asyncio.gather(*strangers)).count(True) == FETCHED_AT_ONCE


async def test_nothing_is_fetched_outside_of_the_topics_region() -> None:
    async def answer(url: str) -> bytes:
        return certificate()

    host = Host(answer)
    elsewhere = naming(CERTIFICATE_URL.replace("eu-west-1", "us-east-1"))
    assert not await believed(prover(host), elsewhere)
    assert host.asked == []


async def test_only_so_many_certificates_are_kept() -> None:
    async def answer(url: str) -> bytes:
        return certificate()

    host = Host(answer)
    proving = prover(host)
    for number in range(KEPT + 1):
        await believed(proving, strange(number))
    await believed(proving, strange(0))
    assert len(host.asked) == KEPT + 2
