"""``python -m tests.systemd``: boots the container, shows what happens in it, and exits as that
went. Nothing of this machine is changed: its /usr is read, all else is made in memory."""

from __future__ import annotations

import argparse
import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEADLINE = 300.0

TRIAL = """\
[Unit]
Description=The trial of dispatchd
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
Environment=PYTHONPATH=/srv/source:/srv/packages
Environment=PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8
Environment=LD_LIBRARY_PATH={libraries}
ExecStart={python} -m tests.systemd.trial
StandardOutput=append:/srv/trial/transcript
StandardError=inherit
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.systemd",
        description="Boots a real systemd in a container, installs dispatchd there, and tries it.",
    )
    parser.add_argument("--nspawn", default="systemd-nspawn", help="the program (%(default)s)")
    parser.add_argument(
        "--where-possible", action="store_true", help="exit 0 where it cannot run; it says so"
    )
    return parser.parse_args()


def main() -> int:
    given = arguments()
    if lacking := _lacking(given.nspawn):
        print(f"{'!' * 78}\nThe trial under systemd did NOT RUN: {lacking}.\n{'!' * 78}")
        return 0 if given.where_possible else 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dispatchd-systemd-") as name:
        status = _boot(given.nspawn, Path(name))
    print(f"{'passed' if status == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s")
    return status


def _lacking(nspawn: str) -> str:
    if os.geteuid() != 0:
        return "it takes root"
    if shutil.which(nspawn) is None:
        return "there is no systemd-nspawn (on Debian: apt install systemd-container)"
    return ""


def _boot(nspawn: str, directory: Path) -> int:
    """Runs the container to its end, and shows the transcript as it grows."""
    transcript, unit = directory / "transcript", directory / "trial.service"
    transcript.touch()
    python, libraries, binds = _python()
    unit.write_text(TRIAL.format(python=python, libraries=libraries))
    binds += [
        f"--bind-ro={unit}:/etc/systemd/system/trial.service",
        f"--bind-ro={ROOT}:/srv/source",
        f"--bind={directory}:/srv/trial",
    ]
    # Where no systemd runs outside, nobody is there to give the container a unit.
    alone = [] if Path("/run/systemd/system").exists() else ["--keep-unit"]
    command = [
        *(nspawn, "--quiet", "--directory=/", "--volatile=yes", "--boot", "--private-network"),
        *("--machine=dispatchd-trial", "--console=pipe", "--register=no", *alone, *binds),
        *("systemd.unit=trial.service", "systemd.firstboot=off", "systemd.show_status=error"),
        # There is no network to wait for.
        *("systemd.mask=systemd-networkd.service", "systemd.mask=NetworkManager.service"),
        "systemd.mask=systemd-networkd-wait-online.service",
        "systemd.mask=NetworkManager-wait-online.service",
    ]
    with (
        (directory / "boot.log").open("w+") as boot,
        transcript.open() as growing,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=boot, stderr=subprocess.STDOUT
        ) as container,
    ):
        deadline = time.monotonic() + DEADLINE
        while container.poll() is None and time.monotonic() < deadline:
            print(growing.read(), end="", flush=True)
            time.sleep(0.2)
        if container.poll() is None:
            print(f"not done after {DEADLINE:g} s")
            container.kill()
        status = container.wait()
        print(growing.read(), end="", flush=True)
        if status != 0:
            boot.seek(0)
            print(f"the container ended with {status}; its console:\n{boot.read()}")
    return status


def _python() -> tuple[str, str, list[str]]:
    """This interpreter, its libraries, and what the container needs of it beside /usr. A virtual
    environment would not find its packages there, so they are handed over by name."""
    (packages,) = [each for each in site.getsitepackages() if "site-packages" in each][:1]
    binds = [f"--bind-ro={packages}:/srv/packages"]
    base, name = Path(sys.base_prefix), f"python3.{sys.version_info.minor}"
    if base.is_relative_to("/usr"):
        return str(base / "bin" / name), "", binds
    return f"/srv/python/bin/{name}", "/srv/python/lib", [*binds, f"--bind-ro={base}:/srv/python"]


if __name__ == "__main__":
    sys.exit(main())
