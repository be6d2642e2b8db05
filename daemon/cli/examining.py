"""``dispatchd doctor``: looks at everything that has to be right, and says of each how it stands
and what to do."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from daemon import config
from daemon.certificate import CertificateError, read_certificate
from daemon.checkup import Finding, report, secrets, surroundings
from daemon.checkup.access import Used
from daemon.checkup.finding import fail
from daemon.checkup.surroundings import Zones
from daemon.cli.answers import STATUS
from daemon.cli.connection import Answered, NoDaemon
from daemon.cli.layout import Listing
from daemon.cli.probing import asked
from daemon.cli.tables import plain, put, say, word
from daemon.cli.target import Target
from daemon.client import Sessions
from daemon.config import read_anew
from daemon.errors import ConfigError, DispatchdError, Fault
from daemon.spec import Config
from daemon.store.usability import inspected
from daemon.surroundings import simulated

Status = Mapping[str, Any]

DAEMON_ANSWERS = 10.0
"""Seconds that a running daemon is given to tell how it does."""


def examine(target: Target, *, as_json: bool) -> None:
    """Prints the findings. Raises DispatchdError where any of them is a failure, ConfigError for a
    config that cannot be read."""
    loaded, lacking = _loaded(target)
    with _progress(as_json=as_json):
        findings = asyncio.run(_examined(target, loaded, lacking))
    found = report(findings)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        rows = Listing(("result", "check", "subject", "why"))
        for each in findings:
            why = f"{each.text}; {each.remedy}" if each.remedy else each.text
            rows.add(word(each.grade), plain(each.check), plain(each.subject), plain(why))
        put(rows)
        say(f"\n{found['ok']} ok, {found['warn']} warn, {found['fail']} fail")
    if not found["healthy"]:
        raise DispatchdError(f"{found['fail']} of {len(findings)} failed")


def _loaded(target: Target) -> tuple[Config, Sequence[Fault]]:
    """The config, and what `run` would refuse to start for. Raises ConfigError."""
    where = config.config_directory(target.config_dir, os.environ)
    flags = config.Flags(database=target.database)
    loaded = config.load(where, os.environ, flags=flags, secrets=config.Secrets.OPTIONAL)
    try:
        config.load(where, os.environ, flags=flags)
    except ConfigError as error:
        return loaded, error.faults
    return loaded, ()


async def _examined(target: Target, loaded: Config, lacking: Sequence[Fault]) -> list[Finding]:
    status, silence = await _status(target, loaded)
    if status is not None and status.get("simulation"):
        # What it sends goes to its stand-in, so that is what is asked.
        loaded = simulated(loaded, str(status.get("github")))
    database, zones, github = await asyncio.gather(
        inspected(loaded.settings.database_url, _now()),
        asyncio.to_thread(_zones),
        _github(loaded, status),
    )
    found = [
        *surroundings.settings(loaded, lacking),
        *secrets.examined(loaded, _now()),
        *surroundings.daemon(status, silence),
        *surroundings.database(database, running=status is not None),
        surroundings.time_zones(zones, _now()),
        *_certificate(loaded, _now()),
        *surroundings.public_url(loaded),
        *github,
    ]
    return list(dict.fromkeys(found))  # one workflow may hear several types


def _certificate(loaded: Config, now: datetime) -> Iterator[Finding]:
    files = loaded.settings.tls
    if files is None:
        return
    try:
        found = read_certificate(files)
    except CertificateError as error:
        yield surroundings.certificate(files.certificate, None, str(error), near=True)
        return
    near = found.near_end(now)
    yield surroundings.certificate(files.certificate, found.ends, "", near=near)


async def _status(target: Target, loaded: Config) -> tuple[Status | None, str]:
    """What the daemon says, or why it says nothing."""
    try:
        async with asyncio.timeout(DAEMON_ANSWERS), target.daemon(loaded.settings) as daemon:
            return await daemon.get("/api/v1/status", STATUS), ""
    except TimeoutError:
        return None, f"it did not answer within {DAEMON_ANSWERS:g} s"
    except Answered as error:
        return None, f"it does not say how it does: {error}"
    except (NoDaemon, DispatchdError) as error:
        return None, str(error)


async def _github(loaded: Config, status: Status | None) -> list[Finding]:
    if not loaded.settings.all_credentials:
        remedy = "set GH_TOKEN, or add `credentials` to DAEMON.yaml"
        return [fail("token", "GH_TOKEN", "there is no GitHub token, and no GitHub App", remedy)]
    used = {
        str(each.get("name")): Used(
            int(each.get("writes_in_hour") or 0),
            str(each.get("limited_until") or ""),
            str(each.get("refused") or ""),
        )
        for each in (status or {}).get("credentials") or ()
    }
    reread = lambda secret: read_anew(secret, os.environ)  # noqa: E731 - as the daemon does
    async with Sessions(loaded.settings, _now, reread) as sessions:
        return await asked(loaded, sessions, _now, used)


def _zones() -> Zones:
    """Where `zoneinfo` finds its data: the first directory that has any, else the package."""
    places = (Path(each) for each in zoneinfo.TZPATH)
    directory = next((each for each in places if (each / "UTC").exists()), None)
    try:
        import tzdata
    except ImportError:
        return Zones(str(directory or ""), _release(directory), "")
    return Zones(str(directory or ""), _release(directory), str(tzdata.IANA_VERSION))


def _release(directory: Path | None) -> str:
    """That of the data in the directory, or nothing where it does not say."""
    if directory is None:
        return ""
    for name in ("tzdata.zi", "+VERSION"):
        try:
            with (directory / name).open(encoding="ascii", errors="replace") as file:
                found = re.search(r"\d{4}[a-z]+", file.readline(100))
        except OSError:
            continue
        if found:
            return found[0]
    return ""


@contextmanager
def _progress(*, as_json: bool) -> Iterator[None]:
    """Says on a terminal what is waited for."""
    if as_json or not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status("asking GitHub, and looking around here"):
        yield


def _now() -> datetime:
    return datetime.now(UTC)
