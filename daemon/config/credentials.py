"""The ``credentials`` of DAEMON.yaml: what writes to GitHub for an owner or a repository, a token
or a GitHub App each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from daemon.config.keyring import Keyring, SecretError
from daemon.config.node import Node
from daemon.config.setting_forms import api_url, count, rate
from daemon.github import token_fault
from daemon.github_app import AppKey, private_key_fault
from daemon.secret import Secret
from daemon.spec import Credential, Pace

T = TypeVar("T")


class CredentialReader:
    """Reads them. ``api_url`` and ``pace`` hold for those that name none of their own; ``default``
    is the credential of all that have none here, if there is one."""

    def __init__(
        self, keyring: Keyring, api_url: str, pace: Pace, default: Credential | None
    ) -> None:
        self._keyring = keyring
        self._api_url = api_url
        self._pace = pace
        self._found: list[Credential] = [default] if default else []

    def read(self, place: Node) -> dict[str, Credential]:
        """By owner and repository, in lower case. Of what is at fault its findings tell, and it is
        left out. One token that stands there twice is one credential, since GitHub counts for it
        once."""
        credentials: dict[str, Credential] = {}
        for name, node in place.members():
            if name.lower() in credentials:
                node.fault(f"{name!r} stands here twice, in other letters", key=True)
            elif isinstance(node.value, dict) and (found := self._read(name, node)):
                credentials[name.lower()] = self._once(found, node)
        return credentials

    def _read(self, name: str, node: Node) -> Credential | None:
        key = None if node.misshapen() else self._key(node)
        if key is None:
            return None
        pace = Pace(
            _parsed(node, "writes_per_second", rate, self._pace.writes_per_second),
            _parsed(node, "write_burst", count, self._pace.burst),
            _parsed(node, "writes_per_hour", count, self._pace.writes_per_hour),
        )
        return Credential(name, key, _parsed(node, "api_url", api_url, self._api_url), pace)

    def _key(self, node: Node) -> Secret | AppKey | None:
        token, app_id, private_key = map(node.child, ("token", "app_id", "private_key"))
        installation = node.child("installation_id")
        app = [each for each in (app_id, private_key, installation) if each is not None]
        if token is not None and app:
            app[0].fault(
                "is for a GitHub App, and there is a `token` too", "leave one out", key=True
            )
        elif token is not None:
            return self._secret(token, token_fault)
        elif app_id is None or private_key is None:
            node.fault(
                "needs a `token`, or `app_id` and `private_key` of a GitHub App",
                "for example `token: env:ACME_TOKEN`",
            )
        elif secret := self._secret(private_key, private_key_fault):
            number = node.whole("installation_id", 0) or None
            return AppKey(str(app_id.value), secret, number)
        return None

    def _secret(self, place: Node, fault_of: Callable[[str], str]) -> Secret | None:
        if not isinstance(place.value, str) or place.misshapen():
            return None
        try:
            found = self._keyring.resolve(place.value)
        except SecretError as error:
            place.unready(str(error), error.hint)
            return None
        if fault := fault_of(found.secret.reveal()):
            place.unready(f"what is at {place.value} {fault}")
            return None
        for doubt in found.doubts:
            place.warn(doubt)
        return found.secret

    def _once(self, credential: Credential, node: Node) -> Credential:
        if isinstance(credential.key, AppKey):
            return credential  # each owner has an installation of its own
        for other in self._found:
            if (other.key, other.api_url) == (credential.key, credential.api_url):
                if other.pace != credential.pace:
                    node.fault(
                        f"the same token is at {other.name} with another pace, and GitHub counts "
                        "both together",
                        "write one pace for both",
                    )
                return other
        self._found.append(credential)
        return credential


def _parsed(node: Node, key: str, parse: Callable[[str], T], default: T) -> T:
    """What ``parse`` makes of the value under ``key``; it raises ValueError for what it cannot."""
    place = node.child(key)
    if place is None:
        return default
    try:
        return parse(str(place.value))
    except ValueError as error:
        place.fault(str(error))
        return default
