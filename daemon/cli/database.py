"""``dispatchd db``: checks the database, copies it, brings it to another schema, makes it smaller.
All but the look at it is done on the file itself, with a daemon beside it where that disturbs none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from daemon.cli.progress import Progress
from daemon.cli.tables import say, warn
from daemon.cli.target import Target
from daemon.errors import DispatchdError, StoreError, UsageError
from daemon.places import sqlite_file
from daemon.sizes import shown
from daemon.store import migrate
from daemon.store.checking import Report, check
from daemon.store.copying import backup, compact
from daemon.store.engine import writing
from daemon.store.file import Lock


def check_database(target: Target, file: Path | None, *, quick: bool, as_json: bool) -> None:
    """Prints what is wrong with the database, or with ``file``. Raises DispatchdError where
    anything is, and StoreError where it cannot be looked at."""
    path = file.resolve() if file is not None else _file_of(target)
    with Progress(as_json=as_json) as shows:
        report = check(path, quick=quick, going_on=_passing(shows, f"looking through {path}"))
    if as_json:
        print(json.dumps(_view(report), ensure_ascii=False))
    else:
        for problem in report.problems:
            say(f"wrong: {problem}" if problem.remedy else f"wrong: {problem.text}")
        if report.outdated:
            warn(
                f"its schema is {report.schema}, and this dispatchd's {migrate.HEAD}: of its rows "
                "less was looked at (`dispatchd db migrate` brings it there)"
            )
        if not report.problems:
            say(f"{path}: sound, {shown(report.size)}, schema {report.schema}")
    if report.problems:
        raise DispatchdError(f"{path} is not sound: {len(report.problems)} found wrong")


def back_up(target: Target, file: Path, *, force: bool, as_json: bool) -> None:
    """Makes a backup in ``file``. Raises UsageError, StoreError, DispatchdError."""
    source, began = _file_of(target), time.monotonic()
    _there(source)
    with Progress(as_json=as_json) as shows:
        report = backup(source, file, replace=force, progress=_part(shows, file))
    seconds, size = time.monotonic() - began, file.stat().st_size
    for problem in report.problems:
        warn(f"in the copy, as in the database: {problem}")
    if as_json:
        view = {"file": str(file.absolute()), "bytes": size, "seconds": round(seconds, 3)}
        print(json.dumps(view | {"schema": report.schema}, ensure_ascii=False))
        return
    found = "found sound" if not report.problems else "not all sound"
    say(f"{file}: {shown(size)} in {seconds:.1f} s, {found}, schema {report.schema}")


def migrate_database(target: Target, to: str | None, *, dry_run: bool, keep: bool) -> None:
    """Takes the steps to the schema ``to`` (None: the newest), or undoes them, after a backup
    (``keep``). Raises UsageError, StoreError, DispatchdError."""
    path = _file_of(target)
    _there(path)
    aim = to or migrate.HEAD
    if dry_run:
        _tell(path, aim, migrate.taken_by(path))
        say("nothing was changed (--dry-run)")
        return
    now = datetime.now(UTC)
    with migrate.opened(path, now) as (engine, taken):
        if not _tell(path, aim, taken):
            return
        if keep:
            name = f"{path.name}.{taken}-{now:%Y%m%dT%H%M%SZ}.backup"
            with Progress(as_json=False) as shows:
                copy = path.with_name(name)
                backup(path, copy, replace=False, progress=_part(shows, copy))
            say(f"backed up as {copy}")
        with writing(engine).begin() as connection:
            migrate.go(connection, taken, aim)
    say(f"{path}: schema {aim}")
    if aim != migrate.HEAD:
        say(f"Start a dispatchd that knows schema {aim} now: this one would bring it back.")


def vacuum_database(target: Target) -> None:
    """Makes the file as small as it can be. Raises StoreError where anybody uses it, and
    DispatchdError where it cannot be done."""
    path = _file_of(target)
    _there(path)
    lock, before = Lock(path), path.stat().st_size
    lock.take(datetime.now(UTC))
    try:
        with Progress(as_json=False) as shows:
            compact(path, _passing(shows, f"writing {path} anew"))
    finally:
        lock.release()
    say(f"{path}: {shown(before)} before, {shown(path.stat().st_size)} now")


def _tell(path: Path, aim: str, taken: str) -> bool:
    """Shows the steps; whether there are any."""
    steps = migrate.steps(taken, aim)
    if not steps:
        newest = ", the newest" if taken == migrate.HEAD else ""
        say(f"{path}: schema {taken}{newest}, nothing to do")
        return False
    say(f"{path}: schema {taken} to {aim}")
    for step in steps:
        say(f"  {'undo ' if step.undone else ''}{step.revision}: {step.text}")
    return True


def _file_of(target: Target) -> Path:
    """The database's file, links resolved. Raises UsageError where it has none."""
    file = sqlite_file(target.settings().database_url)
    if file is None:
        raise UsageError("the database is in memory: there is no file")
    return file.resolve()


def _there(path: Path) -> None:
    if not path.is_file():
        raise StoreError(f"there is no database {path} (`dispatchd run` makes it)")


def _passing(shows: Progress, text: str) -> Callable[[], None]:
    began = time.monotonic()
    return lambda: shows.now(Text(f"{text}: {time.monotonic() - began:.0f} s"))


def _part(shows: Progress, file: Path) -> Callable[[int, int], None]:
    return lambda done, total: shows.now(Text(f"{file}: {done * 100 // max(total, 1)} %"))


def _view(report: Report) -> dict[str, object]:
    return {
        "database": str(report.path),
        "bytes": report.size,
        "schema": report.schema,
        "outdated": report.outdated,
        "sound": not report.problems,
        "problems": [{"text": each.text, "remedy": each.remedy} for each in report.problems],
    }
