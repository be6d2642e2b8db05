"""Where one daemon keeps what is its own."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert admin_socket(url, {}) == Path("/a/d.sock")
    elsewhere = admin_socket("postgresql://host/db", {})
    assert elsewhere is not None
    assert elsewhere.name == "admin.sock"


def test_a_path_that_is_too_long_for_a_socket_is_not_used() -> None:
    fits = "/" + "x" * (SOCKET_PATH_MAX - len("/.sock"))
    assert admin_socket(f"sqlite:///{fits}.sqlite", {}) == Path(fits + ".sock")
    assert admin_socket(f"sqlite:///{fits}x.sqlite", {}) is None
