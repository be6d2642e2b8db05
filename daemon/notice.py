"""Notices: what somebody is told of a dispatch that went wrong, as one request that Slack, Discord,
ntfy and whoever reads JSON take as it is."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from msgspec import Struct

from daemon.dispatch import Dispatch
from daemon.expressions import JSON, compact
from daemon.follow_up import Cause, FollowUp
from daemon.github import one_line

NOTICES_MAX = 10
NOTICES_PER = timedelta(minutes=1)
"""How many messages go to one URL in what span, unless an entry says otherwise."""

TITLE_MAX = 200
TEXT_MAX = 1700
"""Characters. Discord takes 2,000 in all."""

TEXT_BYTES_MAX = 3500
"""ntfy takes 4,096, and Apple's and Google's services for phones little more."""

LISTED_MAX = 50
"""How many of several dispatches are named in the part for programs."""

HEADERS: Mapping[str, str] = {
    "Content-Type": "application/json; charset=utf-8",
    # What ntfy (2.10 and later) makes of a JSON body on a topic's own URL: its templates, in Go's
    # notation. Nobody else reads these headers.
    "X-Template": "yes",
    "X-Title": "{{.title}}",
    "X-Message": "{{.message}}",
    "X-Tags": "warning",
}

_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class NotTold(Exception):
    """A notice did not arrive. The text says why, without the URL; ``retry_after`` is how long
    whoever is there asked to be left alone."""

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Notice(Struct, frozen=True):
    """What is told: a ``title`` of one line, a ``text``, and the same for programs in ``about``,
    one object for each dispatch that it is about."""

    title: str
    text: str
    about: tuple[Mapping[str, JSON], ...]
    listed_as: str = "follow_ups"


def notice(follow_up: FollowUp, dispatch: Dispatch, text: str | None = None) -> Notice:
    """What there is to tell of one follow-up; ``text`` in place of the usual one."""
    return Notice(
        _cut(one_line(f"{dispatch.entry}: {_what(follow_up)}", TITLE_MAX), TITLE_MAX),
        _cut(text or _text(follow_up, dispatch), TEXT_MAX, TEXT_BYTES_MAX),
        (about(follow_up, dispatch),),
    )


def joined(notices: Sequence[Notice]) -> Notice:
    """Many in one: as many of their titles and first lines as there is room for, and how many more
    there are. Of one, that one."""
    if len(notices) == 1:
        return notices[0]
    lines: list[str] = []
    room = TEXT_BYTES_MAX - 40
    for each in notices:
        line = one_line(f"{each.title}. {each.text}", TITLE_MAX)
        room -= len(line.encode()) + 1
        if room < 0 or sum(map(len, lines)) + len(lines) + len(line) > TEXT_MAX - 40:
            break
        lines.append(line)
    if more := len(notices) - len(lines):
        lines.append(f"… and {more:,} more")
    every = tuple(about for each in notices for about in each.about)
    return Notice(f"{len(notices):,} dispatches went wrong", "\n".join(lines), every)


def body(notice: Notice) -> bytes:
    """The JSON of the request, the same for all.

    Slack reads ``text``, in which `&`, `<` and `>` are written as entities so that nothing in it
    mentions anybody; Discord ``content``, and mentions nobody by ``allowed_mentions``; ntfy
    ``title`` and ``message``, by `HEADERS`; a program ``dispatchd``. Each passes over the others'.
    """
    whole = f"{notice.title}\n{notice.text}"
    value: dict[str, JSON] = {
        "text": whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "content": whole,
        "allowed_mentions": {"parse": []},
        "title": notice.title,
        "message": notice.text,
        "dispatchd": {
            "count": len(notice.about),
            notice.listed_as: [dict(each) for each in notice.about[:LISTED_MAX]],
        },
    }
    # A lone surrogate can come out of a payload, and is no text.
    return compact(value).encode("utf-8", "replace")


def about(follow_up: FollowUp, dispatch: Dispatch) -> dict[str, JSON]:
    """The same for programs, in short values: ntfy takes 32 KiB in all."""
    ran = follow_up.cause is Cause.FAILED
    return {
        "cause": follow_up.cause.value,
        "dispatch_id": dispatch.id,
        "event_id": dispatch.event_id,
        "entry": dispatch.entry,
        "repository": dispatch.repository,
        "run_id": follow_up.run_id if ran else None,
        "run_url": follow_up.run_url or None,
        "conclusion": follow_up.run_conclusion or None,
    }


def reason_of(follow_up: FollowUp, dispatch: Dispatch) -> str:
    """Why it went wrong, in words."""
    return follow_up.why or dispatch.reason


def url_fault(url: str) -> str:
    """Why no notice can go there, in words that do not hold the URL; empty where one can. What is
    not http is left to Apprise."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL"
    if not parts.scheme or not url.isprintable() or " " in url:
        return "is no URL"
    if parts.scheme not in ("http", "https"):
        return ""
    if not parts.hostname or port == 0:
        return "is no URL"
    if parts.scheme == "http" and not is_local(url):
        return "is not https: over plain http the token in it could be read on the way"
    return ""


def is_local(url: str) -> bool:
    """Whether the URL leads to this machine or a private network, as far as its text says."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name without dots is looked up on the local network, or among containers.
        return bool(host) and ("." not in host or host.endswith(_LOCAL_ENDINGS))
    return address.is_private or address.is_loopback or address.is_link_local


def without_secrets(words: str, url: str) -> str:
    """What was answered, unless it repeats a part of the URL that could be its secret."""
    parts = urlsplit(url)
    secret = [*parts.path.split("/"), *parts.query.replace("=", "&").split("&")]
    return "" if any(len(part) > 7 and part in words for part in secret) else words


def _what(follow_up: FollowUp) -> str:
    match follow_up.cause:
        case Cause.DEAD:
            return "dispatch dead"
        case Cause.MISSING:
            return "no run"
        case Cause.FAILED:
            return f"run ended with {follow_up.run_conclusion or 'failure'}"


def _text(follow_up: FollowUp, dispatch: Dispatch) -> str:
    what = dispatch.event_type or dispatch.workflow
    sent = f"{what} to {dispatch.repository}" if what and dispatch.repository else what
    reason = reason_of(follow_up, dispatch)
    match follow_up.cause:
        case Cause.DEAD:
            text = f"{sent or 'It'} was not sent: {reason}"
        case Cause.MISSING:
            text = f"GitHub took {sent}, and no run followed" + (f": {reason}" if reason else "")
        case Cause.FAILED:
            name = follow_up.run_name or f"run {follow_up.run_id}"
            text = f"{name}, started by {sent}, ended with {follow_up.run_conclusion}"
            text += f": {follow_up.run_url}" if follow_up.run_url else ""
    return f"{text} ({dispatch.id})"


def _cut(text: str, most: int, most_bytes: int = 4 * TITLE_MAX) -> str:
    """The text within both bounds, with an ellipsis where something is left off."""
    if len(text) <= most and len(text.encode("utf-8", "replace")) <= most_bytes:
        return text
    start = text[: most - 1].encode("utf-8", "replace")[: most_bytes - 3]
    return start.decode("utf-8", "ignore") + "…"
