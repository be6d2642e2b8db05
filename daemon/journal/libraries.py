"""Brings into the log what libraries log, Python warns of, and nobody caught: which library or
task, what kind of error and where in the code. Never an error's own text, nor a traceback's: both
can hold what a sender sent."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Any

from daemon.errors import DispatchdError
from daemon.journal.journal import Journal
from daemon.journal.plain import short
from daemon.log_line import Line, LogLevel, Value

FRAMES = 8
"""Places in the code that are named, the innermost last."""


def listen_to_libraries(journal: Journal) -> None:
    """From now on, for the whole process: nothing else may write to the log's stream."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_Telling(journal))
    # Below that some tell what they send, secrets included.
    root.setLevel(logging.WARNING)
    warnings.showwarning = lambda message, category, filename, lineno, *_: journal.tell(
        _line(
            "python",
            LogLevel.WARNING,
            {"message": short(f"{category.__name__}: {message}"), "place": f"{filename}:{lineno}"},
        )
    )
    sys.unraisablehook = lambda given: _uncaught(journal, "python", given.exc_value)
    threading.excepthook = lambda given: _uncaught(
        journal, f"thread {given.thread.name if given.thread else ''}".strip(), given.exc_value
    )


def listen_to_loop(journal: Journal, loop: asyncio.AbstractEventLoop) -> None:
    """Likewise for what nobody caught in the tasks and callbacks of the loop."""
    loop.set_exception_handler(lambda _, context: _of_loop(journal, context))


def crashed(journal: Journal, error: BaseException) -> None:
    """Tells of what ends the daemon."""
    for each in leaves(error):
        journal.tell(Line("crashed", LogLevel.ERROR, _about(each)))


def leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group of groups of errors; of another one, that one."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


class _Telling(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        level = LogLevel.ERROR if record.levelno >= logging.ERROR else LogLevel.WARNING
        error = record.exc_info[1] if record.exc_info else None
        fields: dict[str, Value] = {"message": short(_message(record))}
        fields |= _about(error) if error else {"place": f"{record.pathname}:{record.lineno}"}
        self._journal.tell(_line(record.name, level, fields))


def _message(record: logging.LogRecord) -> str:
    """What it says. Of values only numbers, and texts of one word, are filled in: an error's text,
    or an object's, can hold anything."""
    given = record.args if isinstance(record.args, tuple) else ()
    plain = tuple(each if isinstance(each, int | float) else _word(each) for each in given)
    try:
        return str(record.msg) % plain if plain else str(record.msg)
    except (TypeError, ValueError):
        return str(record.msg)


def _word(value: object) -> str:
    return value if isinstance(value, str) and value.isidentifier() else type(value).__name__


def _of_loop(journal: Journal, context: dict[str, Any]) -> None:
    error = context.get("exception")
    fields: dict[str, Value] = {"message": short(str(context.get("message", "")))}
    if isinstance(error, BaseException):
        fields |= _about(error)
    journal.tell(_line("asyncio", LogLevel.ERROR, fields))


def _uncaught(journal: Journal, where: str, error: BaseException | None) -> None:
    fields = _about(error) if error else {}
    journal.tell(_line(where, LogLevel.ERROR, {"message": "nobody caught an error", **fields}))


def _line(library: str, level: LogLevel, fields: dict[str, Value]) -> Line:
    return Line("library", level, {"library": short(library, 100), **fields}, (library,))


def _about(error: BaseException) -> dict[str, Value]:
    """The kind of the error, and the way to it. What dispatchd itself says in its errors is made to
    be told."""
    return {
        "error": str(error) if isinstance(error, DispatchdError) else type(error).__name__,
        "place": places(error.__traceback__),
    }


def places(trace: TracebackType | None) -> list[str]:
    """Where in the code, as ``file:line function``, the innermost last."""
    frames = traceback.extract_tb(trace)
    return [f"{each.filename}:{each.lineno} {each.name}" for each in frames[-FRAMES:]]
