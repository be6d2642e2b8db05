"""What an entry's expressions may name: compiles and type-checks them against that."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from daemon.errors import ExpressionError
from daemon.expressions.evaluation import STATUS_PREFIX, Condition, Expression
from daemon.expressions.functions import CEL_FUNCTIONS, DECLARED, FUNCTIONS, compiled_pattern
from daemon.expressions.optionals import hides_optional
from daemon.expressions.templates import Node, Template, Tree, split
from daemon.expressions.values import JSON, Path

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
    "event.cloudevent": cel.Type.DYN,
}
_CRON_NAMES = {
    "event.id": cel.Type.STRING,
    "firing.cron": cel.Type.STRING,
    "firing.scheduled_at": cel.Type.TIMESTAMP,
    "firing.fired_at": cel.Type.TIMESTAMP,
    "firing.catch_up": cel.Type.BOOL,
}

_DISPATCHED_NAMES = {
    "cause": cel.Type.STRING,
    "dispatch.id": cel.Type.STRING,
    "dispatch.entry": cel.Type.STRING,
    "dispatch.repository": cel.Type.STRING,
    "dispatch.event_type": cel.Type.STRING,
    "dispatch.workflow": cel.Type.STRING,
    "dispatch.ref": cel.Type.STRING,
    "dispatch.state": cel.Type.STRING,
    "dispatch.reason": cel.Type.STRING,
    "dispatch.attempts": cel.Type.INT,
    "dispatch.client_payload": cel.Type.DYN,
    "run.id": cel.Type.INT,
    "run.url": cel.Type.STRING,
    "run.name": cel.Type.STRING,
    "run.attempt": cel.Type.INT,
    "run.conclusion": cel.Type.STRING,
}
_TRIGGERED_NAMES = {
    name: _TRIGGER_NAMES[name]
    for name in ("event.id", "event.received_at", "event.trigger", "event.client_ip")
}
_LITERAL_PATTERN = re.compile(
    r"""(?:\.matches\(|regex\.extract\([^()'"]*,)\s*"""
    r"""(?P<literal>[rR]?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))\s*\)"""
)
_CAPITAL_HEADER = re.compile(r"""\bheaders\[\??\s*['"](?P<name>[\w-]*[A-Z][\w-]*)['"]\s*\]""")
_DASHED_HEADER = re.compile(r"\bheaders\.\??(\w+(?:-\w+)+)")
_ELSEWHERE = {
    "'= '": "a comparison is ==",
    "'and'": "and is &&",
    "'or'": "or is ||",
    "'not'": "not is !",
    "'?'": "a default is given with .?x.orValue(…)",
}
"""What people write who come from other languages, as the parser's errors quote it."""

_FUNCTIONS_ELSEWHERE = {
    "len": "size",
    "length": "size",
    "lower": "lowerAscii",
    "tolowercase": "lowerAscii",
    "upper": "upperAscii",
    "touppercase": "upperAscii",
    "strip": "trim",
    "str": "string",
    "includes": "contains",
    "sub": "replace",
    "search": "regex.extract",
}

_TYPE_DEPTH_MAX = 10
"""Levels of lists and maps in the type of a name: at 13 the engine takes no more."""

_ENGINE_ERROR = re.compile(r"ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<message>[^\n]*)")


class Vocabulary:
    """The names, with their types, that the expressions of one entry may use."""

    def __init__(self, names: Mapping[str, cel.Type]) -> None:
        self.names = dict(names)
        self._compiled: dict[str, Expression] = {}
        self._templates: dict[tuple[str, bool], Template] = {}
        self._larger: dict[tuple[str, str], Vocabulary] = {}
        self._env = _engine(self.names)
        self._binding_env: cel.Env | None = None

    @classmethod
    def for_trigger(cls, params: Iterable[str] = ()) -> Vocabulary:
        """What a webhook's expressions see; ``params`` are the names in its path."""
        # Dotted names rather than one map: a misspelt `event.nope` is then found at load.
        return cls(_TRIGGER_NAMES | {f"params.{name}": cel.Type.STRING for name in params})

    @classmethod
    def for_cron(cls) -> Vocabulary:
        return cls(_CRON_NAMES)

    @classmethod
    def for_follow_up_of_trigger(cls) -> Vocabulary:
        """What a trigger's follow-up sees: no body any more, but what was dispatched of it."""
        return cls(_TRIGGERED_NAMES | _DISPATCHED_NAMES)

    @classmethod
    def for_follow_up_of_cron(cls) -> Vocabulary:
        return cls(_CRON_NAMES | _DISPATCHED_NAMES)

    def with_variable(self, name: str, expression: Expression) -> Vocabulary:
        """Adds ``variables.NAME`` with the type that ``expression`` comes to."""
        kind = expression.type
        if kind.name().count("<") > _TYPE_DEPTH_MAX:
            kind = cel.Type.DYN
        return self._with(f"variables.{name}", kind)

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
        env = self._env_for(source)
        try:
            compiled = env.compile(source)
            expression = Expression.compiled_by(env, source, compiled)
        except (RuntimeError, ValueError) as error:
            raise self._explained(source, str(error)) from None
        kind = expression.type
        if "optional_type" in kind.name():
            raise ExpressionError(
                "comes to an optional, which may hold nothing: end it with .orValue(…)",
                source=source,
            )
        if hides_optional(expression.checked):
            raise ExpressionError(
                "puts an optional, which may hold nothing, into a list, a map or dyn(): end it "
                'with .orValue(…), or leave it out where there is nothing with [?…] or {?"key": …}',
                source=source,
            )
        self._check_literals(source)
        return expression

    def _env_for(self, source: str) -> cel.Env:
        if "bind" not in source:
            return self._env
        if self._binding_env is None:
            from cel_expr_python.ext import ext_bindings  # 2 MB, for those who use it only

            self._binding_env = _engine(self.names, ext_bindings.ExtBindings())
        return self._binding_env

    def _check_literals(self, source: str) -> None:
        """What the checker does not look into and would only fail later: regular expressions, and
        names of headers, where they are written out."""
        for found in _LITERAL_PATTERN.finditer(source):
            value = self._env.compile(found["literal"]).eval().plain_value()
            try:
                compiled_pattern(value)
            except ValueError as error:
                column = found.start("literal") + 1
                raise ExpressionError(str(error), source=source, column=column) from None
        if capital := _CAPITAL_HEADER.search(source):
            raise ExpressionError(
                f"the names of headers are in lower case here: {capital['name'].lower()!r}",
                source=source,
                column=capital.start("name") + 1,
            )

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
        """Compiles a string with ``{{ CEL }}`` in it, once however often it is asked for: entries
        have many in common. Columns of faults count within ``text``.

        In a ``lenient`` template an expression that fails, or comes to null, renders as nothing:
        that is how the entries of the older event handler behave.
        """
        known = (text, lenient)
        if known not in self._templates:
            self._templates[known] = Template(text, self._parts(text), lenient)
        return self._templates[known]

    def _parts(self, text: str) -> tuple[str | Expression, ...]:
        parts: list[str | Expression] = []
        for column, is_expression, piece in split(text):
            if not is_expression:
                parts.append(piece)
                continue
            try:
                parts.append(self.expression(piece.strip()))
            except ExpressionError as error:
                indent = len(piece) - len(piece.lstrip())
                within = column + indent + error.column - 1 if error.column else column
                raise ExpressionError(error.message, source=piece.strip(), column=within) from None
        return tuple(parts)

    def tree(
        self, value: JSON, errors: list[tuple[Path, ExpressionError]], *, lenient: bool = False
    ) -> Tree:
        """Compiles a JSON value in which every string is a template. Faults are appended to
        ``errors`` with the path of their string, and do not end the work."""
        return Tree(self._grow(value, (), errors, lenient))

    def _grow(
        self, value: JSON, path: Path, errors: list[tuple[Path, ExpressionError]], lenient: bool
    ) -> Node:
        match value:
            case str() if "{{" in value:
                try:
                    return self.template(value, lenient=lenient)
                except ExpressionError as error:
                    errors.append((path, error))
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
        if "recursion" in text or "Cannot parse serialized" in text:
            return ExpressionError(
                "is nested too deeply: the engine takes 32 levels of brackets, dots and operators, "
                "and a few loops within each other, so take it apart with variables",
                source=source,
            )
        if "codepoint limit" in text:
            return ExpressionError("is longer than the 100,000 characters that the engine takes")
        found = _ENGINE_ERROR.search(text)
        if found is None:
            return ExpressionError(STATUS_PREFIX.sub("", text).strip(), source=source)
        message = found["message"].removesuffix(" [INVALID_ARGUMENT]")
        column = int(found["column"]) if found["line"] == "1" else 0
        unknown = re.match(r"undeclared reference to '([^']+)'", message)
        if unknown:
            message = self._unknown(unknown[1], source, column)
        elif message.startswith("Syntax error"):
            message = _plainer_syntax_error(message)
        return ExpressionError(message, source=source, column=column)

    def _unknown(self, name: str, source: str, column: int) -> str:
        if dashed := _DASHED_HEADER.search(source):
            return f"a name with dashes stands in brackets: headers['{dashed[1].lower()}']"
        # The engine's column is that of the name, or of the dot or parenthesis after it.
        if column and re.match(r"\w*\s*\(", source[column - 1 :]):
            meant = _FUNCTIONS_ELSEWHERE.get(name.lower(), name)
            close = difflib.get_close_matches(meant, CEL_FUNCTIONS, n=1, cutoff=0.7)
            hint = f"did you mean {close[0]!r}?" if close else "docs/expressions.md lists them"
            return f"unknown function {name!r}: {hint}"
        return f"unknown name {name!r}: {self._suggestion(name)}"

    def _suggestion(self, name: str) -> str:
        known = [*self.names, *(declared.name for declared in DECLARED)]
        # In `bod.after` only the root is a name of ours: the rest is the sender's.
        roots = [each.partition(".")[0] for each in known]
        for meant, among in ((name, known), (name.partition(".")[0], roots)):
            if (close := difflib.get_close_matches(meant, among, n=1)) and close[0] != meant:
                return f"did you mean {close[0]!r}?"
        return f"known names are {', '.join(sorted(self.names))}"


def _plainer_syntax_error(message: str) -> str:
    """Without the parser's list of everything that might have come instead, and with what CEL
    writes where other languages write something else."""
    message = re.sub(r" expecting (\{.*|<EOF>)$", "", message)
    instead = next((cel for wrong, cel in _ELSEWHERE.items() if wrong in message), None)
    return f"{message} ({instead})" if instead else message


def _engine(names: Mapping[str, cel.Type], *more: cel.CelExtensionBase) -> cel.Env:
    extensions = [ext_strings.ExtStrings(), ext_optional.ExtOptional(), *more]
    return cel.NewEnv(variables=dict(names), extensions=extensions, functions=FUNCTIONS)
