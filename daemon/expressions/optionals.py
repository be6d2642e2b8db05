"""The one thing that the engine's checker lets pass and its Python binding does not survive: an
optional within a list or a map, which it cannot convert and crashes on.

The checker types an optional, but not what becomes of it in a literal of mixed types or under
``dyn()``, so these places are looked at themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from daemon.expressions.syntax import ANY_VALUE, Call, ListOf, MapOf, Node, children, parsed
from daemon.expressions.wire import fields, integer, member

OPTIONAL = b"optional_type"
"""How the type of an optional is named wherever it occurs within a type."""

TYPE_MAP = 3
KEY, VALUE = 1, 2


def hides_optional(serialized: bytes) -> bool:
    """Whether a serialized expression puts an optional into a list, a map or ``dyn()``. ``[?x]``
    and ``{?"k": x}`` are what they are for, and put in no optional."""
    if OPTIONAL not in serialized:
        return False
    optionals = {
        integer(entry, KEY)
        for number, entry in fields(member(serialized, ANY_VALUE))
        if number == TYPE_MAP and isinstance(entry, bytes) and OPTIONAL in member(entry, VALUE)
    }
    return any(kept.id in optionals for kept in _kept(parsed(serialized)))


def _kept(node: Node) -> Iterator[Node]:
    """Every expression whose value ends up in a list, a map or under ``dyn()``."""
    match node:
        case ListOf():
            yield from (
                element for at, element in enumerate(node.elements) if at not in node.optional
            )
        case MapOf():
            yield from (value for _, value, optional in node.entries if not optional)
        case Call(function="dyn"):
            yield from node.arguments
    for within in children(node):
        yield from _kept(within)
