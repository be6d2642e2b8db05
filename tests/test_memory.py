"""What the running daemon keeps out of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OPENED = """
import sys
from datetime import UTC, datetime
import daemon.cli.serving
from daemon.journal import open_log
from daemon.store import Store

open_log()
Store.open(sys.argv[1], owner="tests", now=datetime.now(UTC))
print(*sys.modules)
"""


def test_what_only_a_terminal_another_database_or_an_upgrade_needs_is_not_loaded(
    tmp_path: Path,
) -> None:
    """Together these would be a sixth of it, for as long as it runs."""
    command = (sys.executable, "-c", OPENED, f"sqlite:///{tmp_path}/state.sqlite")
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert not {
        "alembic",
        "cryptography",
        "daemon.simulator",
        "jsonschema",
        "jwt",
        "rich",
        "sqlalchemy.dialects.postgresql",
        "structlog",
        "typer",
    } & {*loaded}
