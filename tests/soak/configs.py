"""The configs between which the daemon is reloaded: entries come and go and change, and now and
then a file is broken. Those that the load is for are in all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.harness import Entry
from tests.torture.run import TRIGGER, every_second

KINDS = ("more", "changed", "fewer", "broken")
"""In turns."""


class Configs:
    """The config files in ``directory``. Each config has a trigger that tells it from the others:
    it listens at `marker`."""

    def __init__(self, directory: Path, crons: list[str]) -> None:
        self._directory = directory
        self._crons = crons
        self.serial = 0

    @property
    def marker(self) -> str:
        return f"/marker/{self.serial}"

    @property
    def kind(self) -> str:
        return KINDS[self.serial % len(KINDS)]

    def write(self) -> None:
        """The config as it is at the start."""
        self._write(
            [TRIGGER, self._marking()], self._steady(), "breaker: {max: 1000000, per: 1h}\n"
        )

    def change(self) -> bool:
        """Writes the next config; whether it is one that can be in force."""
        self.serial += 1
        settings = "breaker: {max: 1000000, per: 1h}\n"
        triggers, crons = [TRIGGER, self._marking()], self._steady()
        match self.kind:
            case "more":
                triggers += [_idle(f"idle-{number}") for number in range(20)]
                crons += [_yearly(f"yearly-{number}") for number in range(20)]
            case "changed":
                triggers[0] = {**TRIGGER, "description": f"Changed for the time {self.serial}"}
                triggers += [_idle("idle-0", when=f"body.number > {self.serial}")]
                settings += f"retention: {30 + self.serial % 5}d\n"
            case "broken":
                self._put("TRIGGERS.json", json.dumps(triggers)[:-20])
                return False
        self._write(triggers, crons, settings)
        return True

    def _write(self, triggers: list[Entry], crons: list[Entry], settings: str) -> None:
        self._put("TRIGGERS.json", json.dumps(triggers, indent=2))
        self._put("CRONS.json", json.dumps(crons, indent=2))
        self._put("DAEMON.yaml", settings)

    def _put(self, name: str, text: str) -> None:
        """As editors do: beside it, and then in its place."""
        beside = self._directory / f".{name}.new"
        beside.write_text(text, encoding="utf-8")
        beside.replace(self._directory / name)

    def _marking(self) -> Entry:
        return {**_idle("marker"), "path": self.marker}

    def _steady(self) -> list[Entry]:
        return [every_second(name) for name in self._crons]


def _idle(name: str, **keys: Any) -> Entry:
    """A trigger that nobody calls."""
    return {**TRIGGER, "name": name, "path": f"/idle/{name}", **keys}


def _yearly(name: str) -> Entry:
    return {"name": name, "schedule": "0 0 29 2 *", "dispatch": {"event_type": "leap-day"}}
