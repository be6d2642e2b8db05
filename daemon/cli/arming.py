"""``dispatchd arm``: lets a trigger take the secret that its sender hands over, and shows it."""

from __future__ import annotations

import json

from daemon.cli.acting import show
from daemon.cli.answers import ARMED, SECRET
from daemon.cli.connection import Connection
from daemon.cli.names import segment
from daemon.cli.target import Target, ask


def arm_trigger(target: Target, name: str, *, forget: bool, as_json: bool) -> None:
    """Exits with 1 where the trigger takes no secret, or has one and is not to forget it."""
    query = "?forget=true" if forget else ""
    path = f"/api/v1/triggers/{segment(name)}/arm{query}"
    answer = ask(target, lambda daemon: daemon.post(path, ARMED))
    words = (
        f"{name} takes the secret that comes to {answer['path']} until {answer['armed_until']}: "
        "have the sender make its webhook now"
    )
    show(answer, as_json, words)


def show_secret(target: Target, name: str, *, as_json: bool) -> None:
    """Prints the secret alone, for who has to paste it at the vendor. The daemon gives it over its
    Unix socket only."""
    path = f"/api/v1/triggers/{segment(name)}/secret"

    async def read(daemon: Connection) -> str:
        return str((await daemon.get(path, SECRET))["secret"])

    secret = ask(target, read)
    print(json.dumps({"trigger": name, "secret": secret}) if as_json else secret)
