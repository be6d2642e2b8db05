"""Makes ``map`` and ``filter`` linear. To append an item the engine copies the whole list so far,
and lets go of no copy before the evaluation is over: 9,000 items took two seconds and 1.3 GB.

What such a loop collects is gathered in two lists instead: a short one that is appended to, and a
long one that the short one is added to whenever it is full. The loop comes to the same list, and
fails with the same error. It is written as the engine serializes it; see ``syntax``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from daemon.expressions import syntax
from daemon.expressions.wire import Value, field, fields, member, members

SHORT = 64
"""Items of the short list. Of 10,000 items each is copied a hundred times, not 5,000."""

_SO_FAR = b"@result"  # what all the macros that loop call it

_PARTS = {
    syntax.SELECT: (syntax.OPERAND,),
    syntax.CALL: (syntax.TARGET, syntax.ARGUMENTS),
    syntax.LIST: (syntax.ELEMENTS,),
    syntax.LOOP: (syntax.RANGE, syntax.START, syntax.GO_ON, syntax.STEP, syntax.RESULT),
}
"""For each kind of expression, the fields that hold further ones (maps are read entry by entry)."""


def linear(serialized: bytes) -> bytes:
    """A serialized expression with every ``map`` and ``filter`` in it made linear."""
    if _SO_FAR not in serialized:
        return serialized
    return _changed(serialized, (syntax.ANY_VALUE,), _checked)


def _checked(message: bytes) -> bytes:
    return _changed(message, (syntax.EXPR,), _expression)


def _changed(message: bytes, numbers: Collection[int], change: Callable[[bytes], bytes]) -> bytes:
    """The message with the fields of these numbers changed."""
    return b"".join(
        field(number, change(value) if number in numbers and isinstance(value, bytes) else value)
        for number, value in fields(message)
    )


def _expression(message: bytes) -> bytes:
    return b"".join(field(kind, _body(kind, body)) for kind, body in fields(message))


def _body(kind: int, body: Value) -> Value:
    if isinstance(body, int):
        return body
    if kind == syntax.MAP:
        return _changed(body, (syntax.ENTRIES,), _entry)
    within = _changed(body, _PARTS[kind], _expression) if kind in _PARTS else body
    return _loop(within) if kind == syntax.LOOP else within


def _entry(message: bytes) -> bytes:
    return _changed(message, (syntax.ENTRY_KEY, syntax.ENTRY_VALUE), _expression)


def _loop(message: bytes) -> bytes:
    """A loop that starts with ``[]`` and whose step is ``so_far + [item]`` or ``chosen ?
    so_far + [item] : so_far``, made linear; any other as it is."""
    parts = dict(fields(message))
    name = member(message, syntax.RESULT_SO_FAR)
    step = member(message, syntax.STEP)
    choice = _arguments(step, b"_?_:_")
    sum_of = _arguments(choice[1] if choice else step, b"_+_")
    starts_empty = (syntax.LIST, b"") in fields(member(message, syntax.START))
    if not starts_empty or not sum_of or _name(sum_of[0]) != name:
        return message
    so_far, item = field(syntax.NAME, field(syntax.IDENT_NAME, name)), sum_of[1]
    long, short = (_call(b"_[_]", so_far, _integer(index)) for index in (0, 1))
    gathered = _call(
        b"_?_:_",
        _call(b"_<_", _call(b"size", short), _integer(SHORT)),
        _list(long, _call(b"_+_", short, item)),
        _list(_call(b"_+_", long, short), item),
    )
    changes: dict[int, Value] = {
        syntax.START: _list(_list(), _list()),
        syntax.STEP: _call(b"_?_:_", choice[0], gathered, so_far) if choice else gathered,
        syntax.RESULT: _call(b"_+_", long, short),
    }
    return b"".join(field(number, value) for number, value in (parts | changes).items())


def _arguments(message: bytes, function: bytes) -> list[bytes]:
    """What that function is called with; empty where ``message`` is no such call."""
    call = member(message, syntax.CALL)
    if member(call, syntax.FUNCTION) != function:
        return []
    return list(members(call, syntax.ARGUMENTS))


def _name(message: bytes) -> bytes:
    return member(member(message, syntax.NAME), syntax.IDENT_NAME)


def _call(function: bytes, *arguments: bytes) -> bytes:
    given = b"".join(field(syntax.ARGUMENTS, argument) for argument in arguments)
    return field(syntax.CALL, field(syntax.FUNCTION, function) + given)


def _list(*elements: bytes) -> bytes:
    return field(syntax.LIST, b"".join(field(syntax.ELEMENTS, each) for each in elements))


def _integer(value: int) -> bytes:
    return field(syntax.CONSTANT, field(syntax.INT, value))
