"""A compiled expression, and the values that it is evaluated against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from cel_expr_python import cel

from daemon.errors import ExpressionError
from daemon.expressions.appending import linear
from daemon.expressions.bounds import size
from daemon.expressions.nulls import keep_none
from daemon.expressions.reach import Reach
from daemon.expressions.syntax import parsed, path_of
from daemon.expressions.values import JSON, to_json
from daemon.expressions.work import MOST, ROUNDS_MAX, always_done_up_to, work

LATE_NAMES = ("event.trigger", "variables", "dispatch_id")
"""Names (or their roots) whose values differ between the entries that judge one event, or come
only after others were evaluated."""

DEPTH_MAX = 256
"""Levels of nesting that a variable may have: the engine recurses natively."""

_UNBOUND = re.compile(r'No value with name "(.+?)" found in Activation')

STATUS_PREFIX = re.compile(r"^[A-Z_]+: ")
"""What the engine puts before its errors."""

keep_none()

_ERROR = cel.Type.ERROR
_MISSING: Any = object()
_ALL_BOUND: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled expression.

    ``type`` is what it comes to, as far as can be told at load, and ``reach`` what it looks at;
    ``late`` says whether that is among the late names. ``path`` is set where it only goes into a
    value (``body.repository.name``). ``checked`` is its tree, serialized. Up to ``light`` bytes of
    input it cannot take long. ``fed`` is what the engine is given: what it reaches, or more.
    """

    source: str
    compiled: cel.Expression = field(repr=False, compare=False)
    env: cel.Env = field(repr=False, compare=False)
    type: cel.Type = field(repr=False, compare=False)
    reach: Reach = field(repr=False, compare=False)
    path: tuple[str, ...] | None = field(repr=False, compare=False)
    late: bool = field(repr=False, compare=False)
    checked: bytes = field(repr=False, compare=False)
    light: int = field(repr=False, compare=False)
    fed: Reach = field(repr=False, compare=False)

    @classmethod
    def compiled_by(cls, env: cel.Env, source: str, compiled: cel.Expression) -> Expression:
        """What ``env`` compiled ``source`` to, made ready to be evaluated."""
        checked = compiled.serialize()
        root = parsed(checked)
        reach = Reach.of(root)
        path = path_of(root, {})
        names = tuple(step for step in path or () if isinstance(step, str))
        faster = linear(checked)
        return cls(
            source=source,
            compiled=compiled if faster == checked else env.deserialize(faster),
            env=env,
            type=compiled.return_type(),
            reach=reach,
            path=names if names and names == path else None,
            late=any(name.startswith(LATE_NAMES) for name in reach.names),
            checked=checked,
            light=always_done_up_to(root),
            fed=reach,
        )

    @property
    def shares(self) -> bool:
        """Whether it is worth feeding together with others: the engine is asked, and about what is
        the same for all entries that judge an event."""
        return self.path is None and not self.late

    def fed_with(self, reach: Reach) -> Expression:
        """The same, fed with what others reach as well: it is converted for all of them at once."""
        return replace(self, fed=reach) if self.shares else self

    def evaluate(self, bindings: Bindings) -> JSON:
        """Its value as JSON (timestamps as RFC 3339 text, durations as ``90s``, bytes as base64).
        Raises ExpressionError when it fails on this input, or would take too long."""
        return to_json(self.native(bindings), self.source)

    def native(self, bindings: Bindings) -> Any:
        """Its value as the engine's Python form, fit to be bound again."""
        if self.path is not None:
            found = _at(bindings.values, self.path)
            if found is not _MISSING:
                return found
            # The engine knows why not.
        if bindings.size > self.light:
            self._refuse_too_much(bindings)
        try:
            result = self.compiled.eval(bindings.activation(self))
            value = result.plain_value()
        except (TypeError, ValueError, RuntimeError, SystemError) as error:
            words = _plain_words(str(error).splitlines()[0], bindings.unbound)
            raise ExpressionError(words, source=self.source) from None
        if type(value) is str and result.type() == _ERROR:
            raise ExpressionError(_plain_words(value, bindings.unbound), source=self.source)
        return value

    def _refuse_too_much(self, bindings: Bindings) -> None:
        values = self.reach.within(bindings.values)
        found = size(list(values.values()))
        if found.length <= self.light:
            return
        expected = work(parsed(self.checked), values)
        if expected <= MOST:
            return
        raise ExpressionError(
            f"could take {expected / 1e9:,.1f} s on what came in, and {MOST / 1e9:.1f} s is the "
            f"most for one expression: it looks at {found.nodes:,} values and {found.text:,} bytes "
            "of text, at some of them many times (look at fewer, or set a smaller max_body)",
            source=self.source,
        )


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

    ``unbound`` are names that have no value for this event, each with the reason, which is what an
    expression fails with that asks for it. ``size`` is how many bytes of JSON the values came from,
    about; where it is not given it is reckoned. What an expression is fed is converted when one
    first needs it, and serves all that are fed the same; where that is nothing late, it serves
    those with other late values too.
    """

    __slots__ = ("_early", "_late", "_size", "unbound", "values")

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        size: int | None = None,
        early: dict[object, cel.Activation] | None = None,
        unbound: Mapping[str, str] = _ALL_BOUND,
    ) -> None:
        self.values = values
        self.unbound = unbound
        self._size = size
        self._early = {} if early is None else early
        self._late: dict[object, cel.Activation] = {}

    @property
    def size(self) -> int:
        if self._size is None:
            self._size = _length_of(self.values)
        return self._size

    def extended(self, values: Mapping[str, Any]) -> Bindings:
        """These values and more; ``values`` are late ones (``variables.x``, ``dispatch_id``).
        Raises ExpressionError for one that is nested too deep for the engine."""
        if not values:
            return self
        return Bindings(
            {**self.values, **values},
            size=self.size + _length_of(values),
            early=self._early,
            unbound=self.unbound,
        )

    def activation(self, expression: Expression) -> cel.Activation:
        """What the engine evaluates the expression against."""
        made = self._late if expression.late else self._early
        activation = made.get(expression.fed.key)
        if activation is None:
            activation = expression.env.Activation(expression.fed.within(self.values))
            made[expression.fed.key] = activation
        return activation


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What stands there, or _MISSING."""
    found: Any = values
    try:
        for step in path:
            found = found[step]
    except (KeyError, TypeError):
        return _MISSING
    return found


def _length_of(values: Mapping[str, Any]) -> int:
    total = 0
    for name, value in values.items():
        if type(value) is str:
            total += 2 + 4 * len(value)
            continue
        found = size(value)
        if found.depth > DEPTH_MAX:
            raise ExpressionError(f"{name} is nested more than {DEPTH_MAX} levels deep")
        total += found.length
    return total


def _plain_words(text: str, unbound: Mapping[str, str]) -> str:
    """The engine's run-time error in the words of somebody who wrote the expression."""
    nameless = _UNBOUND.search(text)
    if nameless and nameless[1] in unbound:
        return unbound[nameless[1]]
    if "Iteration budget exceeded" in text:
        return (
            f"goes over more than {ROUNDS_MAX:,} items, lists within lists counted together, "
            "and the engine takes no more: look at a shorter list"
        )
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
