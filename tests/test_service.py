"""``dispatchd service``: the units that it shows and installs, and systemd's own tools on them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli import service
from daemon.cli.service import install_units, print_units
from daemon.cli.units import CONFIG, units
from daemon.config.keyring import Keyring
from daemon.errors import UsageError
from daemon.reporter import PERIOD

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(
    ANALYZE is None,
    reason="NOT JUDGED BY SYSTEMD: systemd-analyze is missing (Debian's package systemd)",
)
MOST_EXPOSED = 1.5
PROGRAM = Path(sys.executable).with_name("dispatchd")


def written(directory: Path, *, user: bool) -> list[str]:
    """The units as files, for systemd's tools; their names."""
    paths = []
    for path, text in units(PROGRAM, "127.0.0.1:8080", user=user, home=directory).items():
        if path.suffix in (".service", ".socket"):
            (directory / path.name).write_text(text)
            paths.append(str(directory / path.name))
    return paths


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
@pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
def test_systemd_finds_no_fault_in_the_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: bool
) -> None:
    manager = "--user" if user else "--system"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    done = analyze("verify", "--man=no", manager, *written(tmp_path, user=user))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_the_service_of_the_machine_is_hardly_exposed(tmp_path: Path) -> None:
    path, _ = written(tmp_path, user=False)
    done = analyze("security", "--offline=true", "--no-pager", path)
    (level,) = re.findall(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert float(level) <= MOST_EXPOSED, done.stdout


def test_what_is_printed_is_every_file_below_its_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    print_units(None, user=False)
    system = capsys.readouterr().out
    names = re.findall(r"^# (/\S+)$", system, re.MULTILINE)
    assert names == [
        "/etc/systemd/system/dispatchd.service",
        "/etc/systemd/system/dispatchd.socket",
        "/etc/sysusers.d/dispatchd.conf",
    ]
    assert f"ExecStart={PROGRAM} run\n" in system
    assert f"ExecReload={PROGRAM} reload\n" in system
    print_units(None, user=True)
    user = capsys.readouterr().out
    assert f"# {tmp_path}/systemd/user/dispatchd.service\n" in user
    assert "User=" not in user
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("listen", "stream"),
    [(None, "127.0.0.1:8080"), (":80", "80"), ("[::1]:9", "[::1]:9"), ("0.0.0.0:9", "0.0.0.0:9")],
)
def test_the_socket_unit_listens_where_the_daemon_would(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listen: str | None,
    stream: str,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    print_units(listen, user=True)
    assert f"ListenStream={stream}\n" in capsys.readouterr().out
    with pytest.raises(UsageError, match="needs a port"):
        print_units("127.0.0.1:0", user=True)


def test_the_address_in_the_settings_counts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "dispatchd").mkdir()
    (tmp_path / "dispatchd" / "DAEMON.yaml").write_text("dispatchd_listen: 127.0.0.1:9090\n")
    print_units(None, user=True)
    assert "ListenStream=127.0.0.1:9090\n" in capsys.readouterr().out


def test_a_user_installs_for_themselves_and_again_over_what_was_installed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no manager of theirs runs, that is told, and the files are there."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    install_units(None, user=True)
    said = capsys.readouterr()
    assert "`systemctl --user daemon-reload` did not work, run it yourself" in said.err
    assert "systemctl --user enable --now dispatchd.socket dispatchd.service" in said.out
    socket = tmp_path / "systemd" / "user" / "dispatchd.socket"
    assert "ListenStream=127.0.0.1:8080" in socket.read_text()
    secrets = tmp_path / "dispatchd" / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    install_units("127.0.0.1:9090", user=True)
    assert "ListenStream=127.0.0.1:9090" in socket.read_text()


def test_a_unit_of_somebody_elses_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    unit = tmp_path / "systemd" / "user" / "dispatchd.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(UsageError, match="was written by somebody else"):
        install_units(None, user=True)
    assert list(unit.parent.iterdir()) == [unit]
    assert unit.read_text().endswith("/bin/true\n")


def test_the_units_of_the_machine_are_roots_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UsageError, match="with sudo, or use --user"):
        install_units(None, user=False)


def test_a_program_that_the_services_user_cannot_reach_is_not_installed_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(service, "_program", lambda: Path("/root/.local/bin/dispatchd"))
    with pytest.raises(UsageError, match="in a home directory"):
        install_units(None, user=False)


def test_a_program_with_an_odd_path_is_one_word() -> None:
    odd = Path('/opt/50% "of" $HOME/dispatchd')
    texts = units(odd, "80", user=False, home=CONFIG)
    (text,) = [text for path, text in texts.items() if path.suffix == ".service"]
    assert r'ExecStart="/opt/50%% \"of\" $$HOME/dispatchd" run' in text


def test_a_secret_of_the_directory_is_found_by_its_own_name(tmp_path: Path) -> None:
    """systemd puts the directory's name before it; one that is loaded by itself wins."""
    keyring = Keyring({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    (tmp_path / "secrets_API_KEY").write_text("from-the-directory-0001")
    (tmp_path / "secrets_GH_TOKEN").write_text("from-the-directory-0002")
    (tmp_path / "GH_TOKEN").write_text("loaded-by-itself-0003")
    assert keyring.resolve("credential:API_KEY").secret.reveal() == "from-the-directory-0001"
    setting = keyring.credential("GH_TOKEN")
    assert setting is not None
    assert setting.reveal() == "loaded-by-itself-0003"
    assert keyring.credential("OTHER") is None


def test_the_page_names_every_file_and_figure(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "service.md").read_text("utf-8")
    texts = units(PROGRAM, "127.0.0.1:8080", user=False, home=tmp_path)
    for path in (*texts, CONFIG, CONFIG / "secrets"):
        assert f"| `{path}` |" in page
    (service_unit,) = [text for path, text in texts.items() if path.suffix == ".service"]
    assert "(`WatchdogSec=60`)" in page
    assert "WatchdogSec=60\n" in service_unit
    assert "tried again every 2 s" in page
    assert "RestartSec=2\n" in service_unit
    assert f"at most {PERIOD:g} s old" in page
    (name,) = re.findall(r"^RuntimeDirectory=(.*)$", service_unit, re.MULTILINE)
    assert f"`/run/{name}/admin.sock`" in page
