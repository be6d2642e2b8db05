"""Where one daemon keeps what is its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import UsageError
from daemon.places import SOCKET_PATH_MAX, admin_socket, simulation_database, sqlite_file


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////var/lib/d.sqlite", Path("/var/lib/d.sqlite")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql+psycopg://host/db", None),
    ],
)
def test_only_a_sqlite_database_has_a_file(url: str, file: Path | None) -> None:
    assert sqlite_file(url) == file


def test_a_simulation_never_has_the_real_database() -> None:
    assert simulation_database("sqlite:////a/d.sqlite") == "sqlite:////a/d-simulation.sqlite"
    for url in ("postgresql://host/db", "sqlite://"):
        simulated = simulation_database(url)
        assert simulated.startswith("sqlite:///")
        assert simulated.endswith("dispatchd-simulation.sqlite")


def test_the_socket_stands_in_systemds_directory_else_beside_the_database() -> None:
    url = "sqlite:////a/d.sqlite"
    assert admin_socket(url, {"RUNTIME_DIRECTORY": "/run/dispatchd:/run/x"}) == Path(
        "/run/dispatchd/admin.sock"
    )
    assert admin_socket(url, {}) == Path("/a/d.sqlite.sock")
    elsewhere = admin_socket("postgresql://host/db", {})
    assert elsewhere is not None
    assert elsewhere.name == "admin.sock"


def test_a_path_that_is_too_long_for_a_socket_is_not_used() -> None:
    fits = "/" + "x" * (SOCKET_PATH_MAX - len("/.sock"))
    assert admin_socket(f"sqlite:///{fits}", {}) == Path(fits + ".sock")
    assert admin_socket(f"sqlite:///{fits}x", {}) is None


def test_no_two_databases_of_a_directory_share_a_socket_or_a_simulation() -> None:
    """And none is its own socket, which the daemon removes before it makes it."""
    names = ("state.sock", "state.sqlite", "state.db", "state.sqlite.lock", ".sock")
    real = [f"sqlite:////a/{name}" for name in names]
    simulated = [simulation_database(url) for url in real]
    files = [sqlite_file(url) for url in real + simulated]
    sockets = [admin_socket(url, {}) for url in real + simulated]
    assert None not in files + sockets
    assert len({*files, *sockets}) == 4 * len(names)


@pytest.mark.parametrize("place", [sqlite_file, simulation_database, lambda u: admin_socket(u, {})])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "cannot be read"),
        (":memory:", "cannot be read"),
        ("/var/lib/hunter2.sqlite", "cannot be read"),
        ("postgresql://me:hunter2@db:port/dispatchd", "cannot be read"),
        ("sqlite://hunter2.sqlite", "names a server and no file"),
        ("sqlite:////", "names no file"),
        ("sqlite:///..", "names no file"),
        ("sqlite:////hunter2/..", "names no file"),
        ("sqlite:////hunter2%00.sqlite", "names no file"),
    ],
)
def test_a_url_that_names_no_file_is_refused_without_quoting_it(
    place: Callable[[str], object], url: str, message: str
) -> None:
    with pytest.raises(UsageError, match=f"the database URL {message}.*sqlite:////var") as refusal:
        place(url)
    assert "hunter2" not in str(refusal.value)
