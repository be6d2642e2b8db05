"""A GitHub App against the stand-in, which checks its claim as GitHub does: the installation is
found, its token fetched in time and once for all, and whatever is refused is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import jwt
import pytest

from daemon.client import GitHub
from daemon.github import Accepted, Answer, Failed, Throttled, Unauthorized, Unreachable
from daemon.github_app import AppKey, InstallationToken, claim, private_key_fault, token_told
from daemon.secret import Secret
from daemon.simulator import App, Simulator
from tests.rsa import key_pair
from tests.wires import T0, a_dispatch, response, saying, wire

KEY = Secret(key_pair().private, "file:/app.pem")
ACME = AppKey("7", KEY)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def an_app(**changes: object) -> App:
    keys = {"id": 7, "public_key": key_pair().public, "installations": {"acme": 41}} | changes
    return App(**keys)  # type: ignore[arg-type]


@pytest.fixture
async def there(clock: Clock) -> AsyncIterator[Simulator]:
    known = ["acme/shop", "acme/site", "other/shop"]
    async with Simulator(clock, tokens=set(), apps=[an_app()], repositories=known) as there:
        yield there


async def sent(there: Simulator, clock: Clock, key: AppKey = ACME) -> Answer:
    async with GitHub(there.url, key, clock) as github:
        return (await github.send(a_dispatch())).answer


class TestClaim:
    def test_it_holds_for_ten_minutes_at_most_and_allows_for_a_clock_that_is_behind(self) -> None:
        said = jwt.decode(
            claim("7", KEY, T0),
            key_pair().public,
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_iat": False},
        )
        assert said == {
            "iss": "7",
            "iat": (T0 - timedelta(seconds=60)).timestamp(),
            "exp": (T0 + timedelta(minutes=9)).timestamp(),
        }

    @pytest.mark.parametrize("text", ["", "no key", key_pair().public, key_pair().private[:-90]])
    def test_what_cannot_sign_is_no_private_key(self, text: str) -> None:
        assert private_key_fault(text).startswith("is no private key in PEM form")

    def test_the_key_that_github_hands_out_is_one(self) -> None:
        assert private_key_fault(key_pair().private) == ""


class TestToken:
    async def test_the_installation_is_found_by_the_repository_and_looked_up_once(
        self, there: Simulator, clock: Clock
    ) -> None:
        async with GitHub(there.url, ACME, clock) as github:
            for repository in ("acme/shop", "acme/site", "acme/shop"):
                assert (await github.send(a_dispatch(repository=repository))).answer == Accepted()
        assert there.apps.issued == 1
        assert there.requests == 5  # the lookup, the token, three dispatches

    async def test_an_installation_that_is_named_is_not_looked_up(
        self, there: Simulator, clock: Clock
    ) -> None:
        assert await sent(there, clock, AppKey("7", KEY, 41)) == Accepted()
        assert there.requests == 2

    async def test_it_is_fetched_once_for_all_who_wait(
        self, there: Simulator, clock: Clock
    ) -> None:
        async with GitHub(there.url, ACME, clock) as github:
            together = await asyncio.gather(*(github.send(a_dispatch()) for _ in range(20)))
        assert {exchange.answer for exchange in together} == {Accepted()}
        assert there.apps.issued == 1

    async def test_who_gives_up_waiting_takes_it_from_nobody(
        self, there: Simulator, clock: Clock
    ) -> None:
        async with GitHub(there.url, ACME, clock) as github:
            first, second = (asyncio.create_task(github.send(a_dispatch())) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            assert (await second).answer == Accepted()
        assert there.apps.issued == 1
        assert len(there.received) == 1

    async def test_it_is_replaced_before_its_hour_is_over(
        self, there: Simulator, clock: Clock
    ) -> None:
        async with GitHub(there.url, ACME, clock) as github:
            issued = []
            for minutes in (0, 54, 2, 54, 60, 600):
                clock.now += timedelta(minutes=minutes)
                assert (await github.send(a_dispatch())).answer == Accepted()
                issued.append(there.apps.issued)
        assert issued == [1, 1, 2, 2, 3, 4]

    async def test_one_that_was_revoked_is_replaced_at_once_and_nothing_is_sent_twice(
        self, there: Simulator, clock: Clock
    ) -> None:
        async with GitHub(there.url, ACME, clock) as github:
            await github.send(a_dispatch())
            there.apps.revoke()
            together = await asyncio.gather(*(github.send(a_dispatch()) for _ in range(5)))
        assert {exchange.answer for exchange in together} == {Accepted()}
        assert there.apps.issued == 2
        assert len(there.received) == 6

    async def test_a_clock_that_is_far_off_is_put_right_by_githubs(
        self, there: Simulator, clock: Clock
    ) -> None:
        for off in (timedelta(hours=3), -timedelta(hours=3)):
            async with GitHub(there.url, ACME, lambda off=off: clock.now + off) as github:  # type: ignore[misc]
                assert (await github.send(a_dispatch())).answer == Accepted()
                assert (await github.send(a_dispatch())).answer == Accepted()
        assert there.apps.issued == 2  # none was taken for one that is over

    async def test_a_key_that_was_replaced_is_read_anew(
        self, there: Simulator, clock: Clock
    ) -> None:
        old = AppKey("7", Secret(key_pair(2).private, "file:/app.pem"))
        async with GitHub(there.url, old, clock, reread=lambda _: KEY) as github:
            assert (await github.send(a_dispatch())).answer == Accepted()

    async def test_no_secret_shows_in_what_is_said(self, there: Simulator, clock: Clock) -> None:
        async with GitHub(there.url, ACME, clock) as github:
            exchange = await github.send(a_dispatch())
            shown = f"{exchange!r} {github!r} {ACME!r} {InstallationToken('ghs_x', T0)!r}"
        assert "ghs_" not in shown
        assert "PRIVATE" not in shown


class TestRefusals:
    @pytest.mark.parametrize(
        ("app", "kind", "words"),
        [
            (an_app(public_key=key_pair(2).public), Unauthorized, "do not belong together"),
            (an_app(id=8), Failed, "not installed on acme/shop"),
            (an_app(installations={"other": 41}), Failed, "not installed on acme/shop"),
            (
                an_app(permissions={"contents": "read"}),
                Failed,
                "Resource not accessible by integration",
            ),
        ],
    )
    async def test_each_says_what_to_mend(
        self, clock: Clock, app: App, kind: type, words: str
    ) -> None:
        async with Simulator(clock, tokens=set(), apps=[app]) as there:
            answer = await sent(there, clock)
            assert there.received == []
        assert isinstance(answer, kind)
        assert words in getattr(answer, "reason", "")

    async def test_an_installation_that_is_gone_is_told(
        self, there: Simulator, clock: Clock
    ) -> None:
        answer = await sent(there, clock, AppKey("7", KEY, 42))
        assert isinstance(answer, Failed)
        assert "no such installation" in answer.reason

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            (response(500), Unreachable),
            (response(200, b"<html>"), Unreachable),
            (response(307, b"", "Location: /elsewhere"), Unreachable),
            (response(403, b'{"message": "This installation has been suspended"}'), Unauthorized),
            (response(429, b"{}", "Retry-After: 30"), Throttled),
            (b"nonsense\r\n\r\n", Unreachable),
        ],
    )
    async def test_whatever_else_is_answered_nothing_of_the_dispatch_was_sent(
        self, clock: Clock, said: bytes, kind: type
    ) -> None:
        async with wire(saying(said)) as server, GitHub(server.url, ACME, clock) as github:
            gone: list[str] = []
            exchange = await github.send(a_dispatch(), lambda: gone.append("sent"))
        assert isinstance(exchange.answer, kind)
        assert exchange.attempt.status is None
        assert gone == []
        assert not any("/dispatches" in head for head in server.heads)

    async def test_the_old_token_serves_to_its_end_while_no_new_one_is_to_be_had(
        self, there: Simulator, clock: Clock
    ) -> None:
        async with GitHub(there.url, AppKey("7", KEY, 41), clock) as github:
            await github.send(a_dispatch())
            there.apps.suspended = True
            clock.now += timedelta(minutes=57)
            assert (await github.send(a_dispatch())).answer == Accepted()
            clock.now += timedelta(minutes=4)
            assert isinstance((await github.send(a_dispatch())).answer, Unauthorized)
            there.apps.suspended = False
            assert (await github.send(a_dispatch())).answer == Accepted()

    @pytest.mark.parametrize(
        "document",
        [[], {}, {"token": "ghs_x"}, {"token": "a b", "expires_at": "2026-03-01T13:00:00Z"},
         {"token": "ghs_x", "expires_at": "soon"}, {"token": 5, "expires_at": None}],
    )  # fmt: skip
    def test_an_answer_that_is_not_githubs_is_no_token(self, document: object) -> None:
        told = token_told(201, {}, json.dumps(document).encode(), now=T0)
        assert isinstance(told, Unreachable)

    def test_a_tokens_end_is_put_right_for_our_clock(self) -> None:
        body = json.dumps({"token": "ghs_x", "expires_at": "2026-03-01T15:00:00Z"}).encode()
        headers = {"date": "Sun, 01 Mar 2026 14:00:00 GMT"}
        told = token_told(201, headers, body, now=T0)
        assert told == InstallationToken("ghs_x", T0 + timedelta(hours=1))


class TestStandIn:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda said: said | {"iat": T0 + timedelta(seconds=1)}, "'iat'"),
            (lambda said: said | {"exp": T0}, "future time"),
            (lambda said: said | {"exp": T0 + timedelta(seconds=601)}, "too far in the future"),
            (lambda said: said | {"iss": "none"}, "could not be decoded"),
            (lambda said: {"iss": "7", "exp": said["exp"]}, "'iat'"),
        ],
    )
    async def test_it_holds_claims_to_githubs_rules(
        self,
        there: Simulator,
        change: Callable[[dict[str, object]], dict[str, object]],
        words: str,
    ) -> None:
        said = change({"iss": "7", "iat": T0, "exp": T0 + timedelta(minutes=10)})
        status, body = await asked(there, jwt.encode(said, KEY.reveal(), algorithm="RS256"))
        assert status == 401
        assert words in body["message"]

    async def test_it_takes_the_longest_claim_that_github_takes(self, there: Simulator) -> None:
        said = {"iss": "7", "iat": T0, "exp": T0 + timedelta(minutes=10)}
        status, body = await asked(there, jwt.encode(said, KEY.reveal(), algorithm="RS256"))
        assert (status, body["id"], body["permissions"]["contents"]) == (200, 7, "write")

    async def test_it_takes_no_claim_of_another_algorithm(self, there: Simulator) -> None:
        said = {"iss": "7", "iat": T0, "exp": T0 + timedelta(minutes=10)}
        secret = "a shared secret that is long enough for HMAC"
        status, _ = await asked(there, jwt.encode(said, secret, algorithm="HS256"))
        assert status == 401


async def asked(there: Simulator, proof: str) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {proof}", "User-Agent": "test"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{there.url}/app", headers=headers) as answer,
    ):
        return answer.status, await answer.json()
