"""One value of a config file together with where it stands, so that whatever is wrong with it can
be told with file, line and column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.config.findings import Findings
from daemon.document import Document
from daemon.durations import duration
from daemon.errors import ExpressionError, Fault
from daemon.expressions import JSON, Path
from daemon.instants import instant
from daemon.schemas import Name, shown_path
from daemon.sizes import FORM, size


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place.

    Reading never raises: a value of the wrong shape reads as absent, since the schema has already
    said so. ``elsewhere`` holds the values of keys that do not stand in this object itself (but in
    the file's ``defaults``, or under an older key). A ``pinned`` node was translated from an older
    form, and all of it stands where that stood.
    """

    value: JSON
    path: Path
    document: Document
    kind: Name
    findings: Findings
    elsewhere: Mapping[str, Node] = field(default_factory=dict)
    pinned: bool = False

    def child(self, key: str | int) -> Node | None:
        """The value under ``key``, or None where there is none."""
        if isinstance(key, str) and key in self.elsewhere:
            return self.elsewhere[key]
        within, value = self.value, None
        if isinstance(within, dict):  # it is asked ten times for each of thousands of entries
            if not isinstance(key, str) or key not in within:
                return None
            value = within[key]
        elif isinstance(within, list) and isinstance(key, int) and key < len(within):
            value = within[key]
        else:
            return None
        path = self.path if self.pinned else (*self.path, key)
        return Node(value, path, self.document, self.kind, self.findings, pinned=self.pinned)

    def at(self, path: Path) -> Node:
        """The value under a path of keys; the last one that exists where it breaks off."""
        node = self
        for key in path:
            node = node.child(key) or node
        return node

    def each(self) -> Iterator[Node]:
        """The elements of an array; any other value counts as the only one."""
        if not isinstance(self.value, list):
            yield self
            return
        for index in range(len(self.value)):
            yield self.at((index,))

    def members(self) -> Iterator[tuple[str, Node]]:
        """The keys and values of an object, in order."""
        if isinstance(self.value, dict):
            for key in self.value:
                member = self.child(key)
                if member is not None:
                    yield key, member

    def text(self, key: str) -> str | None:
        value = self._value(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> list[str] | None:
        value = self._value(key)
        if not isinstance(value, list):
            return None
        return [item for item in value if isinstance(item, str)]

    def flag(self, key: str, default: bool) -> bool:
        value = self._value(key)
        return value if isinstance(value, bool) else default

    def whole(self, key: str, default: int) -> int:
        """The number under ``key``; 200.0 is a whole one too, in JSON Schema."""
        value = self._value(key)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def span(self, key: str, default: timedelta) -> timedelta:
        """The duration under ``key``."""
        text = self.text(key)
        if text is None:
            return default
        try:
            return duration(text)
        except ValueError as error:
            self.at((key,)).fault(str(error))
            return default

    def size(self, key: str) -> int | None:
        """The bytes under ``key``: a number of them, or text such as ``5 MiB``."""
        text = self.text(key)
        if text is None:
            return self.whole(key, 0) or None
        return size(text) if FORM.fullmatch(text) else None

    def instant(self, key: str) -> datetime | None:
        """The instant under ``key``, in UTC."""
        text = self.text(key)
        if not text or self.at((key,)).misshapen():
            return None
        try:
            return instant(text)
        except ValueError as error:
            self.at((key,)).fault(str(error))
            return None

    def fault(self, message: str, hint: str = "", *, key: bool = False) -> None:
        """Reports that this value (or, with ``key``, its key) is wrong."""
        self.findings.fault(self._found(message, hint, key))

    def unready(self, message: str, hint: str = "") -> None:
        self.findings.unready(self._found(message, hint))

    def warn(self, message: str, hint: str = "") -> None:
        self.findings.warn(self._found(message, hint))

    def miscompiled(self, error: ExpressionError) -> None:
        """Reports what is wrong in the expression or template that this string is."""
        if self.value == "":
            self.findings.spoiled = True  # the schema has said that it must not be empty
            return
        line, column = self.place()
        shift = self._column_within(line, column, error.column)
        message = error.message
        if error.column and not shift:
            message += f", at character {error.column}"
        if error.source and error.source != self.value:
            message += f", in: {error.source}"
        self.findings.fault(Fault(self.document.file, line, column + shift, self.where(), message))

    def misshapen(self) -> bool:
        """Whether the schema found anything wrong with this value, or within it."""
        return self.findings.misshapen(self.where())

    def place(self, *, key: bool = False) -> tuple[int, int]:
        """Line and column, counted from 1."""
        return self.document.place(self.path, key=key)

    def where(self) -> str:
        """The path as people write it: ``triggers[2].auth.secret``."""
        return shown_path(self.kind, self.path)

    def _value(self, key: str) -> JSON:
        return self.value.get(key) if isinstance(self.value, dict) else None

    def _found(self, message: str, hint: str, key: bool = False) -> Fault:
        line, column = self.place(key=key)
        return Fault(self.document.file, line, column, self.where(), message, hint)

    def _column_within(self, line: int, column: int, offset: int) -> int:
        """How far right of the opening quote the ``offset``-th character of this string stands; 0
        where an escape before it (or another spelling, in YAML) makes that uncertain."""
        if not offset or not line or not isinstance(self.value, str):
            return 0
        written = self.document.text.split("\n", line)[line - 1][column - 1 : column + offset - 1]
        plain = written.startswith('"') and written[1:] == self.value[: offset - 1]
        return offset if plain else 0
