"""A compiled expression, and the values that it is evaluated against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cel_expr_python import cel

from daemon.errors import ExpressionError
from daemon.expressions.values import JSON, to_json

LATE_NAMES = ("event.trigger", "variables", "dispatch_id")
"""Names (or their roots) whose values differ between the entries that judge one event, or come
only after others were evaluated."""

STATUS_PREFIX = re.compile(r"^[A-Z_]+: ")
"""What the engine puts before its errors."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled expression. ``type`` is what it comes to, as far as can be told at load;
    ``late`` holds the late names that its text mentions."""

    source: str
    compiled: cel.Expression = field(repr=False, compare=False)
    env: cel.Env = field(repr=False, compare=False)
    type: cel.Type = field(repr=False, compare=False)
    late: frozenset[str] = frozenset()

    def evaluate(self, bindings: Bindings) -> JSON:
        """Its value as JSON (timestamps as RFC 3339 text, durations as ``90s``, bytes as base64).
        Raises ExpressionError when it fails on this input."""
        return to_json(self.native(bindings), self.source)

    def native(self, bindings: Bindings) -> Any:
        """Its value as the engine's Python form, fit to be bound again."""
        try:
            result = self.compiled.eval(bindings.activation(self))
            failed = result.type() == cel.Type.ERROR
            value = result.plain_value()
        except (TypeError, ValueError, RuntimeError, SystemError) as error:
            raise ExpressionError(str(error).splitlines()[0], source=self.source) from None
        if failed:
            raise ExpressionError(_plain_words(str(value)), source=self.source)
        return value


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that decides."""

    expression: Expression

    @property
    def source(self) -> str:
        return self.expression.source

    def holds(self, bindings: Bindings) -> bool:
        """Raises ExpressionError when it fails, or comes to anything but true or false."""
        value = self.expression.native(bindings)
        if not isinstance(value, bool):
            raise ExpressionError(
                f"must come to true or false, but came to {_excerpt(value)}", source=self.source
            )
        return value


class Bindings:
    """The values of one event, for the expressions of any entry that knows their names.

    The activation is made by the environment of the first expression that needs it (which knows
    the types of these names) and then serves those of other entries as well.
    ``extended`` adds late values in a layer of its own: expressions that do not mention them are
    still evaluated in the layer below, where the body has already been converted.
    """

    def __init__(self, values: Mapping[str, Any], *, below: Bindings | None = None) -> None:
        self.values: dict[str, Any] = {**(below.values if below else {}), **values}
        self._late = frozenset(
            late for late in LATE_NAMES if any(name.startswith(late) for name in values)
        )
        self._below = below
        self._activation: cel.Activation | None = None

    def extended(self, values: Mapping[str, Any]) -> Bindings:
        """These values and more; ``values`` are late ones (``variables.x``, ``dispatch_id``)."""
        return Bindings(values, below=self) if values else self

    def activation(self, expression: Expression) -> cel.Activation:
        if self._below is not None and not self._late & expression.late:
            return self._below.activation(expression)
        if self._activation is None:
            self._activation = expression.env.Activation(self.values)
        return self._activation


def _plain_words(text: str) -> str:
    """The engine's run-time error in the words of somebody who wrote the expression."""
    missing = re.search(r'Key not found in map : "?(.*?)"?$', text)
    if missing:
        step = f".?{missing[1]}" if missing[1].isidentifier() else f'[?"{missing[1]}"]'
        return f"there is no key {missing[1]!r} (where it may be absent: {step}.orValue(…))"
    overload = re.search(r"No matching overloads found : (.*)$", text)
    if overload:
        return f"does not fit the types of its values: {overload[1]}"
    return STATUS_PREFIX.sub("", text)


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
