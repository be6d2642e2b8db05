"""The wheel, installed by pip, pipx and uv, and then used from another directory by somebody who
may not write to where it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

from tests.packages.making import wheel

BIN = Path(sys.executable).parent
PAGES = ("share/man/man1/dispatchd.1", "share/man/man5/dispatchd.5")
NOBODY = 65534
CRON = {
    "name": "often",
    "every": "1s",
    "dispatch": {"event_type": "tried", "repository": "acme/shop"},
}


def trial() -> None:
    """Raises AssertionError where anything goes wrong."""
    with tempfile.TemporaryDirectory(prefix="dispatchd-packages-") as name:
        work = Path(name)
        work.chmod(0o755)
        built, again = wheel(work / "one"), wheel(work / "two")
        for first in sorted((work / "one").iterdir()):
            assert first.read_bytes() == (again.parent / first.name).read_bytes(), first.name
        print(f"{built.name} and its sdist: the same bytes each time")
        _holds_all(built)
        _installs(work, built)


def _holds_all(built: Path) -> None:
    with ZipFile(built) as packed:
        names = packed.namelist()
    top = {name.split("/")[0] for name in names}
    version = built.name.split("-")[1]
    expected = {"daemon", f"dispatchd-{version}.dist-info", f"dispatchd-{version}.data"}
    assert top == expected, top
    for wanted in (
        *(f"daemon/schemas/{each}.json" for each in ("case", "crons", "daemon", "triggers")),
        "daemon/starter/DAEMON.yaml",
        "daemon/store/migrations/versions/v0001_first.py",
        *PAGES,
        "share/bash-completion/completions/dispatchd",
        "share/doc/dispatchd/examples/monitoring/grafana-dashboard.json",
    ):
        assert any(name.endswith(wanted) for name in names), wanted
    (sdist,) = built.parent.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        inside = {name.partition("/")[2] for name in packed.getnames()}
    assert {"Makefile", "tests/packages/pythons.py", "packages/backend.py"} <= inside
    print(f"{len(names)} files: the package, its data and nothing else at the top")


def _installs(work: Path, built: Path) -> None:
    tools = work / "tools"
    environ = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PIPX_HOME": str(tools / "pipx"),
        "PIPX_BIN_DIR": str(tools / "pipx-bin"),
        "PIPX_MAN_DIR": str(tools / "pipx-man"),
        "UV_TOOL_DIR": str(tools / "uv"),
        "UV_TOOL_BIN_DIR": str(tools / "uv-bin"),
        "UV_PYTHON": sys.executable,
    }
    _run([sys.executable, "-m", "venv", str(work / "venv")], environ)
    _run([str(work / "venv/bin/pip"), "install", "--quiet", str(built)], environ)
    used(work / "venv/bin/dispatchd", work, "pip")
    python = ("--python", sys.executable)
    _run([str(BIN / "pipx"), "install", "--quiet", *python, str(built)], environ)
    used(tools / "pipx-bin/dispatchd", work, "pipx")
    assert (tools / "pipx-man/man1/dispatchd.1").exists(), "pipx shows man pages"
    _run([str(BIN / "uv"), "tool", "install", "--quiet", str(built)], environ)
    used(tools / "uv-bin/dispatchd", work, "uv")


def used(program: Path, work: Path, by: str) -> None:
    """By another user where we are root, and others reach the interpreter."""
    home = Path(tempfile.mkdtemp(prefix=f"{by}-", dir=work))
    somebody = NOBODY if os.geteuid() == 0 and _open_to_all() else os.geteuid()
    os.chown(home, somebody, -1)
    environ = {"PATH": os.defpath, "HOME": str(home), "DISPATCHD_LISTEN": "127.0.0.1:0"}

    def ask(*words: str) -> str:
        return _run([str(program), *words], environ, home, somebody)

    version = ask("--version").strip()
    ask("init", "--config-dir", "config")
    (home / "config" / "CRONS.json").write_text(json.dumps([CRON]))
    assert "1 cron entry" in ask("validate")
    assert "often" in json.loads(ask("next", "--json"))
    with _serving(program, home, environ, somebody):
        began = time.monotonic()
        while not (found := _runs(ask("dispatches", "--json"))):
            assert time.monotonic() - began < 60, "no run was seen"
            time.sleep(0.2)
    print(f"{by}, user {somebody}: {version}; init, validate, next; run --simulate: {found[0]}")


def _open_to_all() -> bool:
    """Whether this interpreter is out of every home directory."""
    python = Path(sys.executable).resolve()
    return all(each.stat().st_mode & 0o001 for each in python.parents)


def _runs(told: str) -> list[str]:
    listed = json.loads(told)
    each = listed["dispatches"] if isinstance(listed, dict) else listed
    return [one["run_url"] for one in each if one.get("run_url")]


@contextmanager
def _serving(
    program: Path, home: Path, environ: dict[str, str], somebody: int
) -> Iterator[subprocess.Popen[bytes]]:
    with (home / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [str(program), "run", "--simulate"],
            cwd=home,
            env=environ,
            user=somebody,
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 30
            while b"serving" not in (home / "log").read_bytes():
                assert daemon.poll() is None, (home / "log").read_text()
                assert time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.1)
            yield daemon
        finally:
            daemon.terminate()
            assert daemon.wait(20) == 0, (home / "log").read_text()


def _run(
    words: list[str], environ: dict[str, str], cwd: Path | None = None, user: int | None = None
) -> str:
    done = subprocess.run(
        words, env=environ, cwd=cwd, user=user, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout
