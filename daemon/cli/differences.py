"""Where what became of a case is not what it expects, path by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.cli.case import Result, without_metadata
from daemon.cli.explaining import brief
from daemon.render import METADATA_KEY

Path = tuple[str | int, ...]

_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """``path`` leads from the case's ``expect``. What is absent on one side has no value there."""

    path: Path
    expected: Any = _ABSENT
    actual: Any = _ABSENT
    note: str = ""

    def __str__(self) -> str:
        if self.actual is _ABSENT:
            words = f"missing, expected {brief(self.expected)}"
        elif self.expected is _ABSENT:
            words = f"not expected: {brief(self.actual)}"
        else:
            words = f"expected {brief(self.expected)}, got {brief(self.actual)}"
        return f"{words} ({self.note})" if self.note else words

    def view(self) -> dict[str, Any]:
        """``{expected, actual}``, each where there is one."""
        sides = {"expected": self.expected, "actual": self.actual}
        return {name: value for name, value in sides.items() if value is not _ABSENT}


def differences(expect: Mapping[str, Any], result: Result) -> list[Difference]:
    """All of them. Where the outcome is another one, only that: the rest follows from it."""
    if expect["outcome"] != result.outcome:
        return [Difference(("outcome",), expect["outcome"], result.outcome, result.reason)]
    found: list[Difference] = []
    if expect.get("reason", "") not in result.reason:
        found.append(Difference(("reason",), expect["reason"], result.reason))
    found += _dispatches(expect.get("dispatches"), result.dispatches)
    if (response := expect.get("response")) is not None:
        got = result.response
        if got is None:
            note = "the trigger has no `response` of its own, or it did not dispatch"
            found.append(Difference(("response",), response, note=note))
        else:
            named = {key: got[key] for key in got if key in response}
            found += _between(response, named, ("response",))
    return found


def _dispatches(
    expected: Sequence[Mapping[str, Any]] | None, actual: Sequence[Mapping[str, Any]]
) -> Iterator[Difference]:
    path: Path = ("dispatches",)
    if expected is None:  # a dead one is not what `dispatched` promises
        for index, got in enumerate(actual):
            if "dead" in got:
                yield Difference((*path, index), actual=got)
        return
    for index, (wanted, got) in enumerate(zip(expected, actual, strict=False)):
        yield from _dispatch(wanted, got, (*path, index))
    for index in range(len(actual), len(expected)):
        yield Difference((*path, index), expected[index])
    for index in range(len(expected), len(actual)):
        yield Difference((*path, index), actual=actual[index])


def _dispatch(
    wanted: Mapping[str, Any], got: Mapping[str, Any], path: Path
) -> Iterator[Difference]:
    for key in ("event_type", "workflow", "ref", "repository"):
        if key in wanted:
            yield from _between({key: wanted[key]}, {k: got[k] for k in (key,) if k in got}, path)
    dead = got.get("dead", "")
    if "dead" in wanted:
        if not dead or wanted["dead"] not in dead:
            yield Difference((*path, "dead"), wanted["dead"], dead or _ABSENT)
    elif dead:
        yield Difference((*path, "dead"), actual=dead)
    else:
        for key in ("client_payload", "inputs"):
            if key in wanted:
                yield from _carried(wanted[key], got.get(key), (*path, key))


def _carried(
    wanted: Mapping[str, Any], got: Mapping[str, Any] | None, path: Path
) -> Iterator[Difference]:
    """The differences of a payload or of inputs, which a dispatch of the other kind has not."""
    if got is None:
        yield Difference(path, wanted)
    else:
        metadata = METADATA_KEY in wanted
        yield from _between(wanted, got if metadata else without_metadata(got), path)


def _between(expected: Any, actual: Any, path: Path) -> Iterator[Difference]:
    """The differences of two JSON values. 1 and 1.0 are the same number there; 1 and true are
    not the same value."""
    match expected, actual:
        case dict(), dict():
            for key in expected:
                if key in actual:
                    yield from _between(expected[key], actual[key], (*path, key))
                else:
                    yield Difference((*path, key), expected[key])
            for key in actual:
                if key not in expected:
                    yield Difference((*path, key), actual=actual[key])
        case list(), list():
            for index in range(max(len(expected), len(actual))):
                here = (*path, index)
                if index >= len(actual):
                    yield Difference(here, expected[index])
                elif index >= len(expected):
                    yield Difference(here, actual=actual[index])
                else:
                    yield from _between(expected[index], actual[index], here)
        case _:
            if expected != actual or isinstance(expected, bool) != isinstance(actual, bool):
                yield Difference(path, expected, actual)
