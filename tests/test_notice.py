"""What is told of a dispatch that went wrong, and where it may be told."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.follow_up import Cause
from daemon.notice import (
    HEADERS,
    TEXT_BYTES_MAX,
    TEXT_MAX,
    TITLE_MAX,
    Notice,
    body,
    is_local,
    joined,
    notice,
    url_fault,
    without_secrets,
)
from tests.follow_ups import DISPATCH, RUN, follow_up

DISCORD_CONTENT_MAX = 2000  # characters: "Execute Webhook" in Discord's API reference
NTFY_MESSAGE_MAX = 4096  # bytes: message-size-limit in ntfy's server.yml
NTFY_BODY_MAX = 32768  # bytes: jsonBodyBytesLimit in ntfy's server.go
SLACK_TEXT_MAX = 40_000  # characters: "Truncating content" in Slack's API reference

DEAD = notice(follow_up(), DISPATCH)


def sent(notice: Notice) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body(notice))
    return found


@pytest.mark.parametrize(
    ("cause", "facts", "title", "text"),
    [
        (
            Cause.DEAD,
            {},
            "nightly: dispatch dead",
            "build to o/r was not sent: GitHub answered 404 Not Found (dsp_1)",
        ),
        (
            Cause.MISSING,
            {"why": "no workflow listens to build"},
            "nightly: no run",
            "GitHub took build to o/r, and no run followed: no workflow listens to build (dsp_1)",
        ),
        (
            Cause.FAILED,
            RUN,
            "nightly: run ended with timed_out",
            "Build, started by build to o/r, ended with timed_out: "
            "https://github.example/o/r/actions/runs/42 (dsp_1)",
        ),
    ],
)
def test_each_cause_is_told_in_words_that_lead_on(
    cause: Cause, facts: dict[str, Any], title: str, text: str
) -> None:
    told = notice(follow_up(cause, **facts), DISPATCH)
    assert (told.title, told.text) == (title, text)


def test_one_body_has_what_slack_discord_and_ntfy_each_read() -> None:
    value = sent(DEAD)
    whole = f"{DEAD.title}\n{DEAD.text}"
    assert value["text"] == whole  # Slack, Mattermost, Rocket.Chat
    assert value["content"] == whole  # Discord
    assert (value["title"], value["message"]) == (DEAD.title, DEAD.text)  # ntfy
    assert (HEADERS["X-Title"], HEADERS["X-Message"]) == ("{{.title}}", "{{.message}}")
    assert HEADERS["X-Template"] == "yes"
    # None of the keys by which one of them would do anything else with it.
    others = {"blocks", "attachments", "channel", "username", "embeds", "tts", "flags", "topic"}
    assert not others & value.keys()


def test_a_program_is_told_the_ids() -> None:
    assert sent(notice(follow_up(Cause.FAILED, **RUN), DISPATCH))["dispatchd"] == {
        "count": 1,
        "follow_ups": [
            {
                "cause": "failed",
                "dispatch_id": "dsp_1",
                "event_id": "evt_1",
                "entry": "nightly",
                "repository": "o/r",
                "run_id": 42,
                "run_url": RUN["run_url"],
                "conclusion": "timed_out",
            }
        ],
    }


def test_nobody_is_mentioned_by_what_a_sender_put_into_a_payload() -> None:
    """Slack reads `<!channel>`, Discord `@everyone` unless it is told not to."""
    value = sent(notice(follow_up(), DISPATCH, "<!channel> & @everyone"))
    assert "<" not in value["text"]
    assert html.unescape(value["text"]).endswith("<!channel> & @everyone")
    assert value["content"].endswith("<!channel> & @everyone")
    assert value["allowed_mentions"] == {"parse": []}


@given(st.lists(st.text(max_size=5000), min_size=1, max_size=120))
def test_whatever_is_told_is_within_the_limits_of_all_three(texts: list[str]) -> None:
    several = joined([notice(follow_up(), DISPATCH, text) for text in texts])
    for told in (several, notice(follow_up(), DISPATCH, texts[0])):
        raw = body(told)
        value = json.loads(raw)
        assert len(value["content"]) <= DISCORD_CONTENT_MAX
        assert len(value["text"]) <= SLACK_TEXT_MAX
        assert len(value["message"].encode()) <= NTFY_MESSAGE_MAX
        assert len(raw) <= NTFY_BODY_MAX


@pytest.mark.parametrize("character", ["x", "ß", "語", "🚀", "&", "\x00", "\ud800"])
def test_a_long_text_ends_in_an_ellipsis(character: str) -> None:
    told = notice(follow_up(), DISPATCH, character * 10_000)
    assert told.text.endswith("…")
    assert len(told.text) <= TEXT_MAX
    assert len(told.text.encode(errors="replace")) <= TEXT_BYTES_MAX
    body(told)


def test_of_many_as_many_are_named_as_there_is_room_for_and_none_is_passed_over() -> None:
    many = joined([notice(follow_up(), DISPATCH, f"number {n} " + "x" * 60) for n in range(300)])
    *named, last = many.text.splitlines()
    assert many.title == "300 dispatches went wrong"
    assert all(
        line.startswith(f"nightly: dispatch dead. number {n} ") for n, line in enumerate(named)
    )
    assert last == f"… and {300 - len(named)} more"
    assert 5 < len(named) < 40
    assert sent(many)["dispatchd"]["count"] == 300


def test_few_are_all_named() -> None:
    few = joined([DEAD, DEAD])
    assert few.text.splitlines() == [f"{DEAD.title}. {DEAD.text}"] * 2
    assert joined([DEAD]) is DEAD


def test_a_title_is_one_line_however_long_its_entry_is_called() -> None:
    from msgspec.structs import replace

    told = notice(follow_up(), replace(DISPATCH, entry="a\nb" * 400))
    assert "\n" not in told.title
    assert len(told.title) <= TITLE_MAX


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:2586/builds",
        "http://127.0.0.1/x",
        "http://[::1]:80/x",
        "http://10.1.2.3/x",
        "http://192.168.0.9:8080/x",
        "http://ntfy/builds",
        "http://ntfy.internal/builds",
        "http://nas.local/x",
    ],
)
def test_plain_http_is_for_this_machine_and_private_networks(url: str) -> None:
    assert is_local(url)
    assert url_fault(url) == ""


@pytest.mark.parametrize(
    "url",
    ["http://example.com/x", "http://8.8.8.8/x", "http://localhost.example.com/x", "http://1.2/x"],
)
def test_elsewhere_it_is_refused(url: str) -> None:
    assert not is_local(url)
    assert "is not https" in url_fault(url)
    assert url_fault(url.replace("http:", "https:")) == ""


@pytest.mark.parametrize(
    "text", ["", "hooks.slack.com/x", "https://", "https://a b/", "https://a\n/", "https://[/x",
             "https://a:99999/"],
)  # fmt: skip
def test_what_is_no_url_is_told_without_repeating_it(text: str) -> None:
    assert url_fault(text) == "is no URL"


def test_other_schemes_are_left_to_apprise() -> None:
    assert url_fault("mailto://user:pass@example.com") == ""


def test_an_answer_that_repeats_the_secret_of_the_url_is_not_told() -> None:
    url = "https://hooks.example.com/services/T0001/B0002/xoxSecretToken"
    assert without_secrets("no_service", url) == "no_service"
    assert without_secrets("no webhook xoxSecretToken here", url) == ""
    assert without_secrets("unknown tk_12345678", "https://ntfy.sh/a?auth=tk_12345678") == ""
