"""A daemon under measurement: a home of its own on a real disk, and the installed ``dispatchd``
running there."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from bench.process import Server, served

Entry = Mapping[str, Any]

WEBHOOK_SECRET = "the-webhook-secret-of-the-bench"
STRIPE_SECRET = "whsec_the-stripe-secret-of-the-bench"
API_KEY = "the-api-key-of-the-bench"
GH_TOKEN = "the-token-of-the-bench"

UNPACED = {"GH_WRITES_PER_SECOND": "0", "GH_WRITE_BURST": "0", "GH_WRITES_PER_HOUR": "0"}
"""Settings without which at most some hundred dispatches an hour would leave."""


class Home:
    """Config files and a database in ``directory``, which is empty as yet."""

    def __init__(
        self,
        directory: Path,
        *,
        triggers: Sequence[Entry] = (),
        crons: Sequence[Entry] = (),
    ) -> None:
        self.directory = directory
        self.database = directory / "state.sqlite"
        config = directory / "config"
        config.mkdir()
        (config / "TRIGGERS.json").write_text(json.dumps(list(triggers)))
        (config / "CRONS.json").write_text(json.dumps(list(crons)))
        # What is measured is more than any entry would make that has not run away.
        (config / "DAEMON.yaml").write_text("breaker: {max: 100000000, per: 1h}\n")
        self.environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "DISPATCHD_CONFIG_DIR": str(config),
            "DISPATCHD_DATABASE_URL": f"sqlite:///{self.database}",
            "DISPATCHD_LISTEN": "127.0.0.1:0",
            "GH_TOKEN": GH_TOKEN,
            "GH_OWNER": "acme",
            "GH_REPO": "shop",
            "GH_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_WEBHOOK_SECRET": STRIPE_SECRET,
            "API_KEY": API_KEY,
        }

    def daemon(
        self, github: str, settings: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Server]:
        """``dispatchd run``, with its GitHub at the URL ``github`` and its log going to a file as a
        journal would take it."""
        environ = self.environ | {"GH_API_URL": github} | dict(settings or {})
        return served((dispatchd(), "run"), self.directory / "daemon.log", environ)

    def verdicts(self, outcome: str) -> int:
        """How many of them are in the database, the daemon running or not."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            count = "SELECT count(*) FROM verdicts WHERE outcome = ?"
            (found,) = database.execute(count, (outcome,)).fetchone()
        return int(found)


def dispatchd() -> str:
    """The command that belongs to this interpreter."""
    return str(Path(sys.executable).with_name("dispatchd"))


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        return port


@contextmanager
def github_away() -> Iterator[str]:
    """The URL of a GitHub that refuses every connection."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"
