"""What somebody is told of much that happened, in one message: how many of what, by entry; and how
long news is gathered, so that a storm of it makes a handful of messages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from daemon.expressions import JSON, rfc3339
from daemon.github import one_line
from daemon.incident import DEAD, NO_RUN, IncidentKind, News
from daemon.notice import TEXT_BYTES_MAX, TEXT_MAX, TITLE_MAX, Notice

GATHERED = timedelta(seconds=5)
"""How long what is owed is waited with for more of it."""

FIRST_GAP = timedelta(minutes=1)
LAST_GAP = timedelta(minutes=15)
"""Between two messages, doubled with each further one that there is always something to say in."""

QUIET = timedelta(minutes=30)
"""After so long without a message all begins anew."""

FRESH = timedelta(hours=1)
"""What is of a kind that nobody was told of for so long need not wait for such a gap."""

LINE_MAX = 400
"""Characters of the line on one entry."""

WORDS: Mapping[str, tuple[str, str]] = {
    DEAD: ("dispatch dead", "dispatches dead"),
    NO_RUN: ("dispatch without a run", "dispatches without a run"),
    IncidentKind.MISSED: ("instant missed", "instants missed"),
    IncidentKind.LATE: ("instant late", "instants late"),
    IncidentKind.BREAKER: ("breaker open", "breakers open"),
    IncidentKind.CHAIN: ("chain too deep", "chains too deep"),
}
"""By kind; what is of none of these is about the daemon itself."""

Told = Sequence[tuple[datetime, str]]
"""When somebody was told of what kind, oldest first."""


def due_at(owed: Sequence[News], told: Told, now: datetime) -> datetime:
    """When what is owed (some, at least) is to be told, after what was ``told`` lately."""
    gathered = min(min(each.at for each in owed), now) + GATHERED
    lately = [(at, kind) for at, kind in told if now - FRESH < at <= now]
    if not {each.kind for each in owed} <= {kind for _, kind in lately}:
        return gathered
    times = sorted({at for at, _ in lately})
    row = 1
    for before, after in zip(reversed(times[:-1]), reversed(times[1:]), strict=True):
        if after - before > QUIET:
            break
        row += 1
    if now - times[-1] > QUIET:
        return gathered
    doubled: timedelta = FIRST_GAP * 2 ** min(row - 1, 10)
    return max(gathered, times[-1] + min(LAST_GAP, doubled))


def digest(owed: Sequence[News], more: int = 0) -> Notice:
    """One message of all of it, and that there is so much ``more``."""
    groups: dict[tuple[str, str, bool], list[News]] = {}
    for each in owed:
        groups.setdefault((each.kind, each.entry, each.over), []).append(each)
    lines: list[str] = []
    room, room_bytes = TEXT_MAX - 40, TEXT_BYTES_MAX - 40
    for several in groups.values():
        line = one_line(_line(several), LINE_MAX)
        room -= len(line) + 1
        room_bytes -= len(line.encode(errors="replace")) + 1
        if min(room, room_bytes) < 0:
            break
        lines.append(line)
    if left := len(groups) - len(lines):
        lines.append(f"… and {left:,} more like these")
    if more:
        lines.append(f"… and {more:,} more that are told next")
    about = tuple(_about(several) for several in groups.values())
    return Notice(one_line(_title(owed), TITLE_MAX), "\n".join(lines), about, "incidents")


def _title(owed: Sequence[News]) -> str:
    counts = Counter[str]()
    for each in owed:
        counts[each.kind] += each.count
    if len({(each.kind, each.entry) for each in owed}) == 1 and owed[0].kind in WORDS:
        return f"{owed[0].entry}: {_counted(owed[0].kind, counts[owed[0].kind])}"
    known = [_counted(kind, counts[kind]) for kind in WORDS if counts[kind]]
    own = [each for each in owed if each.kind not in WORDS]
    if any(not each.over for each in own):
        known.append("the daemon is not well")
    elif own:
        known.append("the daemon is well again")
    return f"dispatchd: {', '.join(known)}"


def _line(several: Sequence[News]) -> str:
    last = several[-1]
    if last.kind not in WORDS:
        return f"Over: {last.text}" if last.over else last.text
    what = _counted(last.kind, sum(each.count for each in several))
    return f"{last.entry}: {what}{', last' if len(several) > 1 else ''}: {last.text}"


def _counted(kind: str, count: int) -> str:
    one, more = WORDS[kind]
    return one if count == 1 else f"{count:,} {more}"


def _about(several: Sequence[News]) -> dict[str, JSON]:
    last = several[-1]
    return {
        "kind": last.kind,
        "entry": last.entry,
        "count": sum(each.count for each in several),
        "first": rfc3339(several[0].at),
        "last": rfc3339(last.at),
        "over": last.over,
        "text": one_line(last.text, LINE_MAX),
    }
