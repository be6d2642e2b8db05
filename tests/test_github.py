"""GitHub's rules as pure functions: the request that goes out, and what each answer means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import __version__
from daemon.dispatch import Dispatch
from daemon.github import (
    Accepted,
    Ambiguous,
    Answer,
    Failed,
    Redirected,
    Throttled,
    Unauthorized,
    dispatch_request,
    interpret,
    limits,
    one_line,
    payload_faults,
)
from daemon.pacing import Limits

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "https://api.github.com/repos/acme/shop/dispatches"
GITHUB = {"X-GitHub-Request-Id": "C0DE:1"}


def a_dispatch(event_type: str = "build", payload: str = '{"a":1}', **to: str) -> Dispatch:
    return Dispatch(
        id="dsp_1",
        event_id="evt_1",
        entry="nightly",
        repository=to.get("repository", "acme/shop"),
        event_type=event_type,
        client_payload=payload,
        created_at=NOW,
        due_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )


def answer(status: int, body: object = b"", url: str = URL, **headers: str) -> Answer | Redirected:
    """GitHub's answer, its JSON given as an object; ``retry_after`` stands for ``retry-after``."""
    fields = GITHUB | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return interpret(status, fields, raw, url=url, now=NOW)


def failure(status: int, body: object = b"", **headers: str) -> str:
    given = answer(status, body, **headers)
    assert isinstance(given, Failed | Unauthorized)
    return given.reason


def throttled(status: int, body: object = b"", **headers: str) -> datetime | None:
    given = answer(status, body, **headers)
    assert isinstance(given, Throttled)
    return given.until


def epoch(at: datetime) -> str:
    return str(int(at.timestamp()))


def in_seconds(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class TestTheRequest:
    def test_it_is_a_post_with_the_headers_that_github_wants_and_no_token(self) -> None:
        request = dispatch_request(a_dispatch(), "https://github.corp/api/v3/", "2026-03-10")
        assert (request.method, request.url) == (
            "POST",
            "https://github.corp/api/v3/repos/acme/shop/dispatches",
        )
        assert request.headers == {
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "User-Agent": f"dispatchd/{__version__}",
            "X-GitHub-Api-Version": "2026-03-10",
        }

    def test_the_stored_payload_goes_out_byte_for_byte(self) -> None:
        """Parsing it again would turn 1.0 into another number and lose repeated digits."""
        stored = '{ "n": 1.0, "big": 12345678901234567890.10, "text": "naïve ☕" }'
        body = dispatch_request(a_dispatch(payload=stored), "https://api.github.com").body
        assert stored.encode() in body

    @given(event_type=st.text(st.characters(codec="utf-8")))
    def test_any_event_type_makes_valid_json(self, event_type: str) -> None:
        body = dispatch_request(a_dispatch(event_type), "https://api.github.com").body
        assert json.loads(body) == {"event_type": event_type, "client_payload": {"a": 1}}

    def test_a_repository_cannot_leave_its_place_in_the_path(self) -> None:
        request = dispatch_request(a_dispatch(repository="a/b?x#y z"), "https://api.github.com")
        assert request.url == "https://api.github.com/repos/a/b%3Fx%23y%20z/dispatches"


class TestTheLimits:
    def test_a_dispatch_within_githubs_limits_has_no_fault(self) -> None:
        payload = {f"k{n}": n for n in range(10)}
        assert payload_faults("e" * 100, payload, b"x" * 65_535) == []

    def test_every_fault_says_by_how_much_and_how_to_mend_it(self) -> None:
        payload = {f"k{n}": n for n in range(14)}
        event_type, keys, size = payload_faults("e" * 103, payload, b"x" * 66_000)
        assert "103 characters, 3 more than GitHub's 100" in event_type
        assert "14 top-level keys, 4 more than GitHub's 10" in keys
        assert "66,000 bytes" in size
        assert "465 more than GitHub's 65,535" in size

    def test_our_own_key_is_named_where_it_is_the_one_too_many(self) -> None:
        payload: dict[str, object] = {f"k{n}": n for n in range(10)}
        payload["dispatchd"] = {}
        (fault,) = payload_faults("build", payload, b"{}")
        assert "the 'dispatchd' key included" in fault

    def test_an_empty_event_type_is_a_fault(self) -> None:
        assert len(payload_faults("", {}, b"{}")) == 1


class TestSuccess:
    def test_204_is_accepted(self) -> None:
        assert answer(204) == Accepted()

    def test_a_success_of_githubs_with_another_status_is_accepted(self) -> None:
        """A later API version may answer with a body, as workflow_dispatch's already does."""
        assert answer(200, {"dispatched": True}) == Accepted()

    @pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"", b"{}"])
    def test_a_200_of_some_other_server_is_not_acceptance(self, body: bytes) -> None:
        given = interpret(200, {}, body, url=URL, now=NOW)
        assert isinstance(given, Ambiguous)
        assert "GH_API_URL" in given.reason

    def test_a_page_is_not_acceptance_whatever_its_headers(self) -> None:
        assert isinstance(answer(200, b"  <!doctype html>"), Ambiguous)


class TestRefusals:
    def test_a_refusal_gives_githubs_own_words_and_our_explanation(self) -> None:
        reason = failure(
            422,
            {"message": "Invalid request.\n\nNo more than 10 properties are allowed; 14 "},
        )
        assert reason.startswith(
            'GitHub answered 422: "Invalid request. No more than 10 properties are allowed; 14"'
        )
        assert "10 top-level keys and 65,535 bytes" in reason

    def test_the_messages_of_single_errors_are_told_too(self) -> None:
        errors = [{"message": "too old"}, {"field": "ref", "code": "missing"}, "plain", 7, None]
        reason = failure(422, {"message": "Validation Failed", "errors": errors})
        assert '"Validation Failed; too old; ref: missing; plain"' in reason

    @pytest.mark.parametrize(
        ("status", "message", "help_"),
        [
            (400, "Problems parsing JSON", "does not know the API version"),
            (401, "Bad credentials", "expired or revoked"),
            (403, "Resource not accessible by personal access token", "'contents: write'"),
            (403, "Resource not accessible by integration", "'contents: write'"),
            (403, "Resource protected by organization SAML enforcement.", "single sign-on"),
            (403, "the `acme` organization has an IP allow list enabled", "not listed"),
            (403, "Repository was archived so is read-only.", "archived"),
            (404, "Not Found", "misspelt, or the token cannot see it"),
            (407, "Proxy Authentication Required", "HTTPS_PROXY"),
            (410, "Gone", "retired"),
            (418, "I'm a teapot", "not retried"),
        ],
    )
    def test_each_refusal_says_how_to_mend_it(self, status: int, message: str, help_: str) -> None:
        reason = failure(status, {"message": message}, x_ratelimit_remaining="4000")
        assert f'GitHub answered {status}: "{message}"' in reason
        assert help_ in reason
        assert "x-github-request-id" not in reason

    @pytest.mark.parametrize("status", [401, 410])
    def test_a_credential_or_a_version_that_is_not_taken_is_not_the_dispatchs_fault(
        self, status: int
    ) -> None:
        assert isinstance(answer(status), Unauthorized)

    def test_a_refusal_without_githubs_request_id_points_at_the_proxy(self) -> None:
        given = interpret(404, {}, b"", url=URL, now=NOW)
        assert isinstance(given, Failed)
        assert "check GH_API_URL and any proxy" in given.reason

    def test_a_moved_repository_is_not_followed_with_a_body_less_get(self) -> None:
        for status in (301, 302, 303):
            reason = failure(status, location="https://api.github.com/repositories/7/dispatches")
            assert "repositories/7" in reason
            assert "write its new name in the config" in reason


class TestRateLimits:
    @pytest.mark.parametrize("status", [403, 429])
    def test_retry_after_in_seconds_is_obeyed_before_all_else(self, status: int) -> None:
        until = throttled(
            status,
            retry_after="30",
            x_ratelimit_remaining="0",
            x_ratelimit_reset=epoch(in_seconds(900)),
        )
        assert until == in_seconds(30)

    def test_retry_after_may_be_an_http_date(self) -> None:
        assert throttled(429, retry_after="Sun, 01 Mar 2026 12:02:00 GMT") == in_seconds(120)

    @pytest.mark.parametrize("status", [403, 429])
    def test_nothing_remaining_waits_for_the_reset(self, status: int) -> None:
        until = throttled(
            status, x_ratelimit_remaining="0", x_ratelimit_reset=epoch(in_seconds(900))
        )
        assert until == in_seconds(900)

    @pytest.mark.parametrize(
        "message",
        [
            "You have exceeded a secondary rate limit. Please wait a few minutes",
            "You have triggered an abuse detection mechanism.",
        ],
    )
    def test_a_secondary_limit_with_plenty_remaining_names_no_time(self, message: str) -> None:
        until = throttled(
            403,
            {"message": message},
            x_ratelimit_remaining="4987",
            x_ratelimit_reset=epoch(in_seconds(900)),
        )
        assert until is None

    def test_a_429_that_says_nothing_names_no_time(self) -> None:
        assert throttled(429, b"<html>slow down</html>", retry_after="soon") is None

    def test_a_reset_is_a_wait_by_githubs_clock_when_ours_is_wrong(self) -> None:
        """With our clock ten minutes ahead, GitHub's reset would seem to have passed."""
        theirs = NOW - timedelta(minutes=10)
        until = throttled(
            403,
            date=format_datetime(theirs, usegmt=True),
            x_ratelimit_remaining="0",
            x_ratelimit_reset=epoch(theirs + timedelta(seconds=60)),
        )
        assert until == in_seconds(60)

    @pytest.mark.parametrize(
        ("named", "seconds"),
        [("0", 1), ("9999999999", 86_400), ("Thu, 01 Jan 1970 00:00:00 GMT", 1)],
    )
    def test_a_wait_is_at_least_a_second_and_at_most_a_day(self, named: str, seconds: int) -> None:
        assert throttled(429, retry_after=named) == in_seconds(seconds)


class TestLostAnswers:
    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 599, 100, 0, -1, 999])
    def test_what_does_not_tell_the_fate_is_ambiguous(self, status: int) -> None:
        assert isinstance(answer(status), Ambiguous)

    def test_a_gateways_page_is_quoted_as_one_short_line_of_text(self) -> None:
        page = b"<html>\r\n<h1>502 Bad\x00\x1b[31m Gateway</h1>" + b"<p>so sorry </p>" * 5000
        given = answer(502, page)
        assert isinstance(given, Ambiguous)
        quoted = given.reason.split('"')[1]
        assert quoted.startswith("502 Bad [31m Gateway so sorry")
        assert len(quoted) == 200
        assert quoted.isprintable()


class TestRedirects:
    @pytest.mark.parametrize("status", [307, 308])
    @pytest.mark.parametrize(
        "location",
        [
            "https://api.github.com/repositories/7/dispatches?a=b",
            "https://api.github.com:443/repositories/7/dispatches?a=b",
            "HTTPS://API.GitHub.com/repositories/7/dispatches?a=b#fragment",
            "//api.github.com/repositories/7/dispatches?a=b",
            "/repositories/7/dispatches?a=b",
        ],
    )
    def test_one_within_the_same_origin_is_followed(self, status: int, location: str) -> None:
        expected = Redirected("https://api.github.com/repositories/7/dispatches?a=b")
        assert answer(status, location=location) == expected

    @pytest.mark.parametrize(
        "location",
        [
            "http://api.github.com/repositories/7/dispatches",
            "https://api.github.com:8443/repositories/7/dispatches",
            "https://api.github.com.evil.example/",
            "https://evil.example\\@api.github.com:1/",
            "https://api.github.com\\@evil.example/",
            "https://api.github.com@evil.example/",
            "https://[half/",
            "https://api.github.com:x/",
            "ftp://api.github.com/",
            "",
        ],
    )
    def test_one_that_leaves_the_origin_never_gets_the_token(self, location: str) -> None:
        reason = failure(307, location=location)
        assert "the token is not sent there" in reason

    @given(location=st.text(max_size=60))
    def test_whatever_the_location_the_request_stays_with_its_origin(self, location: str) -> None:
        given = answer(307, location=location)
        if isinstance(given, Redirected):
            assert given.url.startswith("https://api.github.com/") or given.url == (
                "https://api.github.com"
            )
            assert given.url.isascii()
            assert not set(given.url) & set(" \r\n\t")
        else:
            assert isinstance(given, Failed)


class TestLimitsHeaders:
    def test_githubs_count_is_read_with_its_reset_by_our_clock(self) -> None:
        headers = {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": "4987",
            "X-RateLimit-Reset": epoch(in_seconds(900)),
            "X-RateLimit-Resource": "core",
            "Date": "Sun, 01 Mar 2026 12:01:00 GMT",
        }
        assert limits(headers, NOW) == Limits(5000, 4987, in_seconds(840), "core")

    @pytest.mark.parametrize("remaining", ["", "many", "-1", "1e3", "٣", "9" * 5000])
    def test_an_unreadable_count_is_none(self, remaining: str) -> None:
        headers = {
            "x-ratelimit-limit": "5000",
            "x-ratelimit-remaining": remaining,
            "x-ratelimit-reset": epoch(NOW),
        }
        assert limits(headers, NOW) is None
        assert limits({}, NOW) is None


names = st.sampled_from(
    [
        "retry-after",
        "Date",
        "Location",
        "X-RateLimit-Limit",
        "X-RateLimit-Remaining",
        "X-RateLimit-Reset",
        "X-RateLimit-Resource",
        "x-github-request-id",
        "x-github-sso",
    ]
)
dates = st.datetimes(timezones=st.just(UTC)).map(lambda at: format_datetime(at))
values = st.text(max_size=40) | st.integers().map(str) | dates
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
bodies = (
    st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"message": json_values, "errors": json_values}).map(
        lambda value: json.dumps(value).encode()
    )
    | st.just(b"[" * 60_000)
    | st.just(b"<" * 60_000)
)


@given(
    status=st.integers(-1, 1000) | st.sampled_from([204, 307, 403, 422, 429]),
    headers=st.dictionaries(names, values),
    body=bodies,
)
def test_no_answer_whatsoever_makes_interpret_raise_or_say_more_than_a_few_lines(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    given = interpret(status, headers, body, url=URL, now=NOW)
    limits(headers, NOW)
    if isinstance(given, (Failed, Ambiguous, Throttled)):
        assert len(given.reason) < 1500
        assert given.reason.isprintable()
    if isinstance(given, Throttled) and given.until is not None:
        assert NOW < given.until <= NOW + timedelta(days=1)


@given(text=st.text(), most=st.integers(1, 300))
def test_a_quotation_is_one_printable_line_of_bounded_length(text: str, most: int) -> None:
    line = one_line(text, most)
    assert len(line) <= most
    assert line.isprintable()
