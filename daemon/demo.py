"""The main job on a terminal, step by step: ``make demo``, or ``python -m daemon.demo [--once]``.
It starts the real program as a simulation, and then does only what a person could do with it."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

DISPATCHD = Path(sys.executable).with_name("dispatchd")
DEADLINE = 120.0
"""Seconds that all steps may take together, on a slow machine too; and then the stopping."""

KEPT_OUT = ("GH_", "GITHUB_", "DISPATCHD_", "API_KEY", "CREDENTIALS_", "RUNTIME_", "STATE_")
"""Beginnings of variables that could bring in a real token, or the places of a real daemon."""

COLOURS = ("FORCE_COLOR", "TTY_")
"""Of variables that would colour what the commands print into a pipe."""

COMMIT = {
    "id": "7d1f0d0e9c1b4ad2a9a6a1d0c7c3b7f1e5b2a940", "message": "Explain the build",
    "timestamp": "2026-03-02T09:14:27+01:00", "modified": ["README.md"],
    "author": {"name": "Mona Lisa", "email": "mona@example.com", "username": "mona"},
}  # fmt: skip
PUSH = {
    "ref": "refs/heads/main", "created": False, "deleted": False, "forced": False,
    "before": "3a0b8c5d1e2f40718293a4b5c6d7e8f901234567", "after": COMMIT["id"],
    "repository": {"id": 186853002, "full_name": "acme/shop", "default_branch": "main"},
    "pusher": {"name": "mona", "email": "mona@example.com"},
    "sender": {"login": "mona", "id": 21031068, "type": "User"},
    "commits": [COMMIT], "head_commit": COMMIT,
}  # fmt: skip

MORE = """
This is still the simulation; it serves until Ctrl-C. To try more, in another terminal:
{exports}
  dispatchd status
  dispatchd dispatch hello --payload '{{"to": "the world"}}'
  dispatchd dispatches
  curl {url}/dispatch -H "x-api-key: $API_KEY" \\
    -H 'content-type: application/json' -d '{{"event_type": "hello"}}'
What the daemon logs from here on:"""

terminal = Console(highlight=False, soft_wrap=True)


class DemoError(Exception):
    """A step did not come out as it should; the text says how."""


def expect(held: bool, otherwise: str) -> None:
    if not held:
        raise DemoError(otherwise)


def shipped_config() -> Path:
    """The shipped ``config`` directory: of the current directory, else of this checkout."""
    places = [Path.cwd() / "config", Path(__file__).resolve().parent.parent / "config"]
    for place in places:
        if (place / "TRIGGERS.json").is_file():
            return place
    raise DemoError(f"there is no shipped config: no TRIGGERS.json in {places[0]} or {places[1]}")


def copy_config(source: Path, target: Path) -> None:
    """A copy of the config in which ``github-push``, which ships disabled, is enabled."""
    shutil.copytree(source, target)
    file = target / "TRIGGERS.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    entries = document["triggers"] if isinstance(document, dict) else document
    push = [entry for entry in entries if entry.get("name") == "github-push"]
    expect(len(push) == 1, f"{source / file.name} has no trigger named github-push")
    push[0]["enabled"] = True
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def settings(directory: Path) -> dict[str, str]:
    """The settings of this run: secrets made up for it, and everything kept in ``directory``."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    return {
        "DISPATCHD_CONFIG_DIR": str(directory / "config"),
        "DISPATCHD_DATABASE_URL": f"sqlite:///{directory}/demo.sqlite",
        "DISPATCHD_LISTEN": f"127.0.0.1:{port}",
        "API_KEY": secrets.token_hex(32),
        "GH_WEBHOOK_SECRET": secrets.token_hex(32),
    }


class Daemon:
    """``dispatchd run --simulate`` in a process of its own, and what it prints."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        expect(DISPATCHD.exists(), f"{DISPATCHD} is not there: `make demo` installs it")
        self.options = ["run", "--simulate", "--config-dir", environ["DISPATCHD_CONFIG_DIR"]]
        self.options += ["--listen", environ["DISPATCHD_LISTEN"]]
        self.log: list[str] = []
        self._process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
            [DISPATCHD, *self.options], env=environ, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops the daemon
        )  # fmt: skip
        # Killing it ends every wait for it.
        self.deadline = threading.Timer(DEADLINE, self._process.kill)
        self.deadline.start()

    def lines(self) -> Iterator[str]:
        """The lines as they come, until the daemon ends."""
        for line in self._process.stdout or ():
            self.log.append(line)
            yield line

    def until(self, event: str, **fields: str) -> None:
        """Waits for this event in the log, which is one JSON object a line."""
        wanted = {"event": event, **fields}.items()
        for line in self.lines():
            if line.startswith("{") and wanted <= json.loads(line).items():
                return
        raise DemoError(f"the daemon ended, or {DEADLINE:.0f} s passed, before it logged: {event}")

    def stop(self) -> int:
        """SIGTERM, then the exit status."""
        self.deadline.cancel()
        killer = threading.Timer(DEADLINE, self._process.kill)
        killer.start()
        self._process.terminate()
        with self._process:
            self.log += self._process.stdout or ()
        killer.cancel()
        return self._process.returncode


class Demo:
    """The steps. Each says what happens, what to type for it, and what came of it."""

    def __init__(self, daemon: Daemon, environ: Mapping[str, str]) -> None:
        self._daemon = daemon
        self._environ = environ
        self._url = f"http://{environ['DISPATCHD_LISTEN']}"
        self._steps = 0

    def show(self, directory: Path) -> None:
        body = json.dumps(PUSH, separators=(",", ":")).encode()
        push, changed = directory / "push.json", directory / "changed.json"
        push.write_bytes(body)
        changed.write_bytes(body.replace(b"README", b"readME", 1))
        digest = hmac.new(self._environ["GH_WEBHOOK_SECRET"].encode(), body, hashlib.sha256)
        signed = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-Hub-Signature-256": f"sha256={digest.hexdigest()}",
        }
        self._heading("The daemon starts, with a stand-in for GitHub")
        _typed(shlex.join(["dispatchd", *self._daemon.options]))
        self._daemon.until("serving")
        _say(self._curl("/readyz", {}, 200))
        status = self._curl("/api/v1/status", {"x-api-key": self._environ["API_KEY"]}, 200)
        _say({name: status[name] for name in ("simulation", "github", "repository")})
        expect(status["simulation"] is True, "the daemon does not simulate")

        self._heading("GitHub delivers a push, signed with the webhook's secret")
        taken = self._curl("/hooks/github", signed, 202, push)
        _say(taken)
        self._follow(taken, "github-push", status)

        self._heading("The same delivery again: a duplicate, nothing more is sent")
        again = self._curl("/hooks/github", signed, 200, push)
        _say(again)
        expect(again.get("duplicate_of") == taken["event_id"], "it is no duplicate of the first")

        self._heading("The same with one byte changed: refused")
        _say(self._curl("/hooks/github", signed, 401, changed))

        self._heading("A cron entry fires: the nightly build, by hand")
        fired = json.loads(self._dispatchd("fire", "system-build", "--json"))
        self._follow(fired, "system-build", status)

    def _follow(self, taken: Any, entry: str, status: Any) -> None:
        """From the event to the run; ``taken`` is what the daemon answered to what came in."""
        event_id, (dispatch_id,) = taken["event_id"], taken["dispatches"]
        github, repository = status["github"], status["repository"]

        self._heading("The event, and the verdict on it")
        listed = self._dispatchd("events", "--limit", "1")
        expect({event_id, entry, "dispatched"} <= {*listed.split()}, f"{event_id} is not there")

        self._heading("The request, as the stand-in received it")
        self._daemon.until("dispatch accepted", dispatch_id=dispatch_id)
        received = self._curl(f"{github}/_simulator/log", {}, 200)["received"]
        (sent,) = (each for each in received if dispatch_id in json.dumps(each["client_payload"]))
        terminal.print(Text(f"POST /repos/{sent['repository']}/dispatches"))
        _say({name: sent[name] for name in ("event_type", "client_payload")})

        self._heading("The stand-in's answer, a 204, as the daemon keeps it")
        kept = self._dispatchd("dispatches", dispatch_id)
        expect({"accepted", "status=204"} <= {*kept.split()}, f"{dispatch_id} was not accepted")

        self._heading("The run that it started, with the dispatch's id in its title")
        token = {"Authorization": "Bearer any"}
        runs = self._curl(f"{github}/repos/{repository}/actions/runs", token, 200)["workflow_runs"]
        (run,) = (each for each in runs if dispatch_id in each["display_title"])
        _say({name: run[name] for name in ("id", "display_title", "event", "status")})

    def _heading(self, words: str) -> None:
        self._steps += 1
        terminal.print(Text(f"\n{self._steps}. {words}", "bold"))

    def _dispatchd(self, *words: str) -> str:
        _typed(shlex.join(["dispatchd", *words]))
        ran = subprocess.run(  # noqa: S603 - our own program, and no shell
            [DISPATCHD, *words], env=self._environ, capture_output=True, text=True, check=False,
            timeout=DEADLINE,
        )  # fmt: skip
        expect(ran.returncode == 0, f"it exited with {ran.returncode}: {ran.stderr}")
        terminal.print(Text("\n".join(map(str.rstrip, ran.stdout.strip().splitlines()))))
        return ran.stdout

    def _curl(
        self, url: str, headers: Mapping[str, str], expected: int, file: Path | None = None
    ) -> Any:
        """The JSON that is answered; asked as curl would, and past any proxy."""
        url = url if url.startswith("http") else self._url + url
        options = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
        options += [f"--data-binary @{file}"] if file else []
        _typed(" \\\n    ".join([f"curl -i {url}", *options]))
        parts = urlsplit(url)
        with closing(http.client.HTTPConnection(parts.netloc, timeout=DEADLINE)) as connection:
            body = file.read_bytes() if file else None
            sent = {"User-Agent": "dispatchd-demo", **headers}
            connection.request("POST" if file else "GET", parts.path, body, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        terminal.print(Text(f"HTTP/1.1 {answer.status} {answer.reason}"))
        expect(answer.status == expected, f"{expected} was expected, but it answered: {text}")
        return json.loads(text)


def _typed(command: str) -> None:
    terminal.print(Text(f"$ {command}", "cyan"))


def _say(document: object) -> None:
    terminal.print_json(json.dumps(document))


def run(directory: Path, *, once: bool) -> None:
    """The whole demo; all that it makes is in ``directory``. Raises DemoError."""
    copy_config(shipped_config(), directory / "config")
    own = settings(directory)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(KEPT_OUT + COLOURS)} | own
    daemon = Daemon(environ)
    try:
        Demo(daemon, environ).show(directory)
        if not once:
            serve_on(daemon, own)
    except BaseException as error:
        daemon.stop()
        if not isinstance(error, Exception):
            raise
        log = "".join(daemon.log)
        raise DemoError(f"{error}\n\nWhat the daemon printed:\n{log}") from error
    status = daemon.stop()
    expect(status == 0, f"the daemon stopped with exit status {status}")


def serve_on(daemon: Daemon, own: Mapping[str, str]) -> None:
    """Says what to try next, and shows the daemon's log until Ctrl-C."""
    exports = {"PATH": f"{DISPATCHD.parent}:$PATH", **own}
    lines = "\n".join(f"  export {name}={value}" for name, value in exports.items())
    daemon.deadline.cancel()
    with suppress(KeyboardInterrupt):
        terminal.print(Text(MORE.format(exports=lines, url=f"http://{own['DISPATCHD_LISTEN']}")))
        for line in daemon.lines():
            terminal.print(Text(line.rstrip(), "dim"))
        raise DemoError("the daemon ended by itself")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when all steps are shown")
    once = parser.parse_args().once
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    terminal.print(Text("SIMULATION: everything happens on this machine; nothing reaches GitHub."))
    try:
        with TemporaryDirectory(prefix="dispatchd-demo-") as directory:
            run(Path(directory), once=once)
    except DemoError as error:
        sys.exit(f"\nThe demo failed: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    terminal.print(Text("\nDone: a webhook and a cron became GitHub dispatches and runs."))


if __name__ == "__main__":
    main()
