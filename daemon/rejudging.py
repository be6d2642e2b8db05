"""Stored deliveries judged once more: by today's triggers for a replay, and by those of a config
that is to come, to tell what would change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection

from msgspec.structs import replace

from daemon.config_change import Rerouted
from daemon.errors import Refused
from daemon.event import Delivery, Event, Outcome
from daemon.judge import Judgement, body_of, judge_delivery
from daemon.routes import Routes

SAME_ID = "dsp_00000000000000000000000000"
"""Of all that is rendered only to be compared."""


def judged_again(
    event: Event,
    delivery: Delivery,
    routes: Routes,
    distrusting: Collection[str],
    new_id: Callable[[], str],
) -> tuple[Judgement, ...]:
    """The word of each enabled trigger on the delivery's path, but for those ``distrusting`` its
    sender; nothing where there is none. Not held to de-duplication, rates and bursts. Raises
    Refused for a body that they cannot read."""
    match = routes.match(delivery.path)
    panel = match.route.panels.get(delivery.method) if match else None
    triggers = [
        trigger for trigger in (panel.triggers if panel else ()) if trigger.name not in distrusting
    ]
    if match is None or not triggers:
        return ()
    return judge_delivery(
        event,
        replace(delivery, route=match.route.path, params=match.params),
        body_of(delivery, triggers),
        triggers,
        new_id,
        by_hand=True,
    )


def rerouted(
    event: Event, delivery: Delivery, distrusting: Collection[str], before: Routes, after: Routes
) -> Rerouted | None:
    """Where the delivery would come to something else by ``after`` than by ``before``; None where
    it would not. What only comes and goes with its entry and matches nothing is no difference."""
    old = _words(event, delivery, distrusting, before)
    new = _words(event, delivery, distrusting, after)
    if old == new:
        return None
    differing = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    told_before = [old[name] for name in differing if name in old]
    told_after = [new[name] for name in differing if name in new]
    if told_before == told_after:
        return None
    plain_before, plain_after = ([text for text, _ in told] for told in (told_before, told_after))
    if plain_before == plain_after:
        plain_after = [f"{text} with another payload" for text in plain_after]
    return Rerouted(event.id, event.at, delivery.path, tuple(plain_before), tuple(plain_after))


def _words(
    event: Event, delivery: Delivery, distrusting: Collection[str], routes: Routes
) -> dict[str, tuple[str, object]]:
    """By trigger: what its word is for people, and the requests that it stands for."""
    try:
        judged = judged_again(event, delivery, routes, distrusting, lambda: SAME_ID)
    except Refused as error:
        return {"": (f"refused with {error.status} ({error.message})", None)}
    words: dict[str, tuple[str, object]] = {}
    for judgement in judged:
        verdict = judgement.verdict
        if verdict.outcome is Outcome.UNMATCHED:
            continue
        text = f"{verdict.entry}: {verdict.outcome}"
        if verdict.outcome is Outcome.ERROR:
            text += f" ({verdict.reason})"
        requests = []
        for made in verdict.dispatches:
            named = made.event_type or f"{made.workflow} at {made.ref}"
            text += f" {named} to {made.repository}"
            payload = made.client_payload
            requests.append((made.repository, named, payload, made.state, made.reason))
        words[verdict.entry] = text, requests
    return words
