"""The connections of a door: how many there are and who gives way to a newcomer, and how long a
client may keep us waiting for the head of a request, or for it to take an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from daemon.addresses import Networks, household
from daemon.errors import Refused
from daemon.facts import Facts, RequestRefused, Trouble
from daemon.reading import READING
from daemon.sparing import Sparing
from daemon.web import (
    SECURITY_HEADERS,
    TRANSPORT_SECURITY,
    Crowded,
    error_response,
    json_bytes,
    nobody,
)

RECEIVED_AT_ONCE = 32 * 1024
"""Bytes that are taken of one connection before it is the turn of the next. With asyncio's 256 KiB
a hundred senders of large bodies keep everybody waiting."""

BUFFERED = 16 * 1024
"""Bytes of a body that may wait to be read, roughly; and what bounds the number of its chunks."""

HEAD_MAX = 16 * 1024
"""Bytes of an unfinished request line and headers. aiohttp limits each of them and their number,
which alone would allow for a megabyte."""

KEEP_ALIVE = 3630.0
"""Seconds that a connection may be without a request: longer than reverse proxies keep theirs, up
to an hour, for they would send into one that is just being closed. One can afford to be patient,
since whoever has been without a request for longest gives way."""

LINGERING = 5.0
"""Seconds that a client is listened to when it was answered before its body had come: one that
sends all of it before it reads would see a reset otherwise, and not the answer."""

NEWCOMER = 0.5
"""Seconds in which a client that was let in is expected to have sent its first request, where the
daemon is about to stop: it could not know, and would be cut off unheard."""

UNREADABLE = "this is not HTTP that can be read"
TOO_LONG = "the request line or a header is too long"
HEADS_TOO_LONG = f"the request line and the headers are larger than {HEAD_MAX:,} bytes"

Answered = tuple[web.StreamResponse, bool]
Answering = Coroutine[Any, Any, Answered]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a door allows to its clients: so many connections at once, and so many of one client's;
    so many seconds for the head of a request, or for the handshake of TLS, and so many in which
    nothing of an answer is taken."""

    connections: int = 4096
    of_one_client: int = 3072
    head: float = 10.0
    answer: float = 30.0


class Connections:
    """All connections of one door. All senders may come through ``trusted`` proxies, so these may
    have any number."""

    def __init__(
        self, facts: Facts, limits: Limits, trusted: Callable[[], Networks] = nobody
    ) -> None:
        self.limits = limits
        self._trusted = trusted
        self._facts = facts
        self._sparing = Sparing()
        self._open: dict[Connection, None] = {}
        """Who has been without a request for longest comes first."""
        self._of_client: dict[str, dict[Connection, None]] = {}
        """The same of each client."""
        self._unheard: dict[Connection, float] = {}
        """Who has not been answered once, with the loop's time at which they came."""
        self._one_less = asyncio.Event()

    def joined(self, connection: Connection) -> None:
        """Counts a newcomer. It gets in, however many connections somebody leaves open: where they
        are too many, the first of those that keep us waiting gives way; the last is itself."""
        self._open[connection] = None
        self._unheard[connection] = asyncio.get_running_loop().time()
        own: dict[Connection, None] = {}
        if connection.client and not self._trusted().contains(connection.client):
            own = self._of_client.setdefault(connection.household, own)
            own[connection] = None
        if len(own) > self.limits.of_one_client:
            most, whose, among = self.limits.of_one_client, " of one client", own
        elif len(self._open) > self.limits.connections:
            most, whose, among = self.limits.connections, "", self._open
        else:
            return
        leaving = next(each for each in among if each.waited_for)
        self.left(leaving)
        leaving.give_way()
        text = (
            f"more than {most:,} connections{whose}; for each new one, the one{whose} that has "
            "been without a request for longest is closed"
        )
        if said := self._sparing.told(text, asyncio.get_running_loop().time()):
            self._facts.publish(Trouble("http", said))

    async def newcomers_heard(self) -> None:
        """Returns once those who came within the last `NEWCOMER` seconds were answered, at the
        latest when these are over."""
        now = asyncio.get_running_loop().time
        while (left := max(self._unheard.values(), default=-NEWCOMER) + NEWCOMER - now()) > 0:
            self._one_less.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._one_less.wait()

    def _heard(self, connection: Connection) -> None:
        if self._unheard.pop(connection, None) is not None:
            self._one_less.set()

    def answered(self, connection: Connection) -> None:
        self._heard(connection)
        if connection in self._open:
            del self._open[connection]
            self._open[connection] = None
            own = self._of_client.get(connection.household, {})
            if connection in own:
                del own[connection]
                own[connection] = None

    def left(self, connection: Connection) -> None:
        self._heard(connection)
        self._open.pop(connection, None)
        own = self._of_client.get(connection.household, {})
        own.pop(connection, None)
        if not own:
            self._of_client.pop(connection.household, None)

    def end(self) -> None:
        """Cuts those off that are left: such as never came to speak."""
        for connection in tuple(self._open):
            self.left(connection)
            connection.give_way()

    def turned_away(self, client: str, status: int, reason: str) -> None:
        """Tells of one that was refused before it had become a request."""
        if said := self._sparing.told(reason, asyncio.get_running_loop().time()):
            self._facts.publish(RequestRefused("", "", client, status, said))


class Connection(web.RequestHandler):
    """aiohttp's connection, made wary. How far its requests are it knows from attributes that are
    aiohttp's own, for want of public ones; should they change, the tests of hostile clients fail.
    """

    __slots__ = (
        "_answer_deadline",
        "_connections",
        "_extra_headers",
        "_gone",
        "_head_deadline",
        "_head_size",
        "_held_back",
        "_line",
        "client",
        "household",
    )

    def __init__(self, manager: web.Server, connections: Connections, **options: Any) -> None:
        super().__init__(
            manager,
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=0.0,  # it does that itself
            read_bufsize=BUFFERED,
            **options,
        )
        self._connections = connections
        self._extra_headers: Mapping[str, str] = SECURITY_HEADERS
        self.client = ""
        """The address at the other end; empty where it has none."""
        self.household = ""
        """Who counts as one client with it."""
        self._line: asyncio.Transport  # which aiohttp's own `transport` is only until it is closed
        self._head_deadline: asyncio.TimerHandle | None = None
        self._head_size = 0
        self._answer_deadline: asyncio.TimerHandle | None = None
        self._held_back = False
        self._gone: asyncio.Future[None] | None = None

    @property
    def waited_for(self) -> bool:
        """Whether it is its client's turn: to send a request or more of it, to take an answer, or
        to go."""
        request = self._current_request
        return request is None or self.writing_paused or not request.content.is_eof()

    def give_way(self) -> None:
        """Ends the connection; a body that is on its way is refused first."""
        request = self._current_request
        if request is not None and self._is_reading(request):
            request[READING].refuse(Crowded())
        else:
            self._line.abort()

    @staticmethod
    def _is_reading(request: web.BaseRequest) -> bool:
        """Whether its handler waits for more of the body."""
        return not request.content.is_eof() and READING in request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if transport.get_extra_info("sslcontext") is None:
            self.arrive(cast("asyncio.Transport", transport))
        else:  # it arrived before its handshake
            self._line = cast("asyncio.Transport", transport)
            self._extra_headers = {**SECURITY_HEADERS, **TRANSPORT_SECURITY}

    def arrive(self, line: asyncio.Transport) -> None:
        """Has it count from now on."""
        self._line = line
        self._line.max_size = RECEIVED_AT_ONCE  # type: ignore[attr-defined] # asyncio's own
        peer = line.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else ""
        self.household = household(self.client)
        self._connections.joined(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.left(self)
        self._head_came()
        self._answer_taken()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        waiter = self._waiter
        if waiter is not None:  # for a request
            super().data_received(data)
            if not waiter.done() and data:
                self._head_unfinished(len(data))
            elif self._head_deadline is not None:
                self._head_came()
        elif self._gone is None:
            self._receive_amid_request(data)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp calls this for every piece of a body that is read. Where nothing was paused there
        is nothing that the parser could go on with."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _receive_amid_request(self, data: bytes) -> None:
        request = self._current_request
        complete = self._request_in_progress and (request is None or request.content.is_eof())
        super().data_received(data)
        if complete and data:
            # Who sends requests ahead of an answer waits with them: in the sockets' buffers, not in
            # ours.
            self._held_back = True
            self._line.pause_reading()
        elif self._messages and request is not None and self._is_reading(request):
            # Nothing can follow a body that is not complete but the parser's verdict on it.
            request[READING].refuse(Refused(400, UNREADABLE))

    def _head_unfinished(self, size: int) -> None:
        if self._head_deadline is None:
            seconds = self._connections.limits.head
            late = f"the request line and the headers did not arrive within {seconds:g} s"
            self._head_deadline = self._loop.call_later(seconds, self.turn_away, 408, late)
            self._head_size = 0
        self._head_size += size
        if self._head_size > HEAD_MAX:
            self.turn_away(431, HEADS_TOO_LONG)

    def _head_came(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def turn_away(self, status: int, reason: str) -> None:
        """Answers what is no request yet."""
        body = json_bytes({"error": reason})
        said = {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **self._extra_headers,
        }
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in said.items()]
        self._line.write("\r\n".join([*lines, "", ""]).encode() + body)
        if self.transport is None:  # TLS never came about
            self._line.close()
        else:
            self.force_close()
        self._connections.turned_away(self.client, status, reason)

    # Answers

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Answering:
        """What aiohttp calls with every answer, errors included, to have it written."""
        self._connections.answered(self)
        for name, value in self._extra_headers.items():
            resp.headers.setdefault(name, value)
        reading = request.get(READING) if len(request) else None  # to look in vain is not cheap
        if reading is not None:
            reading.release()
        if not request.content.is_eof():
            resp.force_close()
        answering = super().finish_response(request, resp, start_time)
        if not request.content.is_eof():
            refused = reading is not None and reading.refused
            return answering if refused else self._linger(answering)
        return self._in_turn(answering) if self._held_back or self._messages else answering

    async def _in_turn(self, answering: Answering) -> Answered:
        """With more requests behind this one: it is the others' turn first."""
        answered = await answering
        await asyncio.sleep(0)
        if self._held_back and (not self._messages or not self._messages[-1][1].is_eof()):
            self._held_back = False
            self._line.resume_reading()
        return answered

    async def _linger(self, answering: Answering) -> Answered:
        """Lets go by what is still sent, until the client has seen the answer and closes."""
        answered = await answering
        if self.transport is not None:
            self._gone = self._loop.create_future()
            self._line.resume_reading()
            await asyncio.wait([self._gone], timeout=LINGERING)
        return answered

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """aiohttp's own answer is plain text and quotes what it could not read, credentials
        included."""
        # This logs the error, and raises where an answer has begun already.
        super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong):
            text = TOO_LONG
        elif isinstance(exc, HttpProcessingError):
            text = UNREADABLE
        else:
            text = "internal error; the daemon's log says more"
        response = error_response(status, text)
        response.force_close()
        return response

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking()

    def _await_taking(self, untaken: int | None = None) -> None:
        """Looks now and then whether the client has taken anything of its answer."""
        left = self._line.get_write_buffer_size()
        if left == untaken:
            self._line.abort()
        else:
            self._answer_deadline = self._loop.call_later(
                self._connections.limits.answer, self._await_taking, left
            )

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer_taken()

    def _answer_taken(self) -> None:
        if self._answer_deadline is not None:
            self._answer_deadline.cancel()
            self._answer_deadline = None
