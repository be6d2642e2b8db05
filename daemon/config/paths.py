"""The rules for a trigger's ``path``: which names it may hold, and which routes are taken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from daemon.config.entry import Entry
from daemon.errors import DispatchdError

RESERVED = frozenset({"", "/dispatch", "/ping", "/healthz", "/readyz", "/metrics", "/mcp", "/api"})
"""The daemon's own routes, without a slash at their end; everything below ``/api/`` too."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class PathError(DispatchdError):
    """A path that cannot be served; the text says why, and ``hint`` what to write."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """``/hooks/{team}``: ``params`` in order, and ``shape``, in which their names do not matter."""

    params: tuple[str, ...]
    shape: str


def path_template(path: str) -> PathTemplate:
    """Raises PathError."""
    bare = path.rstrip("/")
    if bare in RESERVED or bare.startswith("/api/"):
        raise PathError(f"{path!r} is one of the daemon's own routes", "choose another path")
    if "%" in path:
        raise PathError("a path is written without percent escapes", "write the characters")
    params: list[str] = []
    shape: list[str] = []
    for segment in path.split("/"):
        if "{" not in segment and "}" not in segment:
            shape.append(segment)
            continue
        name = segment[1:-1]
        if segment != f"{{{name}}}" or not _NAME.fullmatch(name):
            raise PathError(
                f"{segment!r} is not a parameter",
                "write {name}, which stands for one whole segment; letters, digits and _",
            )
        if name in params:
            raise PathError(f"the parameter {name!r} stands twice in one path")
        params.append(name)
        shape.append("{}")
    return PathTemplate(tuple(params), "/".join(shape))


def ends_in(path: str, trigger_path: str) -> bool:
    """Whether the last segments of ``path``, as called, are what ``trigger_path`` stands for. One
    of parameters alone stands for anything, which says nothing."""
    try:
        shape = path_template(trigger_path).shape.rstrip("/").split("/")[1:]
    except PathError:
        return False
    last = path.split("/")[1:][-len(shape) :]
    return (
        len(last) == len(shape)
        and set(shape) != {"{}"}
        and all(wanted in ("{}", given) for wanted, given in zip(shape, last, strict=True))
    )


def refuse_shadowed_paths(entries: Iterable[Entry]) -> None:
    """Adds a fault to every entry whose path differs from an earlier one only in the names of its
    parameters: of two such routes only one would ever be called. Disabled ones give way."""
    first: dict[str, tuple[str, Entry]] = {}
    for entry in sorted(entries, key=lambda entry: not entry.enabled):
        path = entry.node.text("path")
        if path is None:
            continue
        try:
            template = path_template(path)
        except PathError:
            continue
        taken, other = first.setdefault(template.shape, (path, entry))
        if taken != path:
            entry.node.at(("path",)).fault(
                f"stands for the same requests as {taken!r} of {other.name!r}",
                "give the parameters the same names in both",
            )
