"""What happens in the container: dispatchd is installed as its operators do, and then lives through
what may befall a service."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from daemon.dispatcher import UNSETTLED_MAX
from daemon.simulator import Simulator
from tests.harness import API_KEY, GH_TOKEN, PUSH, WEBHOOK_SECRET, Sender, stand_in

URL = "http://127.0.0.1:8080"
PROGRAM = Path("/opt/dispatchd/bin/dispatchd")
CONFIG = Path("/etc/dispatchd")
SERVICE = "dispatchd.service"
SOCKET = "dispatchd.socket"
DEADLINE = 240.0
AT_ONCE = 4
PAUSE = 0.05
"""Seconds between two deliveries of one of them: among very many runs nobody could tell which of
them a dispatch started, and what a kill cut off would be held for a person."""
KILLS = 3

STUCK = """\
# Has the main thread sleep, and with it the event loop, at SIGUSR2.
import signal, time
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(3600))
"""


def show(text: str) -> None:
    print(text, flush=True)


def run(*command: str, fails: bool = False) -> str:
    """Its output; the trial is over where it ``fails`` and should not, or the other way round."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if bool(done.returncode) != fails:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return (done.stdout + done.stderr).strip()


async def later(*command: str) -> str:
    """The same, while this program goes on."""
    return await asyncio.to_thread(run, *command)


def prop(name: str, unit: str = SERVICE) -> str:
    return run("systemctl", "show", unit, "--value", "--property", name)


async def until(name: str, value: str, within: float = 40.0) -> None:
    """Waits until a property of the service has the value. systemd has nothing to wait on that is
    there without a bus."""
    began = time.monotonic()
    while (found := await asyncio.to_thread(prop, name)) != value:
        if time.monotonic() - began > within:
            raise AssertionError(f"{name} is {found} and not {value}, after {within:g} s")
        await asyncio.sleep(0.1)


def prepare() -> None:
    """The program where an operator would have it, and people."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "/opt/dispatchd"], check=True)
    (packages,) = Path("/opt/dispatchd/lib").glob("python3*/site-packages")
    (packages / "source.pth").write_text("/srv/source\n/srv/packages\n")
    (packages / "sitecustomize.py").write_text(STUCK)
    PROGRAM.write_text(
        "#!/opt/dispatchd/bin/python\nfrom daemon.cli import main\nmain()\n", "utf-8"
    )
    PROGRAM.chmod(0o755)


def install(github: Simulator) -> None:
    show(run(str(PROGRAM), "service", "install"))
    run("systemd-analyze", "verify", f"/etc/systemd/system/{SERVICE}")
    exposure = run("systemd-analyze", "security", "--no-pager", "--threshold=15", SERVICE)
    show(exposure.splitlines()[-1])
    push = {**PUSH, "auth": {"scheme": "github", "secret": "credential:GH_WEBHOOK_SECRET"}}
    (CONFIG / "TRIGGERS.json").write_text(json.dumps([push]))
    # An interpreter that is not in its usual place here finds its libraries by this.
    (CONFIG / "environment").write_text(f"LD_LIBRARY_PATH={os.environ['LD_LIBRARY_PATH']}\n")
    (CONFIG / "DAEMON.yaml").write_text(
        f"gh_api_url: {github.url}\ngh_owner: acme\ngh_repo: shop\n"
        "gh_writes_per_second: 0\ngh_write_burst: 0\ngh_writes_per_hour: 0\n"
        "breaker: {max: 1000000, per: 1h}\n"
    )
    secrets = {"GH_TOKEN": GH_TOKEN, "API_KEY": API_KEY, "GH_WEBHOOK_SECRET": WEBHOOK_SECRET}
    for name, value in secrets.items():
        (CONFIG / "secrets" / name).write_text(value)
        (CONFIG / "secrets" / name).chmod(0o600)
    people = Path("/etc/sysusers.d/people.conf")
    people.write_text("u alice -\nu mallory -\nm alice dispatchd\n")
    run("systemd-sysusers", str(people))


def as_user(name: str, *command: str, fails: bool = False) -> str:
    return run(
        *("setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", *command), fails=fails
    )


@asynccontextmanager
async def traffic(sender: Sender, kind: str) -> AsyncIterator[list[str]]:
    """Deliveries meanwhile, some at once, each on a connection of its own."""
    names: list[str] = []
    over = asyncio.Event()

    async def send() -> None:
        while not over.is_set():
            names.append(f"{kind}-{len(names)}")
            await sender.push(URL, names[-1])
            await asyncio.sleep(PAUSE)

    async with asyncio.TaskGroup() as senders:
        for _ in range(AT_ONCE):
            senders.create_task(send())
        yield names
        over.set()


async def the_socket_starts_it(sender: Sender) -> None:
    run("systemctl", "enable", "--now", SOCKET)
    assert prop("ActiveState") == "inactive"
    assert await sender.push(URL, "first") == 202
    await until("ActiveState", "active")
    show(f"a webhook at the socket started it: 202, pid {prop('MainPID')}, user {prop('User')}")


async def it_tells_how_it_stands() -> None:
    started = run("systemctl", "start", SERVICE)
    assert started == ""
    for _ in range(100):
        if "last dispatch of push accepted" in prop("StatusText"):
            break
        await asyncio.sleep(0.2)
    show(f"systemctl status: {prop('StatusText')}")
    assert "0 crons, 1 trigger; 0 pending; last dispatch of push accepted" in prop("StatusText")


def the_admin_group_looks() -> None:
    for name in ("alice", "dispatchd"):
        assert "repository   acme/shop" in as_user(name, str(PROGRAM), "status"), name
    shut = as_user("mallory", str(PROGRAM), "status", fails=True)
    assert "Unauthorized: API_KEY is not set here" in shut, shut
    as_user("alice", "cat", str(CONFIG / "secrets" / "GH_TOKEN"), fails=True)
    show("who is in the group uses the commands without a key; others do not; secrets are root's")


async def a_restart_refuses_nobody(sender: Sender) -> None:
    async with traffic(sender, "restart") as names:
        for _ in range(3):
            await asyncio.sleep(0.5)  # some deliveries, for the next restart to come between
            await later("systemctl", "restart", SERVICE)
    answers = [sender.answers[name] for name in names]
    assert set(answers) == {202}, {n: sender.answers[n] for n in names if sender.answers[n] != 202}
    show(f"three restarts under load: {len(names)} deliveries, all answered 202")


async def a_reload_takes_a_new_config_over_and_refuses_a_bad_one(sender: Sender) -> None:
    pid = prop("MainPID")
    triggers = CONFIG / "TRIGGERS.json"
    before = triggers.read_text(encoding="utf-8")
    renamed = before.replace('"push"', '"renamed"', 1)
    assert renamed != before
    async with traffic(sender, "reload"):
        triggers.write_text(renamed, encoding="utf-8")
        await later("systemctl", "reload", SERVICE)
        assert "renamed" in run(str(PROGRAM), "status")
        triggers.write_text("[", encoding="utf-8")
        refused = run("systemctl", "reload", SERVICE, fails=True)
        show(f"systemctl reload, with a config that has a fault: {refused.splitlines()[0]}")
        told = run("journalctl", "--no-pager", f"--unit={SERVICE}", "--lines=20")
        assert "TRIGGERS.json:1:2" in told, told
        triggers.write_text(before, encoding="utf-8")
        await later("systemctl", "reload", SERVICE)
    assert prop("MainPID") == pid
    await until("ActiveState", "active")
    show("systemctl reload: the same process took each config over, with traffic all the while")


async def a_kill_loses_nothing(sender: Sender) -> None:
    async with traffic(sender, "kill") as names:
        for _ in range(KILLS):
            restarts = int(prop("NRestarts"))
            await later("systemctl", "kill", "--signal=KILL", SERVICE)
            await until("NRestarts", str(restarts + 1))
            await until("ActiveState", "active")
            await asyncio.sleep(0.5)  # some deliveries, for the next one to come between
    cut = [name for name in names if sender.answers[name] != 202]
    show(f"{KILLS} times kill -9 under load: {len(names)} deliveries, {len(cut)} cut off, rest 202")
    assert len(cut) <= KILLS * AT_ONCE


async def a_bad_config_is_waited_out(sender: Sender) -> None:
    good = (CONFIG / "TRIGGERS.json").read_text()
    (CONFIG / "TRIGGERS.json").write_text("{")
    await asyncio.to_thread(run, "systemctl", "restart", SERVICE, fails=True)
    waiting = asyncio.create_task(sender.push(URL, "waits-for-the-config"))
    await asyncio.sleep(0)
    (CONFIG / "TRIGGERS.json").write_text(good)
    assert await waiting == 202
    show("a config that cannot be used: the sender waited until it was mended, 202")


def watch_every(seconds: str) -> None:
    drop_in = Path(f"/run/systemd/system/{SERVICE}.d/quick.conf")
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text(f"[Service]\nWatchdogSec={seconds}\n")
    run("systemctl", "daemon-reload")


async def a_stuck_loop_is_bitten(sender: Sender) -> None:
    watch_every("3")
    await later("systemctl", "restart", SERVICE)
    pid, restarts = prop("MainPID"), int(prop("NRestarts"))
    await asyncio.sleep(5)  # longer than the watchdog waits: it is fed
    assert prop("MainPID") == pid
    began = time.monotonic()
    run("systemctl", "kill", "--kill-who=main", "--signal=USR2", SERVICE)
    waiting = asyncio.create_task(sender.push(URL, "waits-for-the-watchdog"))
    await until("NRestarts", str(restarts + 1))
    assert await waiting == 202 or await sender.push(URL, "after-the-watchdog") == 202
    log = run("journalctl", "--no-pager", "--output=cat", f"--unit={SERVICE}")
    assert "Watchdog timeout" in log
    assert "Fatal Python error: Aborted" in log
    assert "sitecustomize.py" in log, "the trace says where it was stuck"
    show(f"a stuck loop was bitten and started anew in {time.monotonic() - began:.1f} s")


async def it_stops(sender: Sender, github: Simulator) -> None:
    await later("systemctl", "restart", SERVICE)
    await sender.until_received(github)
    began = time.monotonic()
    await later("systemctl", "stop", SOCKET)  # which the service requires
    await until("ActiveState", "inactive")
    assert (prop("Result"), prop("ExecMainStatus")) == ("success", "0")
    assert await sender.push(URL, "too-late") is None
    show(f"stop: exit 0 after {time.monotonic() - began:.1f} s, and nobody listens any more")


def own(directory: Path, name: str) -> None:
    """Makes a directory that is that user's alone."""
    directory.mkdir(mode=0o700, parents=True)
    shutil.chown(directory, name, name)


async def a_user_has_one_of_their_own(sender: Sender, github: Simulator) -> None:
    """Under their own manager, with their own secrets."""
    home, runtime = Path("/home/alice"), Path(f"/run/user/{pwd.getpwnam('alice').pw_uid}")
    for directory in (home, runtime):
        own(directory, "alice")
    environ = [f"HOME={home}", f"XDG_RUNTIME_DIR={runtime}"]
    # As user@.service has it, which takes logind and PAM.
    await later(
        *("systemd-run", "--uid=alice", "--gid=alice", "--property=Type=notify"),
        *("--property=Delegate=yes", *(f"--setenv={each}" for each in environ)),
        *("/lib/systemd/systemd", "--user"),
    )
    as_user("alice", "env", *environ, str(PROGRAM), "service", "install", "--user")
    shutil.copytree(CONFIG, home / ".config" / "dispatchd", dirs_exist_ok=True)
    run("chown", "--recursive", "alice:alice", str(home))
    manager = ("env", *environ, "systemctl", "--user")
    await asyncio.to_thread(as_user, "alice", *manager, "start", SERVICE)
    assert await sender.push(URL, "of-a-user") == 202
    await sender.until_received(github)
    await asyncio.to_thread(as_user, "alice", *manager, "stop", SOCKET)
    assert (home / ".local/state/dispatchd/dispatchd.sqlite").exists()
    show("a user's own service, under their own manager: started, 202, stopped")


async def trial() -> None:
    prepare()
    async with asyncio.timeout(DEADLINE), stand_in() as github, Sender(keep_alive=False) as sender:
        install(github)
        await the_socket_starts_it(sender)
        await it_tells_how_it_stands()
        the_admin_group_looks()
        await a_restart_refuses_nobody(sender)
        await a_reload_takes_a_new_config_over_and_refuses_a_bad_one(sender)
        await a_kill_loses_nothing(sender)
        await a_bad_config_is_waited_out(sender)
        await a_stuck_loop_is_bitten(sender)
        await it_stops(sender, github)
        await a_user_has_one_of_their_own(sender, github)
        balance = sender.balance(github.received)
        assert not balance.lost, balance
        assert not balance.unasked, balance
        # Sending is at least once: what was on its way at a kill may go out again.
        assert len(balance.doubled) <= KILLS * UNSETTLED_MAX, balance
        show(
            f"{len(sender.acknowledged)} deliveries acknowledged; GitHub got every one of them"
            f" ({len(balance.doubled)} of those that were on their way at a kill twice)"
        )


if __name__ == "__main__":
    show(run("systemctl", "--version").splitlines()[0])
    try:
        asyncio.run(trial())
    except BaseException:
        show(run("systemctl", "list-jobs", "--no-pager"))
        show(run("journalctl", "--no-pager", "--lines=200", f"--unit={SERVICE}"))
        raise
    os.sync()
