"""The ``api_keys`` of DAEMON.yaml: who may call the daemon's own routes, and for what."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.api_keys import ApiKey, Scope, digest, read_hash
from daemon.config.keyring import Keyring, SecretError
from daemon.config.node import Node


class ApiKeyReader:
    """Reads them. ``taken`` are the digests of keys that are set elsewhere, each with its name."""

    def __init__(self, keyring: Keyring, taken: dict[bytes, str]) -> None:
        self._keyring = keyring
        self._holders = dict(taken)

    def read(self, place: Node) -> Iterator[ApiKey]:
        """Those that at least one key was found for; the findings tell of all else."""
        names: set[str] = set()
        for entry in place.each() if isinstance(place.value, list) else ():
            if not isinstance(entry.value, dict) or entry.misshapen():
                continue
            name = entry.text("name") or ""
            if name in names:
                entry.at(("name",)).fault(f"{name!r} stands here twice", "one entry takes a list")
                continue
            names.add(name)
            digests = [*self._keys(entry, name), *self._hashes(entry, name)]
            if entry.child("key") is None and entry.child("hash") is None:
                entry.fault(
                    "needs a `hash` or a `key`", f"`dispatchd key create {name}` prints an entry"
                )
            if digests:
                scopes = frozenset(map(Scope, entry.texts("scopes") or ()))
                yield ApiKey(name, scopes, tuple(digests), entry.instant("expires_at"))

    def _keys(self, entry: Node, name: str) -> Iterator[bytes]:
        given = entry.child("key")
        for place in given.each() if given else ():
            try:
                found = self._keyring.resolve(str(place.value))
            except SecretError as error:
                place.unready(str(error), error.hint)
                continue
            for doubt in filter(None, (*found.doubts, found.guessable)):
                place.warn(doubt)
            yield from self._once(place, name, digest(found.secret.reveal()))

    def _hashes(self, entry: Node, name: str) -> Iterator[bytes]:
        given = entry.child("hash")
        for place in given.each() if given else ():
            yield from self._once(place, name, read_hash(str(place.value)))

    def _once(self, place: Node, name: str, found: bytes) -> Iterator[bytes]:
        """A key that two have would be the one's or the other's by chance."""
        holder = self._holders.setdefault(found, name)
        if holder != name:
            place.fault(
                f"is the key of {holder} too", f"make another with `dispatchd key create {name}`"
            )
        else:
            yield found
