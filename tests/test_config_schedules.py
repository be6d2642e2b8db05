"""When an entry fires, as CRONS.json says it: what loads, what is refused, what is warned about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.config import Secrets, load
from daemon.errors import ConfigError
from daemon.event import Event, Firing
from daemon.judge import judge_firing
from daemon.spec import Config, CronSpec
from daemon.spread import jitter

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOME = {"GH_OWNER": "acme", "GH_REPO": "site"}
DISPATCH = {"event_type": "build", "send_within": "1h"}
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def read(directory: Path, *entries: Any, defaults: Any = None) -> Config:
    crons = [{"name": "nightly", "dispatch": DISPATCH, **entry} for entry in entries]
    data = crons if defaults is None else {"defaults": defaults, "crons": crons}
    (directory / "CRONS.json").write_text(json.dumps(data))
    return load(directory, HOME, secrets=Secrets.OPTIONAL, now=NOW)


def cron(directory: Path, entry: Any, defaults: Any = None) -> CronSpec:
    config = read(directory, entry, defaults=defaults)
    assert config.warnings == ()
    return config.crons[0]


def instants(spec: CronSpec, count: int) -> list[str]:
    at: datetime | None = NOW
    found: list[str] = []
    while at is not None and len(found) < count:
        at = spec.schedule.next_after(at)
        found.append(f"{at:%m-%d %H:%M}" if at else "none")
    return found


@pytest.mark.parametrize(
    ("entry", "text", "expected"),
    [
        ({"schedule": "0 3 L * *"}, "0 3 L * *", ["11-30 03:00", "12-31 03:00"]),
        ({"schedule": "H H(0-7) * * *"}, "H H(0-7) * * *", ["11-24 02:42", "11-25 02:42"]),
        ({"every": "90m"}, "every 90m", ["11-23 13:30", "11-23 15:00"]),
        (
            {"every": "120m", "offset": "15m", "timezone": "Europe/Berlin"},
            "every 2h offset 15m",
            ["11-23 12:15", "11-23 14:15"],
        ),
        ({"every": "6h", "offset": "0s"}, "every 6h", ["11-23 18:00"]),
        (
            {"at": "2026-12-01T01:00:00+02:00"},
            "at 2026-11-30T23:00:00Z",
            ["11-30 23:00", "none"],
        ),
        (
            {"schedule": "0 3 * * *", "start_at": "2026-12-01t03:00:00z"},
            "0 3 * * *",
            ["12-01 03:00", "12-02 03:00"],
        ),
        (
            {"every": "1d", "end_at": "2026-11-25T00:00:00Z"},
            "every 1d",
            ["11-24 00:00", "11-25 00:00", "none"],
        ),
        (
            {"schedule": "@daily", "timezone": "Europe/Berlin", "exclude": ["2026-11-25"]},
            "@daily",
            ["11-23 23:00", "11-25 23:00"],
        ),
        ({"schedule": "@daily", "exclude": ["H H * * TUE", "* * * * WED"]}, "@daily", ["11-24"]),
    ],
)
def test_every_form_loads_and_is_shown(
    tmp_path: Path, entry: Any, text: str, expected: list[str]
) -> None:
    spec = cron(tmp_path, entry)
    assert spec.schedule.text == text
    found = instants(spec, len(expected))
    assert [at[: len(part)] for at, part in zip(found, expected, strict=True)] == expected


def test_an_entry_that_says_when_it_fires_takes_no_other_way_from_the_defaults(
    tmp_path: Path,
) -> None:
    defaults = {"every": "1h", "offset": "5m", "jitter": "1m"}
    assert cron(tmp_path, {}, defaults).schedule.text == "every 1h offset 5m"
    assert cron(tmp_path, {"every": "2h"}, defaults).schedule.text == "every 2h offset 5m"
    at = cron(tmp_path, {"at": "2030-01-01T00:00:00Z"}, defaults)
    assert (at.schedule.text, at.jitter) == ("at 2030-01-01T00:00:00Z", timedelta(minutes=1))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"every": "1h", "at": "2030-01-01T00:00:00Z"}, '"every" and "at" exclude each other'),
        ({}, 'missing key "schedule", "every" or "at"'),
        ({"schedule": "@daily", "offset": "5m"}, "offset: shifts `every`, and there is none"),
        ({"every": "1h", "timezone": "Europe/Berln"}, "timezone: there is no time zone"),
        ({"every": "9999d"}, "every: '9999d' is longer than the longest span, 3650d"),
        ({"every": "0s"}, "every: must be a duration"),
        ({"every": "1h", "jitter": "9999d"}, "jitter: '9999d' is longer"),
        ({"at": "2030-02-30T00:00:00Z"}, "at: '2030-02-30T00:00:00Z' is no instant"),
        ({"at": "2030-01-01T00:00:00"}, "at: must be an instant of RFC 3339, with its offset"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at: '0001-01-01T00:00:00+14:00' is no instant"),
        (
            {
                "every": "1h",
                "start_at": "2030-01-02T00:00:00Z",
                "end_at": "2030-01-01T00:00:00Z",
            },
            "end_at: lies before `start_at`, so that the entry never fires",
        ),
        (
            {
                "schedule": "0 0 1 1 *",
                "start_at": "2030-01-02T00:00:00Z",
                "end_at": "2030-12-31T00:00:00Z",
            },
            "end_at: the entry never fires (not once within its bounds)",
        ),
        (
            {"schedule": "*/5 * * * *", "exclude": ["* 0-11 * * *", "* 12-23 * * *"]},
            "exclude: the entry never fires (`exclude` leaves out all of it)",
        ),
        (
            {"at": "2030-12-25T00:00:00Z", "exclude": ["2030-12-25"]},
            "exclude: the entry never fires (`exclude` leaves out all of it)",
        ),
        ({"every": "1h", "exclude": ["25.12."]}, "exclude[0]: `25.12.` cannot be read (write a"),
        ({"every": "1h", "exclude": ["* * 2 * *", "2030-02-30"]}, "exclude[1]: `2030-02-30` is no"),
        ({"every": "1h", "exclude": ["2030-02-03/x"]}, "exclude[0]: `x` is not a date"),
        (
            {"every": "1h", "exclude": ["2030-02-03/2030-02-01"]},
            "exclude[0]: `2030-02-03/2030-02-01` runs backwards (write `2030-02-01/2030-02-03`)",
        ),
        ({"every": "1h", "exclude": ["* * 30 2 *"]}, "exclude[0]: `* * 30 2 *` never fires"),
        ({"every": "1h", "exclude": ["* * 25 13 *"]}, "exclude[0]: `13` is not a month"),
    ],
)
def test_a_misuse_is_told_once_where_it_stands(tmp_path: Path, entry: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, entry)
    (fault,) = map(str, caught.value.faults)
    assert said in fault
    assert "crons[0]" in fault


def test_two_ways_in_the_defaults_are_told_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, {}, {"name": "b"}, defaults={"every": "1h", "schedule": "@daily"})
    (fault,) = map(str, caught.value.faults)
    assert "defaults.every: `schedule` and `every` exclude each other" in fault


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"at": "2026-11-23T11:59:59Z"},
            "at: the entry will never fire again, its last instant was 2026-11-23T11:59:59Z",
        ),
        (
            {"schedule": "@daily", "end_at": "2026-11-23T11:00:00Z"},
            "end_at: the entry will never fire again, its last instant was 2026-11-23T00:00:00Z",
        ),
        (
            {"every": "7h", "exclude": ["2026-11-01/9999-12-31"]},
            "exclude: the entry will never fire again, its last instant was 2026-10-31T",
        ),
        (
            {"every": "5m", "jitter": "10m"},
            "jitter: is longer than the time from one instant to the next",
        ),
    ],
)
def test_what_is_doubtful_is_a_warning(tmp_path: Path, entry: Any, said: str) -> None:
    (warning,) = read(tmp_path, entry).warnings
    assert said in warning
    disabled = read(tmp_path, {**entry, "enabled": False}).warnings
    assert not any("never fire" in warning for warning in disabled)


def judged(spec: CronSpec, firing: Firing, replay_of: str | None = None) -> Any:
    event = Event("evt_1", firing, replay_of)
    return judge_firing(event, firing, spec, lambda: "dsp_1").dispatches[0]


def test_jitter_puts_off_the_send_and_nothing_else(tmp_path: Path) -> None:
    spec = cron(tmp_path, {"schedule": "0 3 * * *", "jitter": "30m"})
    due = datetime(2026, 11, 24, 3, tzinfo=UTC)
    put_off = jitter("nightly", due, HOUR / 2)
    assert timedelta(minutes=1) < put_off < HOUR / 2
    assert spec.schedule.next_after(NOW) == due
    assert spec.schedule.identity == cron(tmp_path, {"schedule": "0 3 * * *"}).schedule.identity

    on_time = judged(spec, Firing("nightly", due, due + SECOND))
    assert (on_time.created_at, on_time.due_at) == (due + SECOND, due + put_off)
    assert on_time.expires_at == due + put_off + HOUR
    assert on_time.reason.endswith("by its `jitter`")

    late = judged(spec, Firing("nightly", due, due + 2 * HOUR, catch_up=True))
    assert (late.due_at, late.reason) == (due + 2 * HOUR, "")
    by_hand = judged(spec, Firing("nightly", due, due, by_hand=True))
    assert by_hand.due_at == due
    replayed = judged(spec, Firing("nightly", due, due + SECOND), "evt_0")
    assert replayed.due_at == due + SECOND
