"""The ``auth`` key of a trigger: the scheme that it names, and its secrets as far as they are found
and that scheme can use them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from daemon.config.keyring import Keyring, Resolved, SecretError
from daemon.config.node import Node
from daemon.secret import Secret
from daemon.signatures import PARAMETERS, SCHEMES, Scheme, SchemeError, parse
from daemon.spec import Auth


class AuthReader:
    """Reads the ``auth`` of triggers; ``keyring`` follows the references to their secrets."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def read(self, entry: Node) -> Auth | None:
        """What `auth` of ``entry`` says, or None where its findings say why that cannot work."""
        place = entry.child("auth")
        if place is None or not isinstance(place.value, dict) or place.misshapen():
            return None
        parameters: dict[str, object] = dict(place.value)
        given = parameters.pop("secret", None)
        token = parameters.pop("verify_token", None)
        if "tolerance" in parameters:
            parameters["tolerance"] = place.span("tolerance", timedelta(minutes=5))
        try:
            scheme = parse(parameters)
        except SchemeError as error:
            # An unknown key is faulted at the key, as the schema does: it is reported once.
            taken = ("scheme", *PARAMETERS.get(str(parameters.get("scheme")), ()))
            place.at((error.key,)).fault(error.message, key=error.key not in taken)
            return None
        if token is not None and not (scheme.handshake and scheme.handshake.takes_token):
            place.at(("verify_token",)).fault(
                f"the scheme {scheme.name} takes no verify_token", key=True
            )
        if scheme.handshake and scheme.handshake.takes_token and token is None:
            place.warn(
                f"without a `verify_token` no check of the address by {scheme.name} is answered",
                'for example "verify_token": "env:META_VERIFY_TOKEN"',
            )
        if scheme.needs_secret and given is None and not scheme.learns_secret:
            place.fault(
                f"the scheme {scheme.name} needs a `secret`", 'for example "secret": "env:NAME"'
            )
        elif not scheme.needs_secret and given is not None:
            place.at(("secret",)).fault(f"the scheme {scheme.name} takes no secret", key=True)
        return Auth(
            scheme,
            tuple(self._secrets(place, scheme) if scheme.needs_secret else ()),
            tuple(self._verify_tokens(place)),
        )

    def _secrets(self, auth: Node, scheme: Scheme) -> Iterator[Secret]:
        """The secrets, also those that ``scheme`` cannot use: what it tells of them helps more than
        that there are none."""
        for place, found in self._resolved(auth, "secret"):
            value = found.secret.reveal()
            if fault := scheme.secret_fault(found.secret):
                padded = ", with no white space around it" if value != value.strip() else ""
                place.unready(
                    f"the secret at {found.secret.reference} cannot be used with {scheme.name}",
                    fault + padded,
                )
            else:
                for doubt in _doubts(found, scheme.name):
                    place.warn(doubt)
            yield found.secret

    def _verify_tokens(self, auth: Node) -> Iterator[Secret]:
        for place, found in self._resolved(auth, "verify_token"):
            if found.guessable:
                place.warn(found.guessable)
            yield found.secret

    def _resolved(self, auth: Node, key: str) -> Iterator[tuple[Node, Resolved]]:
        """What the references under ``key`` lead to; tells of those that lead nowhere."""
        given = auth.child(key)
        for place in given.each() if given else ():
            if not isinstance(place.value, str):
                continue
            try:
                found = self._keyring.resolve(place.value)
            except SecretError as error:
                place.unready(str(error), error.hint)
                continue
            for doubt in found.doubts:
                place.warn(doubt)
            yield place, found


def _doubts(found: Resolved, scheme: str) -> Iterator[str]:
    """What is doubtful about a secret that can be used with ``scheme``."""
    described = SCHEMES.get(scheme)
    if found.guessable and not (described and described.issued):
        yield found.guessable
    value = found.secret.reveal().strip()
    for beginning, kind in described.lookalikes.items() if described else ():
        if value.startswith(beginning):
            yield (
                f"the secret at {found.secret.reference} begins with {beginning}, as {kind} does; "
                f"{scheme} signs with another (see `dispatchd schemes {scheme}`)"
            )
