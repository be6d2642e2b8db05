"""``dispatchd init``: creates the config files, adds starter entries to them, and says what is left
to do."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from daemon import config
from daemon.cli.config_files import loaded_with, names, put_in_place, text_of
from daemon.cli.layout import Listing
from daemon.cli.next_steps import Need, connecting, listening, needs_of, preparing, trying
from daemon.cli.tables import put, say, warn
from daemon.errors import ConfigError, UsageError
from daemon.schemas import Name
from daemon.signatures import ALIASES, SCHEMES
from daemon.spec import Config
from daemon.starter import (
    VENDORS,
    Starter,
    cron_starter,
    entry_text,
    new_file,
    settings_text,
    trigger_starter,
    with_entry,
)

BOM = "\ufeff"

_CLOUD_EVENTS = ("cloudevent", "cloudevents", "cloud_events", "cloud-events", "cdevents")


def init_files(config_dir: Path | None) -> None:
    """Creates those of the three files that are not there."""
    directory = config.config_directory(config_dir, os.environ)
    texts = {
        config.CRONS: new_file("crons", _schema(directory, "crons")),
        config.TRIGGERS: new_file("triggers", _schema(directory, "triggers")),
        config.SETTINGS: settings_text(),
    }
    for file, text in texts.items():
        if (directory / file).exists():
            say(f"{directory / file}: is there already, and stays as it is")
        else:
            put_in_place(directory / file, text)
            say(f"{directory / file}: created")
    say("\nNext: `dispatchd init trigger SCHEME` or `dispatchd init cron` adds an entry.")


def list_schemes() -> None:
    """Prints what ``init trigger`` can be given."""
    rows = Listing(("scheme", "for", "starts with"))
    for name, scheme in SCHEMES.items():
        vendor = VENDORS.get(name)
        rows.add(name, scheme.description, vendor.event if vendor else "every request")
    put(rows)


def init_trigger(
    scheme: str,
    config_dir: Path | None,
    *,
    name: str | None,
    path: str | None,
    event_type: str | None,
    show: bool,
) -> None:
    """Adds a trigger to TRIGGERS.json; with ``show`` it is only printed. Raises UsageError for a
    scheme that there is not and a name that is taken, ConfigError for an entry that would not load.
    """
    scheme = ALIASES.get(scheme, scheme)
    if scheme in _CLOUD_EVENTS:
        raise UsageError(
            "CloudEvents come with any scheme: see docs/bodies.md; try `dispatchd init trigger "
            "bearer`"
        )
    if scheme not in SCHEMES:
        close = difflib.get_close_matches(scheme, [*SCHEMES, *ALIASES], n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UsageError(f"there is no scheme {scheme!r}; {hint}`dispatchd init trigger` lists all")
    starter = trigger_starter(scheme, name=name, path=path, event_type=event_type)
    place = _Place("triggers", config_dir)
    if show:
        _print(starter, place)
        return
    needs, loaded = _add(starter, place)
    steps = [*preparing(needs, place.path, place.option)]
    if starter.learns:
        arm = f"dispatchd arm {starter.name}{place.option}"
        steps.append(f"Have {starter.sender} hand its secret over: {arm}")
    steps.append(connecting(starter, loaded.settings.public_url))
    if trigger := loaded.trigger(starter.name):
        steps.append(trying(starter, trigger, place.option))
    _tell([*steps, listening(starter, place.option)])


def init_cron(
    config_dir: Path | None,
    *,
    name: str,
    schedule: str,
    timezone: str,
    event_type: str | None,
    show: bool,
) -> None:
    """Adds a schedule to CRONS.json, likewise."""
    starter = cron_starter(name=name, schedule=schedule, timezone=timezone, event_type=event_type)
    place = _Place("crons", config_dir)
    if show:
        _print(starter, place)
        return
    needs, _ = _add(starter, place)
    _tell(
        [
            *preparing(needs, place.path, place.option),
            f"See when it fires: dispatchd next{place.option}",
            f"Fire it at once, when the daemon runs: dispatchd fire {starter.name}{place.option}",
            listening(starter, place.option),
        ]
    )


class _Place:
    """The file that an entry of one kind goes to. ``option`` is what later commands need to find
    the same config."""

    def __init__(self, key: Name, config_dir: Path | None) -> None:
        self.key = key
        self.directory = config.config_directory(config_dir, os.environ)
        self.file = f"{key.upper()}.json"
        self.path = self.directory / self.file
        self.option = f" --config-dir {shlex.quote(str(config_dir))}" if config_dir else ""

    def text_with(self, starter: Starter) -> str:
        """What the file would hold with the entry. Raises ConfigError for a file that cannot be
        added to."""
        text = text_of(self.path)
        bare = text.removeprefix(BOM)
        if not bare.strip():
            return new_file(self.key, _schema(self.directory, self.key), starter.entry)
        try:
            return text[: len(text) - len(bare)] + with_entry(bare, self.key, starter.entry)
        except ValueError:
            loaded_with(self.directory, self.file, text)  # says what is wrong with it
            raise UsageError(f"{self.path}: there is no array {self.key!r} to add to") from None


def _add(starter: Starter, place: _Place) -> tuple[list[Need], Config]:
    """Puts the entry into its file, and tells so. Returns what it lacks, and the new config."""
    for name, taken in names(place.directory):
        if name == starter.name:
            raise UsageError(f"the name {name!r} is taken at {taken}; choose another with --name")
    # It is tried as if it were in use: of a disabled entry the config says nothing but warnings.
    try:
        loaded = loaded_with(place.directory, place.file, place.text_with(starter))
        needs = needs_of(starter, loaded)
        finished = _finished(starter, needs)
        text = place.text_with(finished)
        loaded = loaded_with(place.directory, place.file, text)
    except ConfigError:
        warn(f"{place.path} stays as it is: with the new entry, the config would not load")
        raise
    put_in_place(place.path, text)
    lacking = any(need.brief for need in needs)
    state = "disabled until it has what it needs" if lacking else "disabled" if needs else "enabled"
    say(f"{place.path}: added {starter.name}, {state}")
    say(f"\n{finished.entry['description']}")
    return needs, loaded


def _print(starter: Starter, place: _Place) -> None:
    """Prints the entry, which was tried by itself."""
    text = new_file(place.key, "", starter.entry)
    needs = needs_of(starter, loaded_with(Path("the new entry"), place.file, text))
    say(entry_text(_finished(starter, needs).entry))


def _finished(starter: Starter, needs: Sequence[Need]) -> Starter:
    """The entry as it is written: disabled as long as it ``needs`` anything."""
    described = starter.needing([need.brief for need in needs if need.brief])
    return described.disabled() if needs else described


def _tell(steps: Sequence[str]) -> None:
    say("\nNext:")
    for number, step in enumerate(steps, 1):
        say(f"{number}. {step}")


def _schema(directory: Path, name: Name) -> str:
    """What ``$schema`` says in a new file: the schema that came with this dispatchd, as seen from
    ``directory`` where both are in one project, such as a checkout."""
    schema = Path(str(resources.files("daemon.schemas").joinpath(f"{name}.json"))).resolve()
    directory = directory.resolve()
    if directory.parent in schema.parents:
        return os.path.relpath(schema, directory)
    return schema.as_uri()
