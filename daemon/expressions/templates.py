"""Strings with expressions in them, and JSON values made of such strings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from daemon.errors import ExpressionError
from daemon.expressions.bounds import size
from daemon.expressions.evaluation import Bindings, Expression
from daemon.expressions.values import JSON, Path, as_text

RENDERED_MAX = 8 << 20
"""Characters (about) that a template or a whole tree may come to. GitHub takes far less, but an
answer to a sender has no other limit."""


@dataclass(frozen=True, slots=True)
class Template:
    """A string with expressions in it. One expression alone keeps its JSON type."""

    text: str
    parts: tuple[str | Expression, ...]
    lenient: bool = False

    @property
    def literal(self) -> str | None:
        """Its text, when it holds no expression; else None."""
        if any(isinstance(part, Expression) for part in self.parts):
            return None
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def has_dollar(self) -> bool:
        """Whether a `$` stands right before an expression: GitHub Actions writes them so, and here
        it is sent as it is."""
        return "$" in self.text and any(
            isinstance(before, str) and before.endswith("$") and isinstance(part, Expression)
            for before, part in pairwise(self.parts)
        )

    def render(self, bindings: Bindings) -> JSON:
        """Raises ExpressionError: where an expression fails, unless it is lenient, and where the
        text becomes longer than RENDERED_MAX."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self._value(self.parts[0], bindings)
        texts, left = [], RENDERED_MAX
        for part in self.parts:
            text = part if isinstance(part, str) else as_text(self._value(part, bindings))
            texts.append(text)
            left -= len(text)
            if left < 0:
                raise _too_large()
        return "".join(texts)

    def _value(self, expression: Expression, bindings: Bindings) -> JSON:
        if not self.lenient:
            return expression.evaluate(bindings)
        try:
            value = expression.evaluate(bindings)
        except ExpressionError:
            return ""
        return "" if value is None else value


Node: TypeAlias = bool | int | float | str | Template | list["Node"] | dict[str, "Node"] | None


@dataclass(frozen=True, slots=True)
class Tree:
    """A JSON value in which any string may be a template (object keys may not)."""

    root: Node

    def render(self, bindings: Bindings, place: str = "") -> JSON:
        """Raises ExpressionError whose message begins with the place of the template, after
        ``place``, which is the tree's own: also of that with which all becomes larger than
        RENDERED_MAX."""
        return _Rendering(bindings).render(self.root, place)

    @property
    def literal(self) -> bool:
        """Whether it holds no template at all."""
        return not any(True for _ in self.templates())

    def templates(self) -> Iterator[tuple[Path, Template]]:
        """Every template with its place."""
        return _templates(self.root, ())


def split(text: str) -> Iterator[tuple[int, bool, str]]:
    """A template's pieces: (column from 1, whether it is an expression, text)."""
    at = 0
    while (start := text.find("{{", at)) >= 0:
        if start > at:
            yield at + 1, False, text[at:start]
        end = _closing(text, start + 2)
        if not text[start + 2 : end].strip():
            raise ExpressionError("an empty {{ }}", source=text, column=start + 1)
        yield start + 3, True, text[start + 2 : end]
        at = end + 2
    if at < len(text) or not text:
        yield at + 1, False, text[at:]


_CEL_TOKEN = re.compile(
    r'''"""|\'\'\'|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|}}|[{}]''',
    re.DOTALL,
)


def _closing(text: str, start: int) -> int:
    """Where the ``}}`` of an expression that begins at ``start`` stands. Braces of map literals
    and whatever stands in string literals belong to the expression."""
    depth, at = 0, start
    while found := _CEL_TOKEN.search(text, at):
        piece, at = found[0], found.end()
        if piece == "{":
            depth += 1
        elif piece == "}}" and depth == 0:
            return found.start()
        elif piece in ("}", "}}"):
            depth -= 1
            at = found.start() + 1
        elif piece in ('"""', "'''"):
            closing = text.find(piece, at)
            at = len(text) if closing < 0 else closing + 3
    raise ExpressionError("this {{ is never closed with }}", source=text, column=start - 1)


class _Rendering:
    """Renders one tree, as long as it does not become too large."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._left = RENDERED_MAX

    def render(self, node: Node, place: str) -> JSON:
        match node:
            case Template():
                try:
                    return self._counted(node.render(self._bindings))
                except ExpressionError as error:
                    raise error.at(place) if place else error from None
            case list():
                return [self.render(item, f"{place}[{i}]") for i, item in enumerate(node)]
            case dict():
                return {
                    key: self.render(item, f"{place}.{key}" if place else key)
                    for key, item in node.items()
                }
        return node

    def _counted(self, value: JSON) -> JSON:
        if isinstance(value, str):
            self._left -= len(value)
        elif isinstance(value, dict | list):
            self._left -= size(value).length
        if self._left < 0:
            raise _too_large()
        return value


def _too_large() -> ExpressionError:
    return ExpressionError(
        f"what is rendered grows beyond {RENDERED_MAX >> 20} MiB: pass on only the fields that are "
        "read, or a link to the rest"
    )


def _templates(node: Node, path: Path) -> Iterator[tuple[Path, Template]]:
    match node:
        case Template():
            yield path, node
        case list():
            for index, item in enumerate(node):
                yield from _templates(item, (*path, index))
        case dict():
            for key, item in node.items():
                yield from _templates(item, (*path, key))
