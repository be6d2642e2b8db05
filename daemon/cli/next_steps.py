"""What ``dispatchd init`` tells to do next: what a new entry lacks before it can be used, and how
to try it then."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.cli.signing import can_sign
from daemon.config.keyring import Keyring, SecretError
from daemon.signatures.credentials import NoScheme
from daemon.spec import Config, TriggerSpec
from daemon.starter import Starter


@dataclass(frozen=True, slots=True)
class Need:
    """What an entry lacks: ``brief`` for its description, empty where that says it already, and in
    full as a ``step``."""

    brief: str
    step: str


def needs_of(starter: Starter, loaded: Config) -> list[Need]:
    """``loaded`` has the entry, as if it were enabled."""
    keyring = Keyring(os.environ)
    found: list[Need] = []
    for reference in starter.references:
        try:
            keyring.resolve(reference)
        except SecretError:
            name = reference.removeprefix("env:")
            where = f" The secret: {starter.where}." if starter.where and not found else ""
            found.append(
                Need(f"the variable {name}", f"Set {name} in the daemon's environment.{where}")
            )
    found.extend(
        Need(
            f"your own value in `{blank}`",
            f"Put your own value into `{blank}`: what stands there is an example.",
        )
        for blank in starter.blanks
    )
    trigger = loaded.trigger(starter.name)
    if trigger is not None:
        found.extend(_needs_of_its_scheme(trigger, starter.sender, loaded))
    entry = trigger or loaded.cron(starter.name)
    if entry is not None and not all(each.repository for each in entry.dispatches):
        found.append(
            Need(
                "a repository to dispatch to",
                "Set GH_OWNER and GH_REPO to the repository that is dispatched to, or add "
                "`repository` to the entry's `dispatch`.",
            )
        )
    return found


def _needs_of_its_scheme(trigger: TriggerSpec, sender: str, loaded: Config) -> Iterator[Need]:
    scheme = trigger.auth.scheme
    if scheme.signs_url and not loaded.settings.public_url:
        yield Need(
            "`public_url` in DAEMON.yaml",
            "Set `public_url` in DAEMON.yaml to how this daemon is reached from outside, as "
            f"https://YOUR-HOST: {sender} signs the address that it calls.",
        )
    if isinstance(scheme, NoScheme):
        yield Need(
            "",
            f"Be sure that anybody who reaches {trigger.path} may start it: nothing proves who "
            "sent a request. With any other scheme something does.",
        )


def preparing(needs: Sequence[Need], file: Path, option: str) -> Iterator[str]:
    """What comes before the entry in ``file`` is in use. ``option`` is what commands need to find
    the same config, here and below."""
    yield from (need.step for need in needs)
    if needs:
        where = option.replace(" --config-dir", "")
        yield (
            f"Set `enabled` to true in {file}, check it with `dispatchd validate{where} "
            "--secrets`, and a running daemon takes it over."
        )
    else:
        yield "Restart the daemon."


def connecting(starter: Starter, public_url: str) -> str:
    """What the sender is told."""
    path = starter.entry["path"]
    if public_url:
        return f"Give {starter.sender} the address {public_url}{path}"
    return (
        f"Give {starter.sender} the address https://YOUR-HOST{path}, where https://YOUR-HOST is "
        "how this daemon is reached from outside."
    )


def trying(starter: Starter, trigger: TriggerSpec, option: str) -> str:
    """How to see that it works: never by a command that could only be refused."""
    scheme = trigger.auth.scheme
    case = (
        "a golden case, which needs no secret (docs/testing.md): "
        f"dispatchd test --cases {starter.name}{option}"
    )
    if starter.learns:
        return f"Try it with {case}"
    path = " --path PATH" if "{" in trigger.path else ""
    tried = f"Try it: dispatchd test {starter.name} --payload FILE{path}"
    if isinstance(scheme, NoScheme):
        return f"{tried}{option}"
    if can_sign(scheme):
        field = getattr(scheme, "timestamp_field", "")
        fresh = f", with a FILE in which `{field}` is now" if field else ""
        return f"{tried} --sign{option}{fresh}"
    if scheme.credential_query:
        variable = starter.references[0].removeprefix("env:")
        return f'{tried} --query {min(scheme.credential_query)}="${variable}"{option}'
    return (
        f"Try it: only {starter.sender} can make what proves a request, so have a test event sent "
        f"from there (`dispatchd events` shows what became of it), or write {case}"
    )


def listening(starter: Starter, option: str) -> str:
    return (
        "Let a workflow listen to it: "
        f"dispatchd workflow {starter.name}{option} > {starter.name}.yml"
    )
