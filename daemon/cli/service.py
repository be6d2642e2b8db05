"""``dispatchd service``: the systemd units, shown and installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from daemon import config
from daemon.cli.config_files import put_in_place
from daemon.cli.tables import say, warn
from daemon.cli.units import CONFIG, MADE_BY, SYSUSERS, USER, units
from daemon.errors import UsageError

HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))
"""What the service of the machine does not see (ProtectHome=)."""

PACKAGED = Path("/usr/lib/systemd/system/dispatchd.service")
"""Where the unit is that comes with the Debian package."""


def print_units(listen: str | None, *, user: bool) -> None:
    """Shows each file, below its name."""
    for path, text in _units(listen, user=user).items():
        say(f"# {path}\n{text}")


def install_units(listen: str | None, *, user: bool) -> None:
    """Writes the files, makes the user and the directories that they name, and has systemd read
    them. Starts nothing. Raises UsageError where that is not ours to do."""
    if not user and os.geteuid() != 0:
        raise UsageError(
            "the units of the machine are root's to write: run it with sudo, or use --user; "
            "`dispatchd service print` only shows them"
        )
    if not user and PACKAGED.exists():
        raise UsageError(
            f"the Debian package has brought the units, {PACKAGED} among them; to start them: "
            "systemctl enable --now dispatchd.socket dispatchd.service"
        )
    program = _program()
    if not user and any(program.is_relative_to(place) for place in HIDDEN):
        raise UsageError(
            f"{program} is in a home directory, where the service's user {USER} cannot run it: "
            "install dispatchd for all, as with `python3 -m venv /opt/dispatchd`, or use --user"
        )
    texts = _units(listen, user=user)
    for path in texts:
        if path.exists() and not path.read_text("utf-8", "replace").startswith(MADE_BY[:30]):
            raise UsageError(f"{path} was written by somebody else: move it away")
    for path, text in texts.items():
        put_in_place(path, text)
        say(f"{path}: written")
    directory = _home() / "dispatchd" if user else CONFIG
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    (directory / "secrets").mkdir(mode=0o700, exist_ok=True)
    manager = ["systemctl", "--user"] if user else ["systemctl"]
    if not user:
        _run(["systemd-sysusers", str(SYSUSERS)])
    _run([*manager, "daemon-reload"])
    _tell_next(directory, " ".join(manager), user=user)


def _tell_next(directory: Path, systemctl: str, *, user: bool) -> None:
    sudo = "" if user else "sudo "
    say(f"\nNext, without a config yet: {sudo}dispatchd init --config-dir {directory}")
    say(f"Secrets are files in {directory / 'secrets'}, such as GH_TOKEN and API_KEY.")
    say(f"Then: {sudo}{systemctl} enable --now dispatchd.socket dispatchd.service")
    if user:
        say("It ends with your last session, unless: loginctl enable-linger")
    else:
        say(f"Who may use the commands without a key: {sudo}usermod -aG {USER} NAME")


def _units(listen: str | None, *, user: bool) -> Mapping[Path, str]:
    return units(_program(), _stream(listen, user=user), user=user, home=_home())


def _stream(listen: str | None, *, user: bool) -> str:
    """Where to listen, as ListenStream= has it: where the service would do so without a socket."""
    directory = _home() / "dispatchd" if user else CONFIG
    host, port = config.load_settings(directory, {}, flags=config.Flags(listen=listen)).listen
    if port == 0:
        raise UsageError("a socket unit needs a port: --listen HOST:PORT")
    if not host:
        return str(port)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _home() -> Path:
    return Path(platformdirs.user_config_dir())


def _program() -> Path:
    """The command that this is, by its full path."""
    beside = Path(sys.executable).with_name("dispatchd")
    found = beside if beside.exists() else Path(shutil.which(sys.argv[0]) or sys.argv[0])
    return found.absolute()


def _run(command: list[str]) -> None:
    """What fails is told, since it can be done by hand as well."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        words = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        words = str(error)
    if words:
        warn(f"`{' '.join(command)}` did not work, run it yourself: {words}")
