"""Triggers on one path judge the same deliveries, so what their expressions reach is converted for
all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from daemon.expressions import Condition, Expression, Reach
from daemon.spec import TriggerSpec


def sharing(triggers: Iterable[TriggerSpec]) -> tuple[TriggerSpec, ...]:
    """The triggers, with what they judge by (not what they render) fed together by path."""
    triggers = tuple(triggers)
    reaches: dict[str, list[Reach]] = defaultdict(list)
    for trigger in triggers:
        if trigger.enabled:
            reaches[trigger.path] += (each.reach for each in _judging(trigger) if each.shares)
    together = {path: Reach.together(reached) for path, reached in reaches.items()}
    return tuple(
        _fed(trigger, together[trigger.path]) if trigger.enabled else trigger
        for trigger in triggers
    )


def _judging(trigger: TriggerSpec) -> Iterator[Expression]:
    if trigger.dedupe is not None and trigger.dedupe.key is not None:
        yield trigger.dedupe.key
    for _, expression in trigger.variables:
        yield expression
    if trigger.when is not None:
        yield trigger.when.expression


def _fed(trigger: TriggerSpec, reach: Reach) -> TriggerSpec:
    dedupe, when = trigger.dedupe, trigger.when
    if dedupe is not None and dedupe.key is not None:
        dedupe = replace(dedupe, key=dedupe.key.fed_with(reach))
    return replace(
        trigger,
        dedupe=dedupe,
        variables=tuple((name, each.fed_with(reach)) for name, each in trigger.variables),
        when=Condition(when.expression.fed_with(reach)) if when else None,
    )
