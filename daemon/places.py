"""Where one daemon keeps what is its own, told from its database: the admin socket, and the
separate database of a simulation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from sqlalchemy import make_url

SOCKET_PATH_MAX = 107
"""Bytes that Linux takes for the path of a Unix socket (unix(7): sun_path, with its NUL)."""


def sqlite_file(database_url: str) -> Path | None:
    """The file of a SQLite database; None for one in memory or on a server."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).absolute()


def simulation_database(database_url: str) -> str:
    """The database of a simulation: beside the real one, and never the same."""
    file = sqlite_file(database_url)
    if file is None:
        file = Path(platformdirs.user_state_dir("dispatchd")) / "dispatchd.sqlite"
    return f"sqlite:///{file.with_name(f'{file.stem}-simulation{file.suffix}')}"


def admin_socket(database_url: str, environ: Mapping[str, str]) -> Path | None:
    """The Unix socket that the command line finds its daemon by: in systemd's runtime directory,
    else beside the SQLite file, else in the user's state directory. None where the path would be
    too long."""
    file = sqlite_file(database_url)
    if directory := environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        socket = Path(directory) / "admin.sock"
    elif file is not None:
        socket = file.with_suffix(".sock")
    else:
        socket = Path(platformdirs.user_state_dir("dispatchd")) / "admin.sock"
    return socket if len(os.fsencode(socket)) <= SOCKET_PATH_MAX else None
