"""How each setting is written: text in, a value or a ValueError in words out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import platformdirs

from daemon.log_line import LogFormat, LogLevel

OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
REPOSITORY_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")


def is_repository(text: str) -> bool:
    """Whether ``text`` is ``owner/name`` by GitHub's rules for both."""
    owner, slash, name = text.partition("/")
    return bool(slash and OWNER.fullmatch(owner) and REPOSITORY_NAME.fullmatch(name))


def api_url(text: str) -> str:
    """The root of GitHub's API without a slash at its end. Raises ValueError; the message never
    repeats the URL, which may hold a password."""
    url = _root(text)
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a user name or a password: the token is set by GH_TOKEN")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be an https:// URL, as https://api.github.com")
    if url.scheme == "http" and not is_loopback(url.hostname):
        raise ValueError("must be https: over plain http the token could be read on the way")
    return text.rstrip("/")


def api_version(text: str) -> str:
    """A version of GitHub's API, which is named by its day. Raises ValueError."""
    if not re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(f"{text!r} is no version of GitHub's API: write it as 2022-11-28")
    return text


def public_url(text: str) -> str:
    """What senders put before the daemon's paths, without a slash at its end. Raises ValueError;
    the message never repeats the URL, which may hold a password."""
    url = _root(text)
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a user name or a password")
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must be an http or https URL, as https://hooks.example.com")
    return text.rstrip("/")


def log_format(text: str) -> LogFormat:
    """How the log is written. Raises ValueError."""
    try:
        return LogFormat(text.lower())
    except ValueError:
        raise ValueError(f"{text!r} is none of {', '.join(LogFormat)}") from None


def log_level(text: str) -> LogLevel:
    """From which level on the log has lines. Raises ValueError."""
    try:
        return LogLevel[text.upper()]
    except KeyError:
        names = ", ".join(level.name.lower() for level in LogLevel)
        raise ValueError(f"{text!r} is none of {names}") from None


def listen_address(text: str) -> tuple[str, int]:
    """``127.0.0.1:8080``, ``[::1]:8080`` or ``:8080`` (every interface) as (host, port). Port 0
    lets the system choose. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} is not HOST:PORT: write 127.0.0.1:8080 or :8080")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{text!r} has no port from 0 to 65535 after its last colon")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r} is ambiguous: write an IPv6 address in brackets, [::1]:8080")
    if re.search(r"[][/@\s]", host) or not host.isprintable():
        raise ValueError(f"{text!r} is not HOST:PORT: write 127.0.0.1:8080 or :8080")
    return host, int(port)


def database_url(text: str) -> str:
    """A database URL in SQLAlchemy's form. Raises ValueError; the message never repeats the URL,
    which may hold a password."""
    scheme, separator, _ = text.partition("://")
    if not separator:
        raise ValueError("is not a database URL: write sqlite:///PATH")
    if scheme.startswith("postgresql"):
        raise ValueError("PostgreSQL is not supported yet: write sqlite:///PATH")
    if scheme != "sqlite":
        raise ValueError(f"{scheme!r} is no database that is supported: write sqlite:///PATH")
    return text


def default_database(environ: Mapping[str, str]) -> str:
    """SQLite in the service's state directory under systemd, else in the user's."""
    # systemd separates several state directories by colons; the unit's own comes first.
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    directory = given or platformdirs.user_state_dir("dispatchd", appauthor=False)
    return f"sqlite:///{directory}/dispatchd.sqlite"


def rate(text: str) -> float:
    """A number from 0 on, which need not be whole. Raises ValueError."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1_000_000:
        raise ValueError(f"{text!r} is not a number from 0 (no limit) to 1000000")
    return number


def count(text: str) -> int:
    """A whole number from 0 on. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,7}", text) or int(text) > 1_000_000:
        raise ValueError(f"{text!r} is not a whole number from 0 (no limit) to 1000000")
    return int(text)


def _root(text: str) -> SplitResult:
    """A URL that paths can be added to. Raises ValueError."""
    try:
        if not re.fullmatch(r"[!-~]+", text):  # urlsplit would drop a tab or a newline
            raise ValueError
        url = urlsplit(text)
        _ = url.hostname, url.port  # which are looked at only now
    except ValueError:
        raise ValueError("is not a URL") from None
    if "?" in text or "#" in text:
        raise ValueError("must not hold a query or a fragment")
    return url


def is_loopback(host: str) -> bool:
    """Whether it is this machine, for which nobody listens on the way."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
