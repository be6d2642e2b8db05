"""Expressions and templates, up to an empty line, and the JSON body that they look at, after it."""

from __future__ import annotations

from functools import lru_cache
from itertools import count

from daemon.body import parse_json
from daemon.body.fitting import fit
from daemon.errors import ExpressionError, Refused
from daemon.expressions import JSON, Bindings, Vocabulary, as_text
from daemon.expressions.parts import take_apart
from tests.fuzz.message import Message

HEADERS = {"x-github-event": "push"}
_RUNS = count()

WORDS = (
    b"body", b"headers", b"query", b"event.id", b"event.received_at", b"params.team", b"query.a",
    b".map(x, ", b".filter(x, ", b".all(x, ", b".exists(x, ", b".exists_one(x, ", b"cel.bind(x, ",
    b".?a", b"[?0]", b".orValue(1)", b".or(", b"optional.of(", b"optional.none()", b".hasValue()",
    b"optional.ofNonZeroValue(", b".optMap(x, ", b".matches('", b"regex.extract(", b"json.encode(",
    b"sha256(", b".split(", b".join(", b".format([", b".replace(", b".substring(", b".charAt(",
    b".indexOf(", b".lowerAscii()", b".reverse()", b".trim()", b"timestamp(", b"duration(",
    b".getHours('Europe/Berlin')", b"size(", b"type(", b"int(", b"uint(", b"double(", b"string(",
    b"bytes(", b"dyn(", b"has(", b"{{ ", b" }}", b"?", b":", b"&&", b"||", b" in ", b"{'a': ", b"u",
    b"9223372036854775807", b"1e308", b"'%s'", b"r'", b'"""', b"\\U0001F600", b"(a+)+$", b"//",
)  # fmt: skip


def run(data: bytes) -> None:
    """Raises whatever is not ExpressionError."""
    message = Message.parse(data)
    try:
        body = fit(parse_json({}, message.body, 100_000)) if message.body else None
    except Refused:
        body = message.body.decode("utf-8", "replace").replace("\0", "")
    source = data.partition(b"\n\n")[0].decode("utf-8", "replace")
    vocabulary = _vocabulary(next(_RUNS) // 200)
    values = Bindings(
        {"body": body, "headers": HEADERS, "query": {}, "method": "POST", "params.team": "core"}
    )
    _evaluated(vocabulary, source, values)
    _decided(vocabulary, source, values)
    _rendered(vocabulary, source, values)


@lru_cache(maxsize=1)
def _vocabulary(generation: int) -> Vocabulary:
    """A new one now and then: it keeps all that it compiled, and would only grow."""
    return Vocabulary.for_trigger(["team"])


def _evaluated(vocabulary: Vocabulary, source: str, values: Bindings) -> None:
    try:
        check(vocabulary.expression(source).evaluate(values))
    except ExpressionError as error:
        check_error(error)


def _decided(vocabulary: Vocabulary, source: str, values: Bindings) -> None:
    try:
        condition = vocabulary.condition(source)
    except ExpressionError as error:
        check_error(error)
        return
    take_apart(condition, values)
    try:
        assert condition.holds(values) in (True, False)
    except ExpressionError as error:
        check_error(error)


def _rendered(vocabulary: Vocabulary, source: str, values: Bindings) -> None:
    try:
        check(vocabulary.template(source).render(values))
    except ExpressionError as error:
        check_error(error)


def check(value: JSON) -> None:
    """Raises where the value is none that could be sent."""
    assert isinstance(as_text(value), str)


def check_error(error: ExpressionError) -> None:
    assert error.message
    assert error.column >= 0


def seeds() -> list[bytes]:
    push = b'\n\n{"ref": "refs/heads/main", "n": 2, "d": 1.5, "l": [{"a": 1}, {"a": 2}], "e": null}'
    sources = (
        b"body.ref == 'refs/heads/main' && body.n > 1",
        b"body.l.map(x, x.a).exists(y, y == 2) ? body.?e.orValue('a') : string(body.n)",
        b"body.l.filter(x, x.a > 1).map(x, {'k': x.a, ?'o': body.?nope})",
        b"regex.extract(body.ref, 'refs/(heads|tags)/(.+)').split('/').join(',').upperAscii()",
        b"timestamp('2026-03-02T09:14:27+01:00') + duration('1h') > timestamp(0)",
        b"cel.bind(last, body.l[size(body.l) - 1], last.a * 2) in [4, 5]",
        b"{{ body.n }} of {{ json.encode(body.l) }} for {{ params.team }}",
        b"'%s has %d %.2f'.format([headers['x-github-event'], body.n, body.d])",
        b"sha256(body.ref).substring(0, 7) + b'abc' == bytes('a')",
        b"optional.ofNonZeroValue(body.e).optMap(x, x).orValue(type(body) == map)",
    )
    return [source + push for source in sources]
