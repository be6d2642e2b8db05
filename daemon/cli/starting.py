"""``dispatchd init``: creates the config files, adds starter entries to them, and says what is left
to do."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from daemon import config
from daemon.cli.config_files import loaded_with, names, put_in_place, text_of
from daemon.cli.layout import Listing
from daemon.cli.tables import put, say, warn
from daemon.config.keyring import Keyring, SecretError
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
    steps = _preparing(needs, place)
    if starter.learns:
        steps.append(f"Have {starter.sender} hand its secret over: dispatchd arm {starter.name}")
    sign = " --sign" if starter.references else ""
    steps += [
        _address(starter, loaded),
        f"Try it: dispatchd test {starter.name} --payload FILE{sign}{place.option}",
        _listen(starter, place),
    ]
    _tell(steps)


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
    steps = _preparing(needs, place)
    steps += [
        f"See when it fires: dispatchd next{place.option}",
        f"Fire it at once, when the daemon runs: dispatchd fire {starter.name}{place.option}",
        _listen(starter, place),
    ]
    _tell(steps)


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


@dataclass(frozen=True, slots=True)
class _Need:
    """What an entry lacks: ``brief`` for its description, and in full as a ``step``."""

    brief: str
    step: str


def _add(starter: Starter, place: _Place) -> tuple[list[_Need], Config]:
    """Puts the entry into its file, and tells so. Returns what it lacks, and the new config."""
    for name, taken in names(place.directory):
        if name == starter.name:
            raise UsageError(f"the name {name!r} is taken at {taken}; choose another with --name")
    # It is tried as if it were in use: of a disabled entry the config says nothing but warnings.
    try:
        loaded = loaded_with(place.directory, place.file, place.text_with(starter))
        needs = _needs(starter, loaded)
        finished = starter.waiting_for([need.brief for need in needs])
        text = place.text_with(finished)
        loaded = loaded_with(place.directory, place.file, text)
    except ConfigError:
        warn(f"{place.path} stays as it is: with the new entry, the config would not load")
        raise
    put_in_place(place.path, text)
    state = "disabled until it has what it needs" if needs else "enabled"
    say(f"{place.path}: added {starter.name}, {state}")
    say(f"\n{finished.entry['description']}")
    return needs, loaded


def _print(starter: Starter, place: _Place) -> None:
    """Prints the entry, which was tried by itself."""
    text = new_file(place.key, "", starter.entry)
    needs = _needs(starter, loaded_with(Path("the new entry"), place.file, text))
    say(entry_text(starter.waiting_for([need.brief for need in needs]).entry))


def _needs(starter: Starter, loaded: Config) -> list[_Need]:
    keyring = Keyring(os.environ)
    found: list[_Need] = []
    for reference in starter.references:
        try:
            keyring.resolve(reference)
        except SecretError:
            name = reference.removeprefix("env:")
            where = f" The secret: {starter.where}." if starter.where and not found else ""
            found.append(_Need(f"set {name}", f"Set {name} in the daemon's environment.{where}"))
    for blank in starter.blanks:
        words = f"put your own value into `{blank}`"
        found.append(_Need(words, f"{words.capitalize()}: what stands there is an example."))
    entry = loaded.trigger(starter.name) or loaded.cron(starter.name)
    if entry is not None and not all(each.repository for each in entry.dispatches):
        found.append(
            _Need(
                "say which repository is dispatched to",
                "Set GH_OWNER and GH_REPO to the repository that is dispatched to, or add "
                "`repository` to the entry's `dispatch`.",
            )
        )
    return found


def _preparing(needs: Sequence[_Need], place: _Place) -> list[str]:
    """What comes before the entry is in use."""
    option = place.option.replace(" --config-dir", "")
    last = (
        f"Set `enabled` to true in {place.path}, check it with `dispatchd validate{option} "
        "--secrets`, and restart the daemon."
    )
    return [need.step for need in needs] + [last if needs else "Restart the daemon."]


def _address(starter: Starter, loaded: Config) -> str:
    host, path = loaded.settings.public_url, starter.entry["path"]
    if host:
        return f"Give {starter.sender} the address {host}{path}"
    return (
        f"Give {starter.sender} the address https://YOUR-HOST{path}, where https://YOUR-HOST is "
        "how this daemon is reached from outside: say so in `public_url` of DAEMON.yaml."
    )


def _listen(starter: Starter, place: _Place) -> str:
    return (
        "Let a workflow listen to it: "
        f"dispatchd workflow {starter.name}{place.option} > {starter.name}.yml"
    )


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
