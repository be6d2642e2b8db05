"""The Debian package on a Debian that is made for it, under its systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.packages.making import changed_copy, deb, wheel

INSIDE = Path(__file__).with_name("inside.py")
PROGRAMS = ("dpkg-deb", "mmdebstrap", "systemd-nspawn")
INCLUDED = "ca-certificates,man-db,python3,systemd,systemd-sysv,util-linux"

UNIT = """\
[Unit]
Description=The trial of the package
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
Environment=PYTHONUNBUFFERED=1 LANG=C.UTF-8
ExecStart=/usr/bin/python3 /srv/packages/inside.py
StandardOutput=append:/srv/packages/transcript
StandardError=inherit
"""


def lacking() -> str:
    """Why it cannot run here."""
    if os.geteuid() != 0:
        return "it wants root"
    missing = [each for each in PROGRAMS if shutil.which(each) is None]
    return f"{', '.join(missing)} missing (Debian: systemd-container, mmdebstrap)" * bool(missing)


def judged(package: Path) -> None:
    """By lintian, whose errors and warnings are faults."""
    if shutil.which("lintian") is None:
        print("NOT JUDGED BY LINTIAN: it is not installed")
        return
    words = ["lintian", "--allow-root", "--fail-on", "error,warning", str(package)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    print("lintian: no error and no warning")


def trial() -> None:
    """Raises AssertionError with the transcript where anything goes wrong."""
    with tempfile.TemporaryDirectory(prefix="dispatchd-packages-") as name:
        work, root = Path(name), Path(name, "root")
        shared = work / "packages"
        shared.mkdir()
        old = deb(wheel(work / "old"), work / "old")
        judged(old)
        newer = changed_copy(work / "source", "0.99.0")
        old.rename(shared / "old.deb")
        deb(wheel(work / "new", newer), work / "new", newer).rename(shared / "new.deb")
        shutil.copy(INSIDE, shared)
        make = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={INCLUDED}", "bookworm"]
        subprocess.run([*make, str(root)], check=True)
        (root / "etc/systemd/system/trial.service").write_text(UNIT)
        status = _boot(root, shared)
        print((shared / "transcript").read_text(), end="")
        assert status == 0, f"the container ended with {status}"


def _boot(root: Path, shared: Path) -> int:
    # Where no systemd runs outside, nobody is there to give the container a unit.
    alone = [] if Path("/run/systemd/system").exists() else ["--keep-unit"]
    command = [
        *("systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--private-network"),
        *("--machine=dispatchd-package", "--console=pipe", "--register=no", *alone),
        *(f"--bind={shared}:/srv/packages", "systemd.unit=trial.service", "systemd.firstboot=off"),
        "systemd.mask=systemd-networkd-wait-online.service",
    ]
    (shared / "transcript").touch()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=400
    )
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-2000:], file=sys.stderr)
    return done.returncode
