"""Conditions and templates in CEL: compiled and type-checked once against the names that an entry
may use, evaluated against the values of one event.

The engine is Google's, through ``cel-expr-python``. Three of its habits shape this module. It
returns run-time errors as *values* whose plain form is a truthy string, so every result's type is
checked. It converts a variable when an expression first touches it, and once for each activation,
so one activation is shared by all expressions that need nothing else. And it cannot hand an
optional back to Python, so an expression that may come to one is refused when it is compiled.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import re2
from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from daemon.errors import ExpressionError

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None
Path: TypeAlias = tuple[str | int, ...]

_TEXT_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
_TRIGGER_NAMES = {
    "body": cel.Type.DYN,
    "headers": _TEXT_MAP,
    "query": _TEXT_MAP,
    "method": cel.Type.STRING,
    "event.id": cel.Type.STRING,
    "event.received_at": cel.Type.TIMESTAMP,
    "event.trigger": cel.Type.STRING,
    "event.client_ip": cel.Type.STRING,
}
_CRON_NAMES = {
    "event.id": cel.Type.STRING,
    "firing.cron": cel.Type.STRING,
    "firing.scheduled_at": cel.Type.TIMESTAMP,
    "firing.fired_at": cel.Type.TIMESTAMP,
    "firing.catch_up": cel.Type.BOOL,
}
_LATE_NAMES = ("event.trigger", "variables", "dispatch_id")
"""Names (or their roots) whose values differ between the entries that judge one event, or come
only after others were evaluated."""

_ENGINE_ERROR = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<message>[^\n]*)")
_STATUS_PREFIX = re.compile(r"^[A-Z_]+: ")


class Vocabulary:
    """The names, with their types, that the expressions of one entry may use."""

    def __init__(self, names: Mapping[str, cel.Type]) -> None:
        self.names = dict(names)
        self._compiled: dict[str, Expression] = {}
        self._larger: dict[tuple[str, str], Vocabulary] = {}
        self._env = cel.NewEnv(
            variables=self.names,
            extensions=[
                ext_strings.ExtStrings(),
                ext_optional.ExtOptional(),
                ext_bindings.ExtBindings(),
            ],
            functions=_FUNCTIONS,
        )

    @classmethod
    def for_trigger(cls, params: Iterable[str] = ()) -> Vocabulary:
        """What a webhook's expressions see; ``params`` are the names in its path."""
        # Dotted names rather than one map: a misspelt `event.nope` is then found at load.
        return cls(_TRIGGER_NAMES | {f"params.{name}": cel.Type.STRING for name in params})

    @classmethod
    def for_cron(cls) -> Vocabulary:
        return cls(_CRON_NAMES)

    def with_variable(self, name: str, expression: Expression) -> Vocabulary:
        """Adds ``variables.NAME`` with the type that ``expression`` comes to."""
        return self._with(f"variables.{name}", expression.type)

    def with_dispatch(self) -> Vocabulary:
        """Adds ``dispatch_id``, which exists only while a dispatch or an answer is rendered."""
        return self._with("dispatch_id", cel.Type.STRING)

    def _with(self, name: str, kind: cel.Type) -> Vocabulary:
        # Shared by all who add the same: an environment of the engine's takes 100 KB.
        added = (name, kind.name())
        if added not in self._larger:
            self._larger[added] = Vocabulary(self.names | {name: kind})
        return self._larger[added]

    def expression(self, source: str) -> Expression:
        """Compiles one expression, once however often it is asked for. Raises ExpressionError with
        the column of the fault."""
        if source not in self._compiled:
            self._compiled[source] = self._compile(source)
        return self._compiled[source]

    def _compile(self, source: str) -> Expression:
        try:
            compiled = self._env.compile(source)
        except (RuntimeError, ValueError) as error:
            raise self._explained(source, str(error)) from None
        if "optional_type" in compiled.return_type().name():
            raise ExpressionError(
                "comes to an optional, which may hold nothing: end it with .orValue(…)",
                source=source,
            )
        late = frozenset(name for name in _LATE_NAMES if name in source)
        return Expression(source, compiled, self._env, compiled.return_type(), late)

    def condition(self, source: str) -> Condition:
        """Compiles an expression that must come to true or false."""
        expression = self.expression(source)
        if expression.type.name() not in ("BOOL", "DYN"):
            raise ExpressionError(
                f"must come to true or false, but is of type {expression.type.name().lower()}",
                source=source,
            )
        return Condition(expression)

    def template(self, text: str, *, lenient: bool = False) -> Template:
        """Compiles a string with ``{{ CEL }}`` in it. Columns of faults count within ``text``.

        In a ``lenient`` template an expression that fails, or comes to null, renders as nothing:
        that is how the entries of the older event handler behave.
        """
        parts: list[str | Expression] = []
        for column, is_expression, piece in _split(text):
            if not is_expression:
                parts.append(piece)
                continue
            try:
                parts.append(self.expression(piece.strip()))
            except ExpressionError as error:
                indent = len(piece) - len(piece.lstrip())
                within = column + indent + error.column - 1 if error.column else column
                raise ExpressionError(error.message, source=piece.strip(), column=within) from None
        return Template(text, tuple(parts), lenient)

    def tree(
        self, value: JSON, errors: list[tuple[Path, ExpressionError]], *, lenient: bool = False
    ) -> Tree:
        """Compiles a JSON value in which every string is a template. Faults are appended to
        ``errors`` with the path of their string, and do not end the work."""
        return Tree(self._grow(value, (), errors, lenient))

    def _grow(
        self, value: JSON, path: Path, errors: list[tuple[Path, ExpressionError]], lenient: bool
    ) -> _Node:
        match value:
            case str():
                try:
                    template = self.template(value, lenient=lenient)
                except ExpressionError as error:
                    errors.append((path, error))
                    return value
                return value if template.literal == value else template
            case list():
                return [
                    self._grow(item, (*path, index), errors, lenient)
                    for index, item in enumerate(value)
                ]
            case dict():
                return {
                    key: self._grow(item, (*path, key), errors, lenient)
                    for key, item in value.items()
                }
        return value

    def _explained(self, source: str, text: str) -> ExpressionError:
        """The engine's text as one sentence, with the names that were perhaps meant."""
        found = _ENGINE_ERROR.search(text)
        if found is None:
            return ExpressionError(_STATUS_PREFIX.sub("", text).strip(), source=source)
        message = found["message"].removesuffix(" [INVALID_ARGUMENT]")
        unknown = re.match(r"undeclared reference to '([^']+)'", message)
        if unknown:
            message = f"unknown name {unknown[1]!r}: {self._suggestion(unknown[1])}"
        column = int(found["column"]) if found["line"] == "1" else 0
        return ExpressionError(message, source=source, column=column)

    def _suggestion(self, name: str) -> str:
        known = [*self.names, *(declared.name for declared in _DECLARED)]
        close = difflib.get_close_matches(name, known, n=1)
        if close:
            return f"did you mean {close[0]!r}?"
        return f"known names are {', '.join(sorted(self.names))}"


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

    def render(self, bindings: Bindings) -> JSON:
        """Raises ExpressionError, except when lenient."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self._value(self.parts[0], bindings)
        return "".join(
            part if isinstance(part, str) else as_text(self._value(part, bindings))
            for part in self.parts
        )

    def _value(self, expression: Expression, bindings: Bindings) -> JSON:
        if not self.lenient:
            return expression.evaluate(bindings)
        try:
            value = expression.evaluate(bindings)
        except ExpressionError:
            return ""
        return "" if value is None else value


_Node: TypeAlias = bool | int | float | str | Template | list["_Node"] | dict[str, "_Node"] | None


@dataclass(frozen=True, slots=True)
class Tree:
    """A JSON value in which any string may be a template (object keys may not)."""

    root: _Node

    def render(self, bindings: Bindings) -> JSON:
        """Raises ExpressionError whose message begins with the place of the template."""
        return _render(self.root, bindings, "")

    @property
    def literal(self) -> bool:
        """Whether it holds no template at all."""
        return not any(True for _ in _templates(self.root))


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
            late for late in _LATE_NAMES if any(name.startswith(late) for name in values)
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


def to_json(value: Any, source: str = "") -> JSON:
    """An engine value as JSON. Raises ExpressionError for what JSON cannot hold (NaN)."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ExpressionError(f"came to {value}, which JSON cannot hold", source=source)
            return value
        case list():
            return [to_json(item, source) for item in value]
        case dict():
            return {_key(key): to_json(item, source) for key, item in value.items()}
        case datetime():
            return rfc3339(value)
        case timedelta():
            return f"{value.total_seconds():.9g}s"
        case bytes() | bytearray():
            return base64.b64encode(value).decode("ascii")
    return str(value)


def as_text(value: JSON) -> str:
    """A JSON value within a longer text: strings as they are, all else as compact JSON."""
    return value if isinstance(value, str) else compact(value)


def compact(value: JSON) -> str:
    """JSON without needless white space or escapes, as it goes out and is stored."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def rfc3339(instant: datetime) -> str:
    """``2026-11-23T04:05:06Z``, with a fraction only where there is one."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _split(text: str) -> Iterator[tuple[int, bool, str]]:
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


def _render(node: _Node, bindings: Bindings, place: str) -> JSON:
    match node:
        case Template():
            try:
                return node.render(bindings)
            except ExpressionError as error:
                raise error.at(place) if place else error from None
        case list():
            return [_render(item, bindings, f"{place}[{i}]") for i, item in enumerate(node)]
        case dict():
            return {
                key: _render(item, bindings, f"{place}.{key}" if place else key)
                for key, item in node.items()
            }
    return node


def _templates(node: _Node) -> Iterator[Template]:
    match node:
        case Template():
            yield node
        case list():
            for item in node:
                yield from _templates(item)
        case dict():
            for item in node.values():
                yield from _templates(item)


def _plain_words(text: str) -> str:
    """The engine's run-time error in the words of somebody who wrote the expression."""
    missing = re.search(r'Key not found in map : "?(.*?)"?$', text)
    if missing:
        return f"there is no key {missing[1]!r} (where it may be absent: .?{missing[1]}.orValue(…))"
    overload = re.search(r"No matching overloads found : (.*)$", text)
    if overload:
        return f"does not fit the types of its values: {overload[1]}"
    return _STATUS_PREFIX.sub("", text)


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _key(key: Any) -> str:
    return key if isinstance(key, str) else as_text(to_json(key))


def _regex_extract(text: str, pattern: str) -> str:
    """The first group of the first match (the whole match where there is no group), else ""."""
    found = re2.search(pattern, text, _RE2_OPTIONS)
    if found is None:
        return ""
    return (found.group(1) or "") if found.re.groups else found.group(0)


def _json_encode(value: Any) -> str:
    return compact(to_json(value))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_RE2_OPTIONS = re2.Options()
_RE2_OPTIONS.log_errors = False  # RE2 would write a bad pattern to standard error

_STRING = cel.Type.STRING
_FUNCTIONS = [
    cel.FunctionDecl(
        "regex.extract",
        [cel.Overload("regex_extract", _STRING, [_STRING, _STRING], impl=_regex_extract)],
    ),
    cel.FunctionDecl("sha256", [cel.Overload("sha256", _STRING, [_STRING], impl=_sha256)]),
    cel.FunctionDecl(
        "json.encode",
        # One overload a type: the engine hands lists and maps to none that asks for `dyn`.
        [
            cel.Overload(f"json_encode_{kind.name().lower()}", _STRING, [kind], impl=_json_encode)
            for kind in (
                cel.Type.BOOL,
                cel.Type.INT,
                cel.Type.UINT,
                cel.Type.DOUBLE,
                cel.Type.STRING,
                cel.Type.BYTES,
                cel.Type.NULL,
                cel.Type.TIMESTAMP,
                cel.Type.DURATION,
                cel.Type.LIST,
                cel.Type.MAP,
            )
        ],
    ),
]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ours beside CEL's own, for suggestions and for the documentation."""

    name: str
    signature: str
    meaning: str


_DECLARED = (
    Function(
        "regex.extract",
        "regex.extract(text, pattern)",
        'the first group of the first match (or the whole match), else ""; RE2 syntax',
    ),
    Function("json.encode", "json.encode(value)", "the value as compact JSON text"),
    Function("sha256", "sha256(text)", "the SHA-256 digest of the text, in hex"),
)
