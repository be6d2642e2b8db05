"""Where one daemon keeps what is its own, told from its database: the admin socket, and the
separate database of a simulation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from daemon.errors import UsageError

SOCKET_PATH_MAX = 107
"""Bytes that Linux takes for the path of a Unix socket (unix(7): sun_path, with its NUL)."""

WRITE_IT_SO = "write it as sqlite:////var/lib/dispatchd/dispatchd.sqlite"


def sqlite_file(database_url: str) -> Path | None:
    """The file of a SQLite database; None for one in memory or on a server.

    Raises:
        UsageError: it is no URL, or what it names cannot be a file. The text never quotes it,
            since it may hold a password.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):  # the latter for a port that is no number
        raise UsageError(f"the database URL cannot be read ({WRITE_IT_SO})") from None
    if url.get_backend_name() != "sqlite":
        return None
    if url.host:  # in `sqlite://state.sqlite` the name stands where a server would
        raise UsageError(f"the database URL names a server and no file ({WRITE_IT_SO})")
    if url.database in (None, "", ":memory:"):
        return None
    file = Path(str(url.database)).absolute()
    if file.name in ("", "..") or "\0" in str(file):
        raise UsageError(f"the database URL names no file after `sqlite:///` ({WRITE_IT_SO})")
    return file


def simulation_database(database_url: str) -> str:
    """The database of a simulation: beside the real one, and never the same. Raises UsageError
    where the URL of the real one is none."""
    file = sqlite_file(database_url)
    if file is None:
        file = Path(platformdirs.user_state_dir("dispatchd")) / "dispatchd.sqlite"
    return f"sqlite:///{file.with_name(f'{file.stem}-simulation{file.suffix}')}"


def service_socket() -> Path | None:
    """The admin socket of the machine's service, for those who are not it; None where there is no
    such service, or it does not run."""
    socket = Path("/run/dispatchd/admin.sock")
    return socket if socket.parent.is_dir() else None


def admin_socket(database_url: str, environ: Mapping[str, str]) -> Path | None:
    """The Unix socket that the command line finds its daemon by: in systemd's runtime directory,
    else beside the SQLite file, else in the user's state directory. None where the path would be
    too long. Raises UsageError where the URL is none."""
    file = sqlite_file(database_url)
    if directory := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        socket = Path(directory) / "admin.sock"
    elif file is not None:
        # The whole name, as for `-wal` and `.lock`: another suffix in its place could be the
        # database itself, or belong to that of another daemon.
        socket = file.with_name(f"{file.name}.sock")
    else:
        socket = Path(platformdirs.user_state_dir("dispatchd")) / "admin.sock"
    return socket if len(os.fsencode(socket)) <= SOCKET_PATH_MAX else None
