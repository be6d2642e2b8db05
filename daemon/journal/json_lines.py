"""A log in which each line is a JSON object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

import orjson

from daemon.journal.plain import escaped_json
from daemon.log_line import Line, LogLevel

# orjson would write out a dataclass, such as a secret, with all that is in it.
_PLAIN = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS

_LEVELS = {level: level.name.lower() for level in LogLevel}


class JsonLines:
    """Writes to a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def put(self, line: Line) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        fields = {
            "timestamp": now.replace("+00:00", "Z"),
            "level": _LEVELS[line.level],
            "event": line.event,
            **line.fields,
        }
        self._stream.write(encoded(fields) + "\n")
        self._stream.flush()


def encoded(fields: Mapping[str, object]) -> str:
    try:
        return escaped_json(orjson.dumps(fields, default=str, option=_PLAIN).decode())
    except TypeError:  # half of a surrogate pair, from a byte of a path that is no UTF-8
        return json.dumps(fields, default=str)
