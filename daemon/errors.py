"""One tree of errors. Each class tells its catcher what to do, so that nobody matches on text:
mend the config, refuse the sender, try again later, or give up on this one thing."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass


class DispatchdError(Exception):
    """The root: anything that dispatchd itself raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong (or doubtful) in one place of the configuration.

    ``line`` and ``column`` count from 1; both are 0 where the fault is not in a file's text (an
    unset variable). ``path`` is the place in the document, as ``triggers[2].auth.secret``.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    @property
    def place(self) -> str:
        """Where it stands, as editors and terminals take it."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        place = self.place
        where = f"{self.path}: " if self.path else ""
        return f"{place}: {where}{self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(DispatchdError):
    """Mend the config: every fault of every file at once. The command line exits with 2."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


class UsageError(DispatchdError):
    """The command or its surroundings cannot work (a port in use, no token). Exits with 2."""


class Refused(DispatchdError):
    """Refuse the sender: ``status`` and a text that says how to mend it and leaks nothing.

    ``why`` is for the operator's log, where it may say more than the sender is told.
    """

    def __init__(
        self, status: int, message: str, *, why: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.why = why or message
        self.headers = headers or {}


class ExpressionError(DispatchdError):
    """An expression does not compile, or failed on this input.

    ``column`` counts characters from 1 within the expression; 0 where the engine names none.
    """

    def __init__(self, message: str, *, source: str = "", column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.column = column

    def at(self, place: str) -> ExpressionError:
        """The same error, its message led by the place of the expression (``when``)."""
        return ExpressionError(f"{place}: {self.message}", source=self.source, column=self.column)


class RenderError(DispatchdError):
    """Give up on this dispatch: its request cannot be made, or passes a limit of GitHub's."""


class ScheduleError(DispatchdError):
    """A schedule that cannot be read, or would never fire; the text carries its hint."""


class FetchError(DispatchdError):
    """Try again later: something that a request needs could not be fetched. The text says why."""


class CredentialError(FetchError):
    """Mend the credential: GitHub gives no token for it, so that nothing can be asked with it."""


class NotPermitted(FetchError):
    """It will not be told as things are: a right is missing, or what is asked for is not there."""


class StoreError(DispatchdError):
    """The database cannot be used as it is: locked by another daemon, too new, corrupt."""


class StoreUnavailable(StoreError):
    """Try again later: the database did not take this write. Nothing was acknowledged."""


def kind_and_place(error: BaseException) -> str:
    """What a log is told of an error that nobody expected. Its own text may repeat what a sender
    sent, a payload or a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}" + (
        f" in {frames[-1].name} ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    )
