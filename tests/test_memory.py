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

READ = """
import os
from pathlib import Path
import orjson
from daemon.cli.serving import give_large_blocks_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

give_large_blocks_back()
document = orjson.dumps([{"url": f"https://github.com/{n}"} for n in range(50_000)])
before = resident()
kept = []
for n in range(5):
    orjson.loads(document)
    kept.append(bytes(100_000))  # something always comes to lie behind it
print(resident() - before)
"""


def test_what_only_a_terminal_another_database_or_an_upgrade_needs_is_not_loaded(
    tmp_path: Path,
) -> None:
    """Together these would be a sixth of it, for as long as it runs."""
    command = (sys.executable, "-c", OPENED, f"sqlite:///{tmp_path}/state.sqlite")
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert not {
        "alembic",
        "cel_expr_python.ext.ext_bindings",
        "cryptography",
        "daemon.simulator",
        "jsonschema",
        "jwt",
        "rich",
        "sqlalchemy.dialects.postgresql",
        "structlog",
        "typer",
    } & {*loaded}


def test_what_a_large_document_took_goes_back_when_it_was_read() -> None:
    """One of two megabytes takes a block of ten, which would stay resident for as long as it
    runs."""
    command = (sys.executable, "-c", READ)
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown < 2_500_000
