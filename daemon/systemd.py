"""How systemd is spoken to, where it runs the daemon: what it is told (sd_notify(3)), how often it
wants that (sd_watchdog_enabled(3)), and which sockets it hands over (sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from daemon.errors import UsageError

SECRETS = "secrets"
"""By this name the units load a directory of credentials: each of its files is handed over under
its own name with ``secrets_`` before it (systemd.exec(5), LoadCredential=)."""

FIRST_SOCKET = 3
"""The descriptor of the first socket that is handed over."""


class Notifier:
    """Tells systemd how it stands. Where nobody asked to be told (``NOTIFY_SOCKET``), ``heard`` is
    False and nothing is sent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A path, or a name in Linux's abstract namespace; a virtual machine's own are not ours.
        self.heard = address.startswith(("/", "@"))
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def tell(self, **fields: object) -> bool:
        """Sends the fields (``READY=1``, ``STATUS="…"``) in one message. Whether it got away: to
        wait for systemd would hold up everything else."""
        if not self.heard:
            return False
        lines = (f"{name}={_one_line(str(value))}" for name, value in fields.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.setblocking(False)
            try:
                line.sendto("\n".join(lines).encode(errors="replace"), self._address)
            except OSError:
                return False
        return True


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How long systemd waits for a sign of life before it ends this process and starts another;
    None where it does not watch."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for whoever started us
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() and int(microseconds) else None


def inherited_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """The listening sockets that systemd handed over to this process, in its order. They stay open
    in systemd, so whoever connects while the daemon is restarted waits and is not refused. Raises
    UsageError for what nobody can connect to."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return []
    return [_listening(number) for number in range(FIRST_SOCKET, FIRST_SOCKET + int(count))]


def _listening(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        found = socket.socket(fileno=number)
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise UsageError(
            f"the socket {number} that LISTEN_FDS promises cannot be used: {error.strerror}"
        ) from None
    if found.type != socket.SOCK_STREAM or not listens:
        found.close()
        raise UsageError(
            f"the socket {number} that systemd handed over takes no connections: its unit has to "
            "have ListenStream= and Accept=no"
        )
    return found


def _one_line(text: str) -> str:
    """A line's end would begin another field."""
    return "".join(each if each.isprintable() else " " for each in text)
