"""What a person names, on its way into a path of the API: it stays one segment there."""

from __future__ import annotations

import re
from urllib.parse import quote

from daemon.errors import UsageError

ID = re.compile(r"(?:evt|dsp)_[0-9a-z]+")


def checked_id(text: str) -> str:
    """``text``, which looks like the id of an event or a dispatch. Raises UsageError."""
    if ID.fullmatch(text) is None:
        raise UsageError(
            f"{text!r} is not an id: ids are evt_… or dsp_…, with small letters and digits, as "
            "`dispatchd events` and `dispatchd dispatches` show them"
        )
    return text


def event_id(text: str) -> str:
    """``text``, which looks like the id of an event. Raises UsageError."""
    if checked_id(text).startswith("dsp_"):
        raise UsageError(f"that is a dispatch: dispatchd dispatches {text}")
    return text


def dispatch_id(text: str) -> str:
    """``text``, which looks like the id of a dispatch. Raises UsageError."""
    if checked_id(text).startswith("evt_"):
        raise UsageError(f"that is an event: dispatchd events {text}")
    return text


def segment(text: str) -> str:
    """``text`` percent-encoded as one segment of a path."""
    # Dots as well: `..` would lead to another path.
    return quote(text, safe="").replace(".", "%2E")
