"""Starter entries: what ``dispatchd init`` puts into TRIGGERS.json and CRONS.json."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from daemon.expressions import JSON
from daemon.schemas import schema
from daemon.signatures import SCHEMES, SchemeError, parse
from daemon.starter.vendors import VENDORS, Vendor, general

SECRET_KEYS = ("secret", "verify_token")
"""The keys of an ``auth`` that hold references to secrets."""

_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "github": "GH_WEBHOOK_SECRET",  # GITHUB_… is taken in GitHub's CI
        "twilio": "TWILIO_AUTH_TOKEN",
        "hubspot": "HUBSPOT_CLIENT_SECRET",
        "discord": "DISCORD_PUBLIC_KEY",
        "sendgrid": "SENDGRID_PUBLIC_KEY",
        "standard_webhooks": "STANDARD_WEBHOOKS_SECRET",
    }
)
"""What the variable for a secret is called, where it is not the scheme's name and _WEBHOOK_SECRET:
as the sender calls what it holds."""


@dataclass(frozen=True, slots=True)
class Starter:
    """A new entry, and what belongs to it.

    ``entry`` is enabled. ``sender`` is what people call who calls it, ``where`` the place at which
    that one shows or takes the secret. ``references`` are the secrets that the entry needs;
    ``blanks`` the paths of the values that stand in for those that only the user knows, as
    ``auth.username``. ``learns`` says that the sender hands the secret over by itself.
    """

    entry: Mapping[str, JSON]
    sender: str = ""
    where: str = ""
    references: tuple[str, ...] = ()
    blanks: tuple[str, ...] = ()
    learns: bool = False

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    def needing(self, needs: Sequence[str]) -> Starter:
        """The same, its description with what it ``needs``: true also once that is done."""
        if not needs:
            return self
        listed = " and ".join(filter(None, (", ".join(needs[:-1]), needs[-1])))
        description = f"{self.entry['description']} It needs {listed}."
        return replace(self, entry={**self.entry, "description": description})

    def disabled(self) -> Starter:
        return replace(self, entry={**self.entry, "enabled": False})


def trigger_starter(
    scheme: str, *, name: str | None = None, path: str | None = None, event_type: str | None = None
) -> Starter:
    """A trigger for what ``scheme``, one of ``SCHEMES``, proves. What is not given is by the
    scheme: its name, ``/hooks/<scheme>``, and what the sender's usual event is called."""
    auth, blanks = _auth(scheme)
    proof = parse(auth)
    vendor = VENDORS.get(scheme) or VENDORS.get(proof.name) or general(scheme)
    variable = re.sub(r"[^A-Z0-9]+", "_", scheme.upper())
    if proof.needs_secret and not proof.learns_secret:
        auth["secret"] = f"env:{_VARIABLES.get(scheme, f'{variable}_WEBHOOK_SECRET')}"
    if proof.handshake is not None and proof.handshake.takes_token:
        auth["verify_token"] = f"env:{variable}_VERIFY_TOKEN"
    event_type = event_type or vendor.event_type
    entry: dict[str, JSON] = {
        "name": name or scheme,
        "description": _trigger_description(vendor, scheme, event_type),
        "enabled": True,
        "path": path or f"/hooks/{scheme}",
        "auth": auth,
    }
    if vendor.when:
        entry["when"] = vendor.when
    entry["dispatch"] = {"event_type": event_type, "client_payload": dict(vendor.payload)}
    return Starter(
        entry,
        vendor.name,
        SCHEMES[scheme].setup,
        tuple(str(auth[key]) for key in SECRET_KEYS if key in auth),
        tuple(f"auth.{key}" for key in blanks),
        proof.learns_secret,
    )


def cron_starter(
    *, name: str = "nightly", schedule: str = "30 3 * * *", timezone: str = "UTC",
    event_type: str | None = None,
) -> Starter:  # fmt: skip
    """A schedule. Its ``event_type`` is its name where none is given."""
    event_type = event_type or name
    return Starter(
        {
            "name": name,
            "description": f"Sends {event_type} at each instant of `schedule`, on the clock of "
            "`timezone`. If the daemon was away, the latest instant that it missed is made up for "
            "(`catch_up`).",
            "enabled": True,
            "schedule": schedule,
            "timezone": timezone,
            "catch_up": "latest",
            "dispatch": {
                "event_type": event_type,
                "client_payload": {
                    "cron": "{{ firing.cron }}",
                    "scheduled_at": "{{ firing.scheduled_at }}",
                    "fired_at": "{{ firing.fired_at }}",
                },
            },
        }
    )


def _auth(scheme: str) -> tuple[dict[str, JSON], list[str]]:
    """The least ``auth`` of the scheme beside its secrets, and the keys in it whose values are the
    schema's examples: what it cannot be parsed without."""
    auth: dict[str, JSON] = {"scheme": scheme}
    blanks: list[str] = []
    for _ in SCHEMES[scheme].parameters:
        try:
            parse(auth)
        except SchemeError as error:
            if error.key in auth:
                raise
            auth[error.key] = _example(error.key)
            blanks.append(error.key)
    return auth, blanks


def _example(key: str) -> JSON:
    """The first example that the schema gives for a key of ``auth``."""
    known = schema("triggers")["$defs"]["entry"]["properties"]["auth"]["properties"]
    example: JSON = known[key]["examples"][0]
    return example


def _trigger_description(vendor: Vendor, scheme: str, event_type: str) -> str:
    if vendor.when:
        words = (
            f"Sends {event_type} when {vendor.event}, as {vendor.name} says. Other requests are "
            "answered, and nothing is sent (`when`)."
        )
    else:
        words = (
            f"Sends {event_type} when {vendor.event}. It passes the whole body on, of which GitHub "
            "takes 64 KB: put the fields that you need in its place, and say in `when` which "
            "requests you want."
        )
    if scheme == "none":
        words += " Anybody who knows the path can start it."
    return words
