"""The command line as tests use it: words in; exit code, standard output and standard error out."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from daemon.cli import main
from tests.environment import inherited
from tests.specs import ENVIRON

PROGRAM = "from daemon.cli import main; main()"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs ``dispatchd`` with a config of its own, with these settings and no others."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "config"
        self.config.mkdir()
        self.environ: dict[str, str] = {
            **ENVIRON,
            **inherited(),
            "DISPATCHD_CONFIG_DIR": str(self.config),
            "DISPATCHD_DATABASE_URL": f"sqlite:///{directory}/dispatchd.sqlite",
            "DISPATCHD_LISTEN": "127.0.0.1:9",  # nobody listens there
        }
        self.write(triggers=[], crons=[])

    def write(self, **files: object) -> None:
        for name, entries in files.items():
            (self.config / f"{name.upper()}.json").write_text(json.dumps(entries))

    async def run(self, *args: str, stdin: bytes = b"", **environ: str) -> Ran:
        """Within this process, on a thread of its own: a process costs half a second. What would be
        a traceback there is raised here."""
        return await asyncio.to_thread(_run, args, stdin, self._environ(environ))

    async def spawn(
        self,
        *args: str,
        redirected: str = "",
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> Ran:
        """As a process, whose streams are files of ours, or ``redirected`` as a shell says it."""
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            f'exec "$@" {redirected}',
            "sh",
            *(sys.executable, "-c", PROGRAM, *args),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=self.environ,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, (out or b"").decode(), (err or b"").decode())

    def _environ(self, changed: Mapping[str, str]) -> dict[str, str]:
        """An empty value unsets a variable."""
        return {name: value for name, value in {**self.environ, **changed}.items() if value}


def _run(args: tuple[str, ...], stdin: bytes, environ: Mapping[str, str]) -> Ran:
    written, told = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(stream, encoding="utf-8") for stream in (written, told))
    code: object = 0
    with (
        patch.dict(os.environ, environ, clear=True),
        patch.multiple(
            sys,
            argv=["dispatchd", *args],
            stdin=io.TextIOWrapper(io.BytesIO(stdin)),
            stdout=out,
            stderr=err,
        ),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return Ran(code, written.getvalue().decode(), told.getvalue().decode())
