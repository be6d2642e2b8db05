"""Somebody is told, for real: over HTTP, and through Apprise."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import web

from daemon.client import Teller, telling, through_apprise
from daemon.notice import HEADERS, NotTold, body, notice
from daemon.secret import Secret
from tests.follow_ups import DISPATCH, NOW, Receiver, follow_up, receiving

NOTICE = notice(follow_up(), DISPATCH)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def tell(url: str, now: str = "") -> None:
    async with Teller("", lambda: NOW, lambda secret: Secret(now or secret.value, "")) as teller:
        await teller.tell(Secret(url, "env:URL"), NOTICE)


async def test_a_notice_is_one_post_of_json(receiver: Receiver) -> None:
    await tell(f"{receiver.url}/services/T%2F1?auth=abc")
    (headers,) = receiver.headers
    assert receiver.paths == ["/services/T%2F1?auth=abc"]
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert headers["Content-Length"] == str(len(body(NOTICE)))
    assert "Cookie" not in headers


async def test_a_call_is_a_get_that_says_nothing_more(receiver: Receiver) -> None:
    receiver.answers = [(200, {}, "OK"), (404, {}, "no such check")]
    async with Teller("", lambda: NOW, lambda secret: secret) as teller:
        await teller.call(Secret(f"{receiver.url}/ping/1?x=y", "env:URL"))
        with pytest.raises(NotTold, match=r"^answered 404: no such check$"):
            await teller.call(Secret(f"{receiver.url}/ping/2", "env:URL"))
    assert receiver.paths == ["/ping/1?x=y", "/ping/2"]
    assert "X-Title" not in receiver.headers[0]


async def test_a_user_in_the_url_is_sent_as_basic_auth_and_not_as_part_of_it(
    receiver: Receiver,
) -> None:
    await tell(receiver.url.replace("http://", "http://phil:secret@") + "/builds")
    assert receiver.headers[0]["Authorization"].startswith("Basic ")
    assert "phil" not in receiver.headers[0]["Host"]


async def test_what_the_reference_leads_to_now_is_where_it_goes(receiver: Receiver) -> None:
    await tell("http://127.0.0.1:1/gone", now=f"{receiver.url}/new\n")
    assert receiver.paths == ["/new"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_says_that_it_arrived(receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {}, "")]
    await tell(receiver.url)


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (404, "no_service", "answered 404: no_service"),
        (400, "invalid\npayload", "answered 400: invalid payload"),
        (500, "", "answered 500"),
        (403, "wrong token abcdefgh12", "answered 403"),  # it is in the URL
    ],
)
async def test_any_other_answer_is_told_in_words(
    receiver: Receiver, status: int, text: str, said: str
) -> None:
    receiver.answers = [(status, {}, text)]
    with pytest.raises(NotTold) as failed:
        await tell(f"{receiver.url}/abcdefgh12")
    assert str(failed.value) == said
    assert failed.value.retry_after is None


async def test_how_long_it_asks_to_be_left_alone_is_heard(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "30"}, '{"retry_after": 30}')]
    with pytest.raises(NotTold, match="answered 429") as failed:
        await tell(receiver.url)
    assert failed.value.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    async with receiving() as other:
        receiver.answers = [(status, {"Location": f"{other.url}/elsewhere"}, "")]
        with pytest.raises(NotTold, match=f"answered {status}: it points elsewhere"):
            await tell(receiver.url)
        assert other.bodies == []


async def test_who_cannot_be_reached_is_told_without_the_url() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(NotTold, match="Connection refused") as failed:
        await tell(f"http://127.0.0.1:{port}/TokenInThePath")
    assert "TokenInThePath" not in str(failed.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://a..b/x",
        "http://[::1/x",
        "http://a:b/x",
        "https://xn--\udcff/",
        "http://a b",
    ],
)
async def test_what_a_reference_leads_to_may_be_anything_by_now(url: str) -> None:
    """A file that somebody is writing just now: the daemon goes on, and tries again."""
    with pytest.raises(NotTold) as failed:
        await tell("https://example.com/x", now=url)
    assert "//" not in str(failed.value)


async def test_who_does_not_answer_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    monkeypatch.setattr(telling, "TOLD_WITHIN", 0.2)
    app = web.Application()
    app.router.add_post("/", hang)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with pytest.raises(NotTold, match="timed out"):
            await tell(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    finally:
        never.set()
        await runner.cleanup()


# It loads the code of all its services, which is not ours to mend.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestApprise:
    async def test_what_is_not_http_goes_through_it(self, receiver: Receiver) -> None:
        """By its own `json://`, which is one of its services."""
        await tell(receiver.url.replace("http://", "json://") + "/apprise")
        assert receiver.paths == ["/apprise"]
        assert (receiver.bodies[0]["title"], receiver.bodies[0]["message"]) == (
            NOTICE.title,
            NOTICE.text,
        )

    async def test_what_the_service_answers_is_told_and_nothing_of_the_url(
        self, receiver: Receiver
    ) -> None:
        logged = io.StringIO()
        handler = logging.StreamHandler(logged)
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(handler)
        receiver.answers = [(503, {}, "")]
        try:
            with pytest.raises(NotTold) as failed:
                await tell(receiver.url.replace("http://", "json://") + "/TokenInThePath")
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        assert str(failed.value) == "Apprise could not deliver it: the service answered 503"
        assert "TokenInThePath" not in logged.getvalue()

    async def test_an_unknown_service_is_told_as_such(self) -> None:
        with pytest.raises(NotTold, match="Apprise knows no such service"):
            await tell("nonsense://TokenInTheHost")

    async def test_without_the_extra_it_says_how_to_get_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "apprise", None)
        with pytest.raises(NotTold, match=r"pip install 'dispatchd\[notify\]'"):
            await tell("json://127.0.0.1/x")

    async def test_one_that_hangs_is_waited_for_so_long(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(through_apprise, "WITHIN", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
            port = silent.getsockname()[1]
            with pytest.raises(NotTold, match="in time"):
                await tell(f"json://127.0.0.1:{port}/?rto=2")
