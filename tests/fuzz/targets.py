"""What is fuzzed: each target takes any bytes, raises nothing but what is a finding, and brings
inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.fuzz import addresses, body, cloudevents, expression, signature


@dataclass(frozen=True, slots=True)
class Target:
    """``seconds`` of processor time are what an input may take, and as much again for every 10 KB
    of it. ``words`` are worth putting anywhere into an input."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...]
    seconds: float = 0.05


TARGETS: Mapping[str, Target] = {
    "body": Target(body.run, body.seeds, body.WORDS),
    "signature": Target(signature.run, signature.seeds, signature.WORDS),
    "expression": Target(expression.run, expression.seeds, expression.WORDS, seconds=1.0),
    "cloudevents": Target(cloudevents.run, cloudevents.seeds, cloudevents.WORDS),
    "addresses": Target(addresses.run, addresses.seeds, addresses.WORDS),
}
