"""Whether a signed time is near enough to now: a captured request that is sent again is an old one,
and for that its time must be part of what is signed."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta

from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import SchemeError

_SECONDS = re.compile(r"[0-9]{10}")
_MILLISECONDS = re.compile(r"[0-9]{13}")


def require_positive(tolerance: timedelta) -> None:
    """Raises SchemeError for a tolerance that would let nothing through."""
    if tolerance <= timedelta(0):
        raise SchemeError("`tolerance` must be longer than 0s", "tolerance")


def check_unix_time(
    header: str,
    request: Request,
    now: datetime,
    tolerance: timedelta,
    *,
    milliseconds: bool = False,
) -> Mismatch | None:
    """Whether ``header`` is missing, no Unix time, or too far from ``now``.

    Its length is fixed. Vendors sign the time and the body with nothing between them, and of a time
    that could be longer or shorter the body could take digits, or give some.
    """
    text = request.headers.get(header)
    if text is None:
        return Mismatch(f"the header {header} is missing", "it holds the time, which is signed too")
    # A pattern, since int() also takes signs, spaces, underscores and the digits of any script.
    pattern = _MILLISECONDS if milliseconds else _SECONDS
    if not pattern.fullmatch(text):
        expected = "13 digits, in milliseconds" if milliseconds else "10 digits, in seconds"
        return Mismatch(f"the header {header} is not a Unix time", f"it should be {expected}")
    seconds = int(text) / (1000 if milliseconds else 1)
    age = timedelta(seconds=now.timestamp() - seconds)
    return check_age(f"the header {header}", age, tolerance)


def check_age(what: str, age: timedelta, tolerance: timedelta) -> Mismatch | None:
    """Whether ``what`` is too old, or (a negative ``age``) too far in the future."""
    if abs(age) <= tolerance:
        return None
    where = "old" if age > timedelta(0) else "in the future"
    return Mismatch(
        f"{what} is {_span(abs(age))} {where}, and {_span(tolerance)} are allowed",
        "an old request that is sent again is refused; if this one is new, a clock is wrong, "
        "here or at the sender",
    )


def _span(length: timedelta) -> str:
    """As the config writes durations, in whole seconds rounded up: ``1h5m``."""
    rest = math.ceil(length.total_seconds())
    text = ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
