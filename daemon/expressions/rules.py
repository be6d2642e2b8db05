"""What a call costs at most, and how large its value can be, by the sizes of what it is given.

The factors were measured, in nanoseconds; where memory is the scarcer, a byte counts as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from daemon.expressions.bounds import NOTHING, Bound, Extent, Kind, scalar
from daemon.expressions.functions import compiled_pattern
from daemon.expressions.syntax import FIELD_OR_NONE, INDEX, INDEX_OR_NONE, Call, Constant

Rule: TypeAlias = Callable[[Call, list[Extent]], tuple[Extent, Bound]]

ITEM_MADE = 30
BYTE_MADE = 2.5
NODE_COMPARED, BYTE_COMPARED = 25, 0.3
BYTE_READ = 1.5
PAIR_SEARCHED = 0.02  # a byte of the text, and one of what is looked for in it
PIECE_MADE = 50
OURS_CALLED = 2_500  # Python's part in a function of ours
NODE_ENCODED, BYTE_ENCODED, TEXT_OF_NODE = 300, 10, 30
BYTE_DIGESTED = 3
BYTE_MATCHED, BYTE_MATCHED_COUNTING = 10, 2
STEP_COMPILED = 500  # of a regular expression's program, each time it is met
STEPS_OF_BYTE, STEPS_MAX = 300, 131_072  # of a pattern that is not known yet; of any


def rule(call: Call) -> Rule:
    """How to reckon that call."""
    return _RULES.get(call.function, _whole)


def _whole(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    """It comes to no more than it was given, and makes it anew: ``trim``, ``substring``."""
    extent = sum(given[1:], given[0]) if given else scalar()
    return extent, extent.text * BYTE_MADE


def _same(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    return (given[0] if given else scalar()), NOTHING


def _chosen(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    """One of its last two: ``a ? b : c``, ``a.orValue(b)``."""
    return given[-2].or_more(given[-1]), NOTHING


def _item(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    return given[0].item, given[1].text * BYTE_READ


def _sized(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    counted = given[0].kind in (Kind.LIST, Kind.MAP)
    return scalar(), NOTHING if counted else given[0].text * BYTE_READ


def _single(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    """A number, an instant or the like: ``int``, ``&&``."""
    return scalar(), sum((each.text for each in given), NOTHING) * BYTE_READ


def _compared(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    # Only as far as the smaller one goes.
    smaller = min(given, key=lambda each: each.nodes.peak * NODE_COMPARED + each.text.peak)
    return scalar(), smaller.nodes * NODE_COMPARED + smaller.text * BYTE_COMPARED


def _among(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    wanted, among = given
    if among.kind is Kind.MAP:
        return scalar(), wanted.text * BYTE_READ
    return scalar(), among.nodes * NODE_COMPARED + among.text * BYTE_COMPARED


def _added(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    extent = given[0] + given[1]
    cost = extent.items * ITEM_MADE
    return extent, cost if extent.kind is Kind.LIST else cost + extent.text * BYTE_MADE


def _searched(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    return scalar(), _search(given[0], given[1])


def _split(call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    text = given[0].text
    pieces = _times(call, text)
    extent = Extent(Kind.LIST, pieces + Bound(1), text, pieces, (1, text.peak))
    return extent, pieces * PIECE_MADE + _search(given[0], given[1])


def _replaced(call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    text = given[0].text + _times(call, given[0].text) * given[2].text
    return scalar(text), text * BYTE_MADE + _search(given[0], given[1])


def _joined(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    text = given[0].text
    if len(given) > 1:
        text += given[0].items * given[1].text
    return scalar(text), text * BYTE_MADE + given[0].items * ITEM_MADE


def _formatted(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    text = given[0].text + given[1].text * 2 + given[1].nodes * TEXT_OF_NODE
    return scalar(text), text * BYTE_MADE + given[1].nodes * NODE_ENCODED


def _matched(call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    return scalar(), _match(call, given)


def _extracted(call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    return scalar(given[0].text), _match(call, given) + Bound(OURS_CALLED)


def _encoded(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    text = given[0].text * 6 + given[0].nodes * TEXT_OF_NODE  # a control character is `\u0001`
    cost = given[0].nodes * NODE_ENCODED + given[0].text * BYTE_ENCODED
    return scalar(text), cost + Bound(OURS_CALLED)


def _digested(_call: Call, given: list[Extent]) -> tuple[Extent, Bound]:
    return scalar(Bound(64)), given[0].text * BYTE_DIGESTED + Bound(OURS_CALLED)


def _search(text: Extent, wanted: Extent) -> Bound:
    return text.text * BYTE_READ + text.text * wanted.text * PAIR_SEARCHED


def _times(call: Call, text: Bound) -> Bound:
    """How often the second argument can be found in the first, and once more."""
    wanted = call.arguments[1]
    length = 1
    if isinstance(wanted, Constant) and isinstance(wanted.value, str):
        length = max(1, len(wanted.value))
    return text * (1 / length) + Bound(2)


def _match(call: Call, given: list[Extent]) -> Bound:
    """RE2 compiles a pattern each time, and falls back from a byte at a time to a step at a time
    where the states that repetition with a count brings about are too many."""
    text, pattern = given[0].text, call.arguments[1]
    if isinstance(pattern, Constant) and isinstance(pattern.value, str):
        try:
            steps = compiled_pattern(pattern.value).programsize
        except ValueError:
            return NOTHING  # the engine will say so
        byte = steps * BYTE_MATCHED_COUNTING if "{" in pattern.value else BYTE_MATCHED
        return Bound(steps * STEP_COMPILED) + text * byte
    program = given[1].text * STEPS_OF_BYTE
    if program.peak > STEPS_MAX:
        program = Bound(STEPS_MAX)
    return program * STEP_COMPILED + program * text * BYTE_MATCHED_COUNTING


_LINEAR_RULES: dict[str, Rule] = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _compared),
    **dict.fromkeys(("startsWith", "endsWith"), _compared),
    **dict.fromkeys((INDEX, INDEX_OR_NONE, FIELD_OR_NONE), _item),
    **dict.fromkeys(("_?_:_", "orValue", "or"), _chosen),
    **dict.fromkeys(("dyn", "value", "optional.of", "optional.ofNonZeroValue"), _same),
    **dict.fromkeys(("_&&_", "_||_", "!_", "-_", "_-_", "_*_", "_/_", "_%_"), _single),
    **dict.fromkeys(("type", "int", "uint", "double", "bool", "hasValue"), _single),
    **dict.fromkeys(("timestamp", "duration", "optional.none", "@not_strictly_false"), _single),
    "size": _sized,
    "@in": _among,
    "_+_": _added,
    "trim": _whole,
    "lowerAscii": _whole,
    "upperAscii": _whole,
    "substring": _whole,
    "string": _whole,
    "sha256": _digested,
    "json.encode": _encoded,
}

LINEAR = frozenset(_LINEAR_RULES)
"""The functions that take time and space in proportion to what they are given."""

_RULES = _LINEAR_RULES | {
    **dict.fromkeys(("contains", "indexOf", "lastIndexOf"), _searched),
    "split": _split,
    "replace": _replaced,
    "join": _joined,
    "format": _formatted,
    "matches": _matched,
    "regex.extract": _extracted,
}
