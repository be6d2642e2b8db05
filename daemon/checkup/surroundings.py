"""What is around the daemon: its database, whether it runs, time-zone data, its public address."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from daemon import __version__
from daemon.checkup.finding import Finding, fail, ok, warn
from daemon.errors import Fault
from daemon.spec import Config

GUESSABLE = "can be guessed"
ROOM_MIN = 200 * 1024 * 1024
"""Bytes below which a disk is called nearly full."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database as it was found. ``fault`` says why it cannot be used, ``held_by`` who uses it
    now, if anybody does. ``room`` is what its disk has left, in bytes, None where nobody knows.
    ``open_to_all`` says that every user of the machine can read it."""

    where: str
    exists: bool = True
    lasting: bool = True
    held_by: str = ""
    fault: str = ""
    room: int | None = None
    open_to_all: bool = False


@dataclass(frozen=True, slots=True)
class Zones:
    """Where time zones come from: the system's directory with the release of its data (empty where
    it does not say), else the Python package."""

    directory: str
    release: str
    package: str


def database(found: Database, *, running: bool) -> Iterator[Finding]:
    """``running``: whether a daemon answered, which says itself how it gets along with it; whoever
    asks may be somebody who cannot even read it."""
    check, where = "database", found.where
    if found.fault and running:
        return
    if found.fault:
        yield fail(check, where, found.fault)
        return
    if not found.lasting:
        text = "is in memory: what waits there is lost with the daemon"
        yield warn(check, where, text, "set DISPATCHD_DATABASE_URL to sqlite:///PATH")
    elif found.held_by and not running:
        text = f"{found.held_by} uses it, and does not answer here"
        remedy = "look at its log; it may be hung, or run with other settings than this command"
        yield warn(check, where, text, remedy)
    elif found.held_by:
        yield ok(check, where, "the running daemon uses it")
    elif not found.exists:
        yield ok(check, where, "is not there yet, and can be made")
    elif not running:
        yield ok(check, where, "can be read and written")
    if found.open_to_all:
        text = "every user of this machine can read it, payloads included"
        yield warn(check, where, text, "chmod it to 600")
    if found.room is not None and found.room < ROOM_MIN:
        text = f"its disk has {found.room // (1024 * 1024)} MB left"
        yield warn(check, where, text, "free some space: when it is full, nothing is taken in")


def daemon(status: Mapping[str, Any] | None, silence: str) -> Iterator[Finding]:
    """What the running daemon says of itself; ``silence`` is why there is none."""
    if status is None:
        yield warn("daemon", "dispatchd", silence)
        return
    version, ready = status.get("version"), status.get("ready")
    if ready is False:
        text = "runs, but cannot write its database"
        yield fail("daemon", "dispatchd", text, "its log says why")
    elif version != __version__:
        text = f"runs as version {version}, and this command is {__version__}"
        yield warn("daemon", "dispatchd", text, "restart the daemon, or update what is older")
    else:
        yield ok(
            "daemon", "dispatchd", f"version {version} is running, and its database is writable"
        )
    for each in status.get("credentials") or ():
        if each.get("refused"):
            remedy = "mend that; what waits then goes out by itself"
            yield fail("daemon", str(each.get("name")), f"it is refused: {each['refused']}", remedy)
    for pause in status.get("pauses") or ():
        text = f"is paused by {pause['by']} since {pause['since']}"
        yield warn("daemon", str(pause["entry"]), text, f"`dispatchd resume {pause['entry']}`")


def time_zones(zones: Zones, now: datetime) -> Finding:
    """Whether the data about time zones is current, as far as can be told without a newer one:
    there are several releases a year, named by it (2026a, 2026b, …)."""
    check, subject = "time zones", zones.directory or "the package tzdata"
    used = zones.release if zones.directory else zones.package
    update = (
        "update the system's (`apt-get install --only-upgrade tzdata`)"
        if zones.directory
        else "update it (`pip install --upgrade tzdata`)"
    )
    if not zones.directory and not zones.package:
        return fail(
            check, "tzdata", "there is none: crons in a time zone cannot be computed", update
        )
    if not used:
        return ok(check, subject, "has zones, and does not say of which release")
    if zones.directory and _order(zones.package) > _order(used):
        text = f"has release {used}, and the Python package tzdata is newer, {zones.package}"
        remedy = f"{update}, or set PYTHONTZPATH to nothing so that the package's is taken"
        return warn(check, subject, text, remedy)
    year = int(used[:4]) if re.match(r"\d{4}", used) else now.year
    if year < now.year - 1:
        text = f"release {used} is old: where clocks changed since, crons fire at the wrong time"
        return warn(check, subject, text, update)
    return ok(check, subject, f"release {used}")


def certificate(file: str, ends: datetime | None, fault: str, *, near: bool) -> Finding:
    """Of HTTPS: when it ``ends``, or for which ``fault`` it cannot be used."""
    check = "certificate"
    if ends is None:
        return fail(check, file, fault, "mend `tls_cert` and `tls_key`, or see who may read them")
    text = f"holds until {ends:%FT%TZ}"
    if near:
        return warn(check, file, text, "see that it is renewed, and that its new files come there")
    return ok(check, file, text)


def public_url(config: Config) -> Iterator[Finding]:
    """Whether what senders call is safe to call. One that leads back to this machine needs none."""
    url, check = config.settings.public_url, "public_url"
    triggers = [each for each in config.triggers if each.enabled]
    if url:
        parts = urlsplit(url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme == "http" and not local:
            text = "is http: tokens and bodies of deliveries can be read on the way"
            yield warn(check, url, text, "put a reverse proxy with a certificate before the daemon")
        elif local and triggers:
            text = "is an address of this machine, which no sender outside can call"
            yield warn(check, url, text, "write the address that the senders are given")
        else:
            yield ok(check, url, f"{len(triggers)} enabled triggers lie below it")
    for each in triggers:
        if each.auth.scheme.name == "none" and each.allow_from is None:
            text = "takes whatever comes (`none`), so that who knows its address starts workflows"
            remedy = "give it a scheme and a secret, or an `allow_from`"
            yield warn("trigger", each.name, text, remedy)


def settings(config: Config, lacking: Sequence[Fault]) -> Iterator[Finding]:
    """What loading the config told. ``lacking`` is what `run` would refuse to start for."""
    for fault in lacking:
        place = f"{fault.file}:{fault.line}:{fault.column}" if fault.line else fault.file
        text = f"{fault.path}: {fault.message}" if fault.path else fault.message
        yield fail("config", place, text, fault.hint)
    known = {str(fault) for fault in lacking}
    # Of secrets that can be guessed there are findings of their own.
    warnings = [each for each in config.warnings if each not in known and GUESSABLE not in each]
    for each in warnings:
        place, _, text = each.partition(": ")
        yield warn("config", place, text)
    if not lacking and not warnings:
        crons = sum(each.enabled for each in config.crons)
        triggers = sum(each.enabled for each in config.triggers)
        text = f"can be used; enabled are crons: {crons}, triggers: {triggers}"
        yield ok("config", "files", text)


def _order(release: str) -> tuple[int, str]:
    found = re.match(r"(\d{4})(\w*)", release)
    return (int(found[1]), found[2]) if found else (0, "")
