"""What a new config changes: entries that come, go or are written otherwise, instants that move,
settings. Pure: ``now`` is an argument."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from daemon.errors import UsageError
from daemon.expressions import rfc3339
from daemon.spec import Config, Settings

AT_START = ("listen", "database_url", "ca_file", "log_format", "log_level", "tls")
"""The settings that are taken at a start only; a reload leaves them as they are."""

SHOWN = frozenset(
    {"schedule", "every", "offset", "at", "timezone", "jitter", "catch_up", "overlap", "enabled"}
    | {"path", "methods", "max_body"}
)
"""The keys whose values are told. Those of others are long, or may be a URL that is a secret."""

VALUE_MAX = 60

Keys = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EntryChange:
    """What becomes of one entry. ``kind`` is ``cron`` or ``trigger``, ``what`` ``added``,
    ``removed`` or ``changed``; ``keys`` are those that are written otherwise."""

    kind: str
    name: str
    what: str
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.what}" + (
            f": {', '.join(self.keys)}" if self.keys else ""
        )


@dataclass(frozen=True, slots=True)
class Moved:
    """The next instant of a cron entry that was there before and is another one now; None where it
    fires no more."""

    cron: str
    before: datetime | None
    after: datetime | None

    def __str__(self) -> str:
        return f"cron {self.cron} fires next {_when(self.after)}, not {_when(self.before)}"


@dataclass(frozen=True, slots=True)
class Rerouted:
    """A stored delivery that would be judged otherwise now: the word of each trigger that differs,
    before and after."""

    event_id: str
    at: datetime
    path: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def told(self) -> str:
        """The difference, without which delivery it is about."""
        return f"to {self.path} would come to {_listed(self.after)}, not {_listed(self.before)}"


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """``settings`` are those of DAEMON.yaml that are written otherwise, and ``at_restart`` what is
    so far only taken at a start. ``looked_at`` is how many stored deliveries were judged again."""

    entries: tuple[EntryChange, ...] = ()
    moved: tuple[Moved, ...] = ()
    settings: tuple[str, ...] = ()
    at_restart: tuple[str, ...] = ()
    rerouted: tuple[Rerouted, ...] = ()
    looked_at: int = 0

    @property
    def lines(self) -> list[str]:
        """All of it for people, one line a change; deliveries that change alike share one."""
        lines = [str(each) for each in (*self.entries, *self.moved)]
        lines += [f"setting {name} changed" for name in self.settings]
        lines += [
            f"{name} is taken at a start only: restart the daemon to have the new one"
            for name in self.at_restart
        ]
        alike: dict[str, list[str]] = {}
        for each in self.rerouted:
            alike.setdefault(each.told, []).append(each.event_id)
        return lines + [
            f"{ids[0]}{f' and {len(ids) - 1} more' if ids[1:] else ''} {told}"
            for told, ids in alike.items()
        ]


def adoptable(before: Settings, after: Settings) -> Settings:
    """``after`` as it can be taken over without a restart. Raises UsageError where it is about
    another GitHub than ``before``: what is under way there belongs to that one."""
    if after.gh_api_url != before.gh_api_url:
        raise UsageError(
            f"gh_api_url is another one now ({after.gh_api_url}), and what is under way belongs to "
            f"{before.gh_api_url}: restart the daemon"
        )
    return replace(after, **{name: getattr(before, name) for name in AT_START})


def compare(before: Config, after: Config, now: datetime) -> ConfigChange:
    """What ``after`` changes; nothing about stored deliveries."""
    old, new = _read(before.written), _read(after.written)
    entries = [
        change
        for kind in ("cron", "trigger")
        for change in _entries(kind, old.get(kind, {}), new.get(kind, {}))
    ]
    was, is_now = old.get("settings", {}), new.get("settings", {})
    settings = sorted(key for key in {*was, *is_now} if was.get(key) != is_now.get(key))
    at_restart = [
        name for name in AT_START if getattr(before.settings, name) != getattr(after.settings, name)
    ]
    return ConfigChange(
        entries=tuple(entries),
        moved=tuple(_moved(before, after, now)),
        settings=tuple(settings),
        at_restart=tuple(at_restart),
    )


def written(crons: Mapping[str, object], triggers: Mapping[str, object], settings: object) -> bytes:
    """What stands in the files, as `Config.written` has it."""
    found = {"cron": crons, "trigger": triggers, "settings": settings or {}}
    return zlib.compress(orjson.dumps(found, default=str, option=orjson.OPT_NON_STR_KEYS), 1)


def _read(text: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(zlib.decompress(text)) if text else {}
    return found


def _entries(kind: str, old: Mapping[str, Keys], new: Mapping[str, Keys]) -> Iterator[EntryChange]:
    for name in (name for name in old if name not in new):
        yield EntryChange(kind, name, "removed")
    for name, keys in new.items():
        if name not in old:
            yield EntryChange(kind, name, "added")
        elif old[name] != keys:
            changed = [key for key in {**old[name], **keys} if old[name].get(key) != keys.get(key)]
            told = tuple(_told(key, old[name].get(key), keys.get(key)) for key in changed)
            yield EntryChange(kind, name, "changed", told)


def _told(key: str, before: object, after: object) -> str:
    return f"{key} {_value(before)} -> {_value(after)}" if key in SHOWN else key


def _value(value: object) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    shown = text if text.isprintable() else repr(text)
    return shown if len(shown) <= VALUE_MAX else shown[: VALUE_MAX - 1] + "…"


def _moved(before: Config, after: Config, now: datetime) -> Iterator[Moved]:
    old = {cron.name: cron.schedule for cron in before.crons if cron.enabled}
    for cron in after.crons:
        was = old.get(cron.name)
        if not cron.enabled or was is None or was.identity == cron.schedule.identity:
            continue
        then, instead = was.next_after(now), cron.schedule.next_after(now)
        if then != instead:
            yield Moved(cron.name, then, instead)


def _when(instant: datetime | None) -> str:
    return rfc3339(instant) if instant else "never"


def _listed(words: tuple[str, ...]) -> str:
    return "; ".join(words) or "nothing"
