"""What happens in the container: the Debian package is installed, upgraded under load, removed and
purged. Run by Debian's own Python, so with nothing but the standard library."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

OLD, NEW = Path("/srv/packages/old.deb"), Path("/srv/packages/new.deb")
CONFIG, STATE = Path("/etc/dispatchd"), Path("/var/lib/dispatchd")
URL = "http://127.0.0.1:8080/hooks/try"
SERVICE, SOCKET = "dispatchd.service", "dispatchd.socket"
TRIGGER = {
    "name": "try",
    "path": "/hooks/try",
    "auth": {"scheme": "none"},
    "dedupe": False,
    "dispatch": {"event_type": "tried", "repository": "acme/shop"},
}


def run(*command: str, fails: bool = False) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if bool(done.returncode) != fails:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return (done.stdout + done.stderr).strip()


def show(text: str) -> None:
    print(text, flush=True)


def prop(name: str, unit: str = SERVICE) -> str:
    return run("systemctl", "show", unit, "--value", "--property", name)


def post() -> int:
    """The status; 0 where there was no answer."""
    try:
        request = urllib.request.Request(URL, b"{}", {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - http
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def until(what: str, holds: Callable[[], bool], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def it_installs() -> None:
    run("dpkg", "--install", str(OLD))
    show(f"installed without a network: {run('dispatchd', '--version')}")
    pwd.getpwnam("dispatchd")
    assert (CONFIG / "secrets").stat().st_mode & 0o777 == 0o700
    assert prop("ActiveState") == "inactive"
    assert run("dispatchd", "validate", str(CONFIG)).endswith("no faults")
    as_nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    run(*as_nobody, "dispatchd", "next", "--config-dir", str(CONFIG))
    refused = run("dispatchd", "service", "install", fails=True)
    assert "the Debian package has brought the units" in refused
    run("systemd-analyze", "verify", f"/usr/lib/systemd/system/{SERVICE}")
    assert "dispatchd.1" in run("man", "--where", "dispatchd")
    show("its user, secrets of root's alone, units, man page; nothing is started")


def it_serves() -> None:
    (CONFIG / "TRIGGERS.json").write_text(json.dumps([TRIGGER]))
    drop_in = Path(f"/etc/systemd/system/{SERVICE}.d/simulate.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nExecStart=\nExecStart=/usr/bin/dispatchd run --simulate\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", SOCKET, SERVICE)
    assert post() == 202
    until("a run is seen", lambda: bool(dispatches()[0].get("run_url")))
    first = dispatches()[0]
    show(f"a webhook, {first['state']} by the stand-in, its run: {first['run_url']}")


def dispatches() -> list[dict[str, object]]:
    # Standard error has the warning of the simulation.
    command = ["dispatchd", "dispatches", "--json", "--limit", "1000"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    found: list[dict[str, object]] = told["dispatches"] if isinstance(told, dict) else told
    return found


def an_upgrade_refuses_nobody_and_keeps_all() -> None:
    answers: list[int] = []
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            answers.append(post())
            time.sleep(0.05)

    before, pid, config = len(dispatches()), prop("MainPID"), (CONFIG / "TRIGGERS.json").read_text()
    socket = prop("ActiveEnterTimestampMonotonic", SOCKET)
    sender = threading.Thread(target=send)
    sender.start()
    run("dpkg", "--install", "--force-confold", str(NEW))
    until("the new one serves", lambda: prop("ActiveState") == "active")
    assert prop("MainPID") != pid, "the service was restarted"
    time.sleep(1)  # deliveries to the new one as well
    over.set()
    sender.join()
    assert set(answers) == {202}, answers
    assert prop("ActiveEnterTimestampMonotonic", SOCKET) == socket, "the socket stayed open"
    assert (CONFIG / "TRIGGERS.json").read_text() == config
    until("all are dispatched", lambda: len(dispatches()) == before + len(answers))
    show(
        f"upgraded to {run('dispatchd', '--version')} under load: {len(answers)} deliveries, all "
        f"202; config and {before} earlier dispatches are there"
    )


def a_downgrade_is_taken() -> None:
    run("dpkg", "--install", "--force-confold", str(OLD))
    until("the old one serves", lambda: prop("ActiveState") == "active")
    assert post() == 202
    show(f"and back to {run('dispatchd', '--version')}, whose database is of the same form")


def a_removal_keeps_what_is_ones_own() -> None:
    run("dpkg", "--remove", "dispatchd")
    assert prop("ActiveState") == "inactive"
    assert post() == 0
    assert not Path("/usr/lib/dispatchd").exists(), list(Path("/usr/lib/dispatchd").rglob("*"))
    assert (CONFIG / "TRIGGERS.json").exists()
    assert any(STATE.iterdir())
    show("removed: nobody listens, nothing is left in /usr, config and database are")


def a_purge_leaves_nothing() -> None:
    run("dpkg", "--install", str(OLD))
    run("systemctl", "start", SOCKET)
    assert post() == 202
    run("dpkg", "--purge", "dispatchd")
    left = [path for path in (CONFIG, STATE, Path("/usr/lib/dispatchd")) if path.exists()]
    assert left == []
    show("installed again, it served the same config; purged, it leaves nothing")


def trial() -> None:
    it_installs()
    it_serves()
    an_upgrade_refuses_nobody_and_keeps_all()
    a_downgrade_is_taken()
    a_removal_keeps_what_is_ones_own()
    a_purge_leaves_nothing()


if __name__ == "__main__":
    try:
        trial()
    except BaseException:
        show(run("journalctl", "--no-pager", "--lines=60", f"--unit={SERVICE}"))
        raise
    os.sync()
