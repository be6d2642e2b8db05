"""API keys: which of them opens which route, how they are written down, made, replaced and told of,
and how slowly they can be guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.admission import OPEN, SCOPES, SOCKET_ONLY, UNGUESSABLE
from daemon.api_keys import ApiKey, Scope, digest, hash_of, holder, made_of, read_hash
from daemon.checkup import secrets
from daemon.cli.key_making import make_key
from daemon.errors import ConfigError, UsageError
from daemon.facts import RequestRefused
from daemon.throttle import ADDRESSES_MAX, FAILURES, PER, Throttle
from tests.inprocess import Serving, serving
from tests.specs import API_KEY, ENVIRON, config, cron_entry

NOW = datetime(2026, 5, 1, tzinfo=UTC)
KEY = made_of(bytes(range(32)))
OTHER = made_of(bytes(32))
CALL = {"event_type": "build"}
WRONG = "a wrong key"
LONG = "0123456789abcdef" * 4


def entry(name: str, scopes: Sequence[str] = ("read",), key: str = KEY, **more: Any) -> Any:
    return {"name": name, "scopes": list(scopes), "hash": hash_of(key), **more}


def keys_of(*entries: Mapping[str, Any], **environ: str) -> tuple[ApiKey, ...]:
    given = {**ENVIRON, **environ}
    return config(environ=given, settings={"api_keys": list(entries)}).settings.every_api_key


def fault(*entries: Mapping[str, Any], **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        keys_of(*entries, **environ)
    return str(caught.value)


class TestWrittenDown:
    def test_only_a_digest_is_held_of_each(self) -> None:
        own, ci = keys_of(entry("ci", ["dispatch", "read"], expires_at="2030-01-01T00:00:00Z"))
        assert own.name == "API_KEY"
        assert own.scopes == set(Scope)
        assert ci.scopes == {Scope.DISPATCH, Scope.READ}
        assert ci.expires_at == datetime(2030, 1, 1, tzinfo=UTC)
        assert ci.digests == (digest(KEY),)
        assert KEY not in repr((own, ci))
        assert API_KEY not in repr((own, ci))

    def test_several_are_valid_while_one_replaces_the_other(self) -> None:
        _, ci = keys_of(
            {"name": "ci", "scopes": ["read"], "hash": [hash_of(KEY)], "key": ["env:A", "env:B"]},
            A=OTHER,
            B=LONG,
        )
        assert set(ci.digests) == {digest(KEY), digest(OTHER), digest(LONG)}

    def test_without_any_there_is_none(self) -> None:
        assert keys_of(API_KEY="") == ()

    @pytest.mark.parametrize(
        ("entries", "says"),
        [
            ([{"name": "ci", "scopes": ["read"]}], "dispatchd key create ci"),
            ([entry("ci"), entry("ci", key=OTHER)], "'ci' stands here twice"),
            ([entry("ci"), entry("cd")], "is the key of ci too"),
            ([entry("ci", key=API_KEY)], "is the key of API_KEY too"),
            ([entry("ci", ["write"])], "api_keys[0].scopes[0]"),
            ([entry("ci", [])], "api_keys[0].scopes"),
            ([entry("C I")], "a slug"),
            ([entry("ci", expires_at="tomorrow")], "is no instant"),
            ([{"name": "ci", "scopes": ["read"], "key": "env:NOWHERE"}], "NOWHERE is not set"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_place(self, entries: list[Any], says: str) -> None:
        assert says in fault(*entries)
        assert "DAEMON.yaml:" in fault(*entries)

    def test_a_key_written_in_place_of_its_hash_is_not_repeated(self) -> None:
        found = fault({"name": "ci", "scopes": ["read"], "hash": KEY})
        assert "dispatchd key create" in found
        assert KEY not in found

    def test_doctor_tells_of_those_that_end(self) -> None:
        loaded = config(
            settings={
                "api_keys": [
                    entry("gone", expires_at="2026-04-01T00:00:00Z"),
                    entry("going", key=OTHER, expires_at="2026-05-08T00:00:00Z"),
                    entry("staying", key=LONG, expires_at="2026-08-01T00:00:00Z"),
                ]
            }
        )
        found = {each.subject: each for each in secrets.examined(loaded, NOW)}
        assert found["api_keys gone"].grade == "fail"
        assert found["api_keys going"].grade == "warn"
        assert "dispatchd key create going" in found["api_keys going"].remedy
        assert "api_keys staying" not in found


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_known_by_its_hash_and_nothing_else_is(random: bytes) -> None:
    key = made_of(random)
    held = ApiKey("ci", frozenset({Scope.READ}), (read_hash(hash_of(key)),))
    assert holder(key, [held]) is held
    assert holder(key[:-1], [held]) is None
    assert holder("", [held]) is None


@given(st.text())
def test_what_is_no_hash_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="dispatchd key create"):
        read_hash(text)


class TestMade:
    def test_the_entry_printed_holds_the_hash_of_the_key_printed(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make_key("ci", [Scope.DISPATCH, Scope.READ], "90d", as_json=False)
        said = capsys.readouterr()
        key = said.out.strip()
        assert key not in said.err
        assert f"hash: {hash_of(key)}" in said.err
        assert "scopes: [dispatch, read]" in said.err
        assert "expires_at: " in said.err

    def test_as_json_it_loads_as_an_entry(self, capsys: pytest.CaptureFixture[str]) -> None:
        make_key("ci", [Scope.ADMIN], None, as_json=True)
        made = json.loads(capsys.readouterr().out)
        key = made.pop("key")
        given = {name: value for name, value in made.items() if value is not None}
        _, ci = keys_of(given)
        assert ci == ApiKey("ci", frozenset({Scope.ADMIN}), (digest(key),))

    @pytest.mark.parametrize(
        ("name", "expires"), [("C I", None), ("ci", "soon"), ("ci", "2020-01-01T00:00:00Z")]
    )
    def test_bad_usage_is_refused(self, name: str, expires: str | None) -> None:
        with pytest.raises(UsageError):
            make_key(name, [Scope.READ], expires, as_json=False)


# Over HTTP

ENTRIES = [
    entry("sender", ["dispatch"], made_of(b"d" * 32)),
    entry("viewer", ["read"], made_of(b"r" * 32)),
    entry("boss", ["admin"], made_of(b"a" * 32)),
]
HELD = {
    Scope.DISPATCH: made_of(b"d" * 32),
    Scope.READ: made_of(b"r" * 32),
    Scope.ADMIN: made_of(b"a" * 32),
}


async def status_of(daemon: Serving, route: tuple[str, str], key: str | None) -> int:
    method, path = route
    called = path.replace("{id}", "dsp_x").replace("{name}", "nobody")
    async with daemon.session.request(
        method, daemon.url + called, headers={"x-api-key": key} if key else {}
    ) as response:
        return response.status


async def test_each_route_has_one_scope_and_opens_to_keys_with_it_and_to_admins(
    tmp_path: Path,
) -> None:
    """The table is held against the router itself: what it leaves out is refused to everybody."""
    async with serving(tmp_path, settings={"api_keys": ENTRIES}) as daemon:
        for route, wanted in SCOPES.items():
            assert await status_of(daemon, route, None) == 401, route
            for scope, key in HELD.items():
                status = await status_of(daemon, route, key)
                assert (status not in (401, 403)) is (scope in (wanted, Scope.ADMIN)), route
            assert await status_of(daemon, route, API_KEY) not in (401, 403), route
        for route in SOCKET_ONLY:
            assert await status_of(daemon, route, HELD[Scope.ADMIN]) == 404, route
        for route in OPEN:
            assert await status_of(daemon, route, None) == 200, route


async def test_a_key_with_other_scopes_hears_which_one_is_needed(tmp_path: Path) -> None:
    async with serving(tmp_path, settings={"api_keys": ENTRIES}) as daemon:
        status, answer = await daemon.call("POST", "/dispatch", key=HELD[Scope.READ], json=CALL)
        assert status == 403
        assert answer == {
            "error": "this needs a key with the scope dispatch, and the key viewer has: read"
        }


async def test_who_acted_is_recorded_by_name(tmp_path: Path) -> None:
    settings = {"api_keys": [*ENTRIES, entry("ci", ["dispatch"])]}
    async with serving(tmp_path, settings=settings, crons=[cron_entry("nightly")]) as daemon:
        status, _ = await daemon.call("POST", "/dispatch", key=KEY, json=CALL)
        assert status == 200
        boss = HELD[Scope.ADMIN]
        await daemon.call("POST", "/api/v1/crons/nightly/fire", key=boss)
        _, shown = await daemon.call("GET", "/api/v1/events", key=HELD[Scope.READ])
        asked = [event["by"] for event in shown["events"]]
        assert asked == ["the key boss from 127.0.0.1", "the key ci from 127.0.0.1"]
        first = shown["events"][-1]["id"]
        await daemon.call("POST", f"/api/v1/replay/{first}", key=boss)
        _, shown = await daemon.call("GET", "/api/v1/events?limit=1")
        assert shown["events"][0]["by"] == "the key boss from 127.0.0.1"
        assert KEY not in json.dumps(shown)
        assert not [fact for fact in daemon.seen if KEY in repr(fact) or boss in repr(fact)]


async def test_an_expired_key_is_refused_and_its_holder_is_told(tmp_path: Path) -> None:
    settings = {"api_keys": [entry("ci", expires_at="2020-01-01T00:00:00Z")]}
    async with serving(tmp_path, settings=settings) as daemon:
        status, answer = await daemon.call("GET", "/api/v1/status", key=KEY)
        assert status == 401
        assert answer["error"].startswith("Unauthorized: the key ci expired at 2020-01-01")


async def test_while_no_key_is_set_every_call_is_answered_401(tmp_path: Path) -> None:
    async with serving(tmp_path, environ={"API_KEY": ""}) as daemon:
        for key in [None, "", WRONG, *[WRONG] * (FAILURES + 2)]:
            answered = await daemon.call("POST", "/dispatch", key=key, json=CALL)
            assert answered == (401, {"error": "Unauthorized"})


async def test_keys_of_the_list_work_without_api_key(tmp_path: Path) -> None:
    async with serving(tmp_path, environ={"API_KEY": ""}, settings={"api_keys": ENTRIES}) as daemon:
        assert (await daemon.call("GET", "/api/v1/status", key=HELD[Scope.READ]))[0] == 200


# Guessing

PROXY = {"trusted_proxies": ["127.0.0.1"]}


async def ask(daemon: Serving, key: str, client: str = "") -> tuple[int, str]:
    headers = {"x-api-key": key, **({"X-Forwarded-For": client} if client else {})}
    async with daemon.session.get(daemon.url + "/api/v1/status", headers=headers) as response:
        return response.status, response.headers.get("Retry-After", "")


class Ticking:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_an_address_may_try_ten_wrong_keys_a_minute(tmp_path: Path) -> None:
    time = Ticking()
    async with serving(tmp_path, settings=PROXY, elapsed=time) as daemon:
        for _ in range(FAILURES):
            assert await ask(daemon, WRONG, "192.0.2.1") == (401, "")
        assert await ask(daemon, WRONG, "192.0.2.1") == (429, "6")
        # A short key cannot be told from a guess, so it is not looked at.
        assert await ask(daemon, API_KEY, "192.0.2.1") == (429, "6")
        # Others are not held up.
        assert await ask(daemon, API_KEY, "192.0.2.2") == (200, "")
        time.now += PER / FAILURES
        assert await ask(daemon, API_KEY, "192.0.2.1") == (200, "")
        assert await ask(daemon, WRONG, "192.0.2.1") == (401, "")
        assert await ask(daemon, WRONG, "192.0.2.1") == (429, "6")
        time.now += PER
        assert [(await ask(daemon, WRONG, "192.0.2.1"))[0] for _ in range(11)] == [401] * 10 + [429]
        refused = [fact for fact in daemon.seen if isinstance(fact, RequestRefused)]
        assert {fact.client_ip for fact in refused} == {"192.0.2.1"}


async def test_a_right_key_that_nobody_guesses_is_never_held_up(tmp_path: Path) -> None:
    async with serving(tmp_path, settings={"api_keys": [entry("ci")]}, elapsed=Ticking()) as daemon:
        assert len(KEY) >= UNGUESSABLE
        for _ in range(FAILURES):
            await ask(daemon, WRONG)
        assert (await ask(daemon, LONG))[0] == 429
        assert (await ask(daemon, KEY))[0] == 200


async def test_a_64_network_of_ipv6_counts_as_one_address(tmp_path: Path) -> None:
    async with serving(tmp_path, settings=PROXY, elapsed=Ticking()) as daemon:
        for number in range(FAILURES):
            assert (await ask(daemon, WRONG, f"2001:db8::{number}"))[0] == 401
        assert (await ask(daemon, WRONG, "2001:db8::ffff:1"))[0] == 429
        assert (await ask(daemon, WRONG, "2001:db8:0:1::1"))[0] == 401


async def test_who_sends_no_key_guesses_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, elapsed=Ticking()) as daemon:
        for _ in range(FAILURES + 1):
            assert await ask(daemon, "") == (401, "")
        assert (await ask(daemon, API_KEY))[0] == 200


async def test_webhooks_are_taken_whatever_failed_from_their_address(tmp_path: Path) -> None:
    """GitHub's addresses are those of everybody who has a webhook there."""
    push = {
        "name": "push",
        "path": "/hooks/github",
        "auth": {"scheme": "github", "secret": "env:GH_WEBHOOK_SECRET"},
        "dispatch": {"event_type": "push"},
    }
    async with serving(tmp_path, triggers=[push], elapsed=Ticking()) as daemon:
        bad = {"x-hub-signature-256": "sha256=" + "0" * 64}
        for _ in range(3 * FAILURES):
            assert (await daemon.deliver("/hooks/github", {}, headers=bad))[0] == 401
            assert (await ask(daemon, WRONG))[0] in (401, 429)
        assert (await daemon.deliver("/hooks/github", {"good": 1}))[0] == 202


def test_who_has_endless_addresses_does_not_take_endless_memory() -> None:
    throttle = Throttle()
    for number in range(2 * ADDRESSES_MAX):
        throttle.failed(f"address {number}", 0.0)
    assert len(throttle) == ADDRESSES_MAX


@given(st.lists(st.floats(0, 30), max_size=200))
def test_in_no_minute_are_more_tried_than_twice_ten(gaps: list[float]) -> None:
    """Ten at once, and ten more that have come back by the end of it."""
    throttle, now = Throttle(), 0.0
    tried: list[float] = []
    for gap in gaps:
        now += gap
        if not throttle.wait("a", now):
            throttle.failed("a", now)
            tried.append(now)
    for start in tried:
        assert sum(start <= at <= start + PER for at in tried) <= 2 * FAILURES


@given(st.lists(st.floats(0, 100), max_size=50))
def test_after_the_wait_that_is_told_another_may_be_tried(gaps: list[float]) -> None:
    throttle, now = Throttle(), 0.0
    for gap in gaps:
        now += gap
        throttle.failed("a", now)
        assert throttle.wait("a", now + throttle.wait("a", now)) == 0


async def test_a_key_that_is_taken_out_opens_nothing_after_a_reload_and_guesses_still_count(
    tmp_path: Path,
) -> None:
    """The keys are read anew; what was tried is not forgotten."""
    files = tmp_path / "config"
    files.mkdir()
    (files / "CRONS.json").write_text("[]")

    def keep(*entries: Any) -> None:
        settings = {"reload_on_change": False, "api_keys": list(entries)}
        (files / "DAEMON.yaml").write_text(json.dumps(settings))

    keep(entry("ci"))
    async with serving(tmp_path, config_dir=files, elapsed=Ticking()) as daemon:
        assert (await ask(daemon, KEY))[0] == 200
        for _ in range(FAILURES):
            assert (await ask(daemon, WRONG))[0] == 401
        keep(entry("ci", key=OTHER))
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(daemon.socket)) as admin:
            reloaded = await admin.post("http://dispatchd/api/v1/reload", json={})
            assert reloaded.status == 200
        assert (await ask(daemon, OTHER))[0] == 200
        assert (await ask(daemon, KEY))[0] == 429
        assert (await ask(daemon, WRONG))[0] == 429
