"""Builds the packages of this checkout, or of a copy of it with another version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
EPOCH = "1764000000"


def wheel(output: Path, source: Path = ROOT) -> Path:
    """Of the sdist, as a release is made; both are in ``output``."""
    _run(source, "-m", "build", "--outdir", str(output))
    (built,) = output.glob("*.whl")
    return built


def deb(built: Path, output: Path, source: Path = ROOT) -> Path:
    _run(source, "-m", "packages.deb", str(built), "--output", str(output))
    (package,) = output.glob("*.deb")
    return package


def changed_copy(target: Path, version: str) -> Path:
    """The same under another version: what a later release would be to dpkg."""
    ignored = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, target, ignore=ignored)
    init = target / "daemon" / "__init__.py"
    init.write_text(re.sub(r'(__version__ = ").*"', rf'\g<1>{version}"', init.read_text()))
    return target


def _run(source: Path, *arguments: str) -> None:
    environ = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=source,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
