"""What a sender's request points to is fetched within bounds, and only from where it points."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from daemon.client import Fetcher, fetching
from daemon.errors import FetchError


@asynccontextmanager
async def serving(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def fetched(url: str) -> bytes:
    async with Fetcher() as fetcher:
        return await fetcher.fetch(url)


@pytest.mark.parametrize("size", [1, 40_000, fetching.FETCHED_MAX])
async def test_an_answer_within_the_bound_is_read_whole(size: int) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response(body=b"x" * size)

    async with serving(answer) as url:
        assert await fetched(f"{url}/a%2Fb.pem?c=%20") == b"x" * size
    assert asked == ["/a%2Fb.pem?c=%20"]  # as the sender wrote it


@pytest.mark.parametrize("size", [0, fetching.FETCHED_MAX + 1, 20 * fetching.FETCHED_MAX])
async def test_nothing_and_more_than_the_bound_are_no_answers(size: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    async with serving(answer) as url:
        with pytest.raises(FetchError, match="more than 65,536 bytes, or nothing"):
            await fetched(url)


@pytest.mark.parametrize("status", [301, 307, 404, 500])
async def test_no_other_answer_than_200_counts_and_no_redirect_is_followed(status: int) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"}, text="x")

    async with serving(answer) as url:
        with pytest.raises(FetchError, match=f"127.0.0.1 answered {status}"):
            await fetched(f"{url}/here")
    assert asked == ["/here"]


async def test_who_does_not_answer_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FETCHED_WITHIN", 0.05)
    gone = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        await gone.wait()
        return web.Response(text="late")

    async with serving(answer) as url:
        with pytest.raises(FetchError, match="could not be asked: timed out"):
            await fetched(url)
        gone.set()


async def test_where_nobody_listens_there_is_nothing() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="x")

    async with serving(answer) as url:
        pass
    with pytest.raises(FetchError, match="could not be asked"):
        await fetched(url)
