"""A line of the log as a value: how bad it is, what happened, and the fields that belong to it; and
the forms that a log can have."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import TypeAlias

from msgspec import Struct


class LogLevel(IntEnum):
    """How bad it is. The numbers are those of Python's `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class LogFormat(StrEnum):
    """How lines are written."""

    AUTO = "auto"  # text on a terminal, journald where systemd listens, else JSON
    TEXT = "text"
    JSON = "json"
    JOURNALD = "journald"


Value: TypeAlias = str | int | float | list[str] | None
"""What a field can hold."""


class Line(Struct, frozen=True):
    """``event`` is one of a few names, and holds nothing from outside. ``kinds`` are what it counts
    towards where a flood of such lines is held back, the narrowest last; a line without any is
    always written."""

    event: str
    level: LogLevel
    fields: Mapping[str, Value]
    kinds: tuple[str, ...] = ()
