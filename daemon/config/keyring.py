"""Secrets are references in the config (``env:NAME``, ``file:/path``, ``credential:NAME``); the
keyring follows them. No message of its own ever holds a value."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DispatchdError
from daemon.secret import SHORTEST, Secret
from daemon.systemd import SECRETS

LARGEST_FILE = 64 * 1024


class SecretError(DispatchdError):
    """A reference that leads to no secret; the text says why, and ``hint`` how to mend it.
    ``absent`` ones were merely not given: there is no such thing, or it is empty."""

    def __init__(self, message: str, hint: str = "", *, absent: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.absent = absent


@dataclass(frozen=True, slots=True)
class Resolved:
    """A secret that was found, and what is doubtful about it, in words without the value:
    ``doubts`` whoever made it, and ``guessable`` (else empty) where it was made up here."""

    secret: Secret
    doubts: tuple[str, ...] = ()
    guessable: str = ""


class Keyring:
    """Follows references, each once, into one environment and the files that it can read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._known: dict[str, Resolved | SecretError] = {}

    def resolve(self, reference: str) -> Resolved:
        """Raises SecretError where ``reference`` is not one, or leads to nothing."""
        if reference not in self._known:
            try:
                self._known[reference] = self._follow(reference)
            except SecretError as error:
                self._known[reference] = error
        found = self._known[reference]
        if isinstance(found, SecretError):
            raise found
        return found

    def credential(self, name: str) -> Secret | None:
        """What systemd handed over under ``name``, or None where it handed over nothing.
        Raises SecretError for a credential that is there but cannot be used."""
        directory = self._environ.get("CREDENTIALS_DIRECTORY")
        # systemd names it to `ExecReload=` too, and up to version 252 shows it to the daemon alone.
        if not directory or not os.access(directory, os.X_OK):
            return None
        try:
            return self.resolve(f"credential:{name}").secret
        except SecretError as error:
            if error.absent:
                return None
            raise

    def _follow(self, reference: str) -> Resolved:
        kind, _, rest = reference.partition(":")
        doubts: list[str] = []
        if kind == "env" and rest:
            value = self._variable(rest)
        elif kind == "file" and rest.startswith("/"):
            value, mode = _contents(Path(rest))
            if mode & stat.S_IROTH:
                doubts.append(f"{rest} can be read by every user of this machine: chmod o-r it")
        elif kind == "credential" and rest and "/" not in rest:
            directory = self._environ.get("CREDENTIALS_DIRECTORY", "")
            if not directory:
                raise SecretError(
                    f"the credential {rest} is not here: $CREDENTIALS_DIRECTORY is not set",
                    "systemd sets it for a unit with LoadCredential=",
                )
            given = Path(directory, rest)
            of_directory = Path(directory, f"{SECRETS}_{rest}")
            direct = given.exists() or not of_directory.exists()
            value, _ = _contents(given if direct else of_directory)
        else:
            # What stands here may be the secret itself, written out by mistake.
            raise SecretError(
                "a secret is a reference, never the value itself",
                "write env:NAME, file:/path or credential:NAME",
            )
        if value.endswith(("\n", "\r")):
            doubts.append(
                f"the secret at {reference} ends in a newline: set it without, as "
                "`printf %s` writes it and `echo` does not"
            )
        elif value != value.strip():
            doubts.append(f"the secret at {reference} has white space around it: take it out")
        guessable = ""
        if len(value) < SHORTEST:
            guessable = (
                f"the secret at {reference} is shorter than {SHORTEST} characters and can be "
                "guessed: make one with `openssl rand -hex 32`"
            )
        return Resolved(Secret(value, reference), tuple(doubts), guessable)

    def _variable(self, name: str) -> str:
        value = self._environ.get(name)
        if value and not value.isspace():
            return value
        state = "is not set" if value is None else "is set, but empty"
        raise SecretError(f"the environment variable {name} {state}", absent=True)


def read_anew(secret: Secret, environ: Mapping[str, str]) -> Secret:
    """What the secret's reference leads to now; ``secret`` itself where it leads nowhere."""
    try:
        return Keyring(environ).resolve(secret.reference).secret
    except SecretError:
        return secret


def _contents(path: Path) -> tuple[str, int]:
    """The text of a secret's file without the newline at its end, and the file's mode."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SecretError(f"{path} is not a regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise SecretError(f"there is no file {path}", absent=True) from None
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL in it
        raise SecretError(f"{str(path)!r} is not a path") from None
    if len(content) > LARGEST_FILE:
        raise SecretError(f"{path} is larger than {LARGEST_FILE} bytes: is it the right file?")
    try:
        value = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretError(f"{path} is not UTF-8 text") from None
    if not value.strip():
        raise SecretError(f"{path} is empty", absent=True)
    return value, status.st_mode
