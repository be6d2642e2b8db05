"""What a follow-up comes to: the values that its templates know, a notice, a further dispatch."""

from __future__ import annotations

import json
from datetime import datetime

from msgspec.structs import replace

from daemon.chain import Place
from daemon.dispatch import Dispatch
from daemon.errors import ExpressionError
from daemon.event import Delivery, Event
from daemon.expressions import JSON, Bindings, as_text
from daemon.follow_up import FollowUp
from daemon.notice import Notice, notice, reason_of
from daemon.render import descended, render
from daemon.spec import DispatchSpec, NoticeSpec


def bindings_of(follow_up: FollowUp, dispatch: Dispatch, event: Event) -> Bindings:
    """The values of `Vocabulary.for_follow_up_of_…`. Where no run failed the names of ``run`` are
    empty, and its numbers 0."""
    values: dict[str, object] = {
        "cause": follow_up.cause.value,
        "dispatch.id": dispatch.id,
        "dispatch.entry": dispatch.entry,
        "dispatch.repository": dispatch.repository,
        "dispatch.event_type": dispatch.event_type,
        "dispatch.workflow": dispatch.workflow,
        "dispatch.ref": dispatch.ref,
        "dispatch.state": dispatch.state.value,
        "dispatch.reason": reason_of(follow_up, dispatch),
        "dispatch.attempts": dispatch.attempts,
        "dispatch.client_payload": _payload(dispatch),
        "run.id": follow_up.run_id,
        "run.url": follow_up.run_url,
        "run.name": follow_up.run_name,
        "run.attempt": follow_up.run_attempt,
        "run.conclusion": follow_up.run_conclusion,
        "event.id": event.id,
    }
    cause = event.cause
    if isinstance(cause, Delivery):
        values |= {
            "event.received_at": cause.received_at,
            "event.trigger": dispatch.entry,
            "event.client_ip": cause.client_ip,
        }
    else:
        values |= {
            "firing.cron": cause.cron,
            "firing.scheduled_at": cause.scheduled_at,
            "firing.fired_at": cause.fired_at,
            "firing.catch_up": cause.catch_up,
        }
    return Bindings(values)


def notice_of(spec: NoticeSpec, follow_up: FollowUp, dispatch: Dispatch, event: Event) -> Notice:
    """The notice. Where its own text fails it is the usual one, which says so: it goes out."""
    if spec.text is None:
        return notice(follow_up, dispatch)
    try:
        text = as_text(spec.text.render(bindings_of(follow_up, dispatch, event)))
    except ExpressionError as error:
        usual = notice(follow_up, dispatch)
        return replace(usual, text=f"{usual.text}\n(the entry's `text` fails: {error.message})")
    return notice(follow_up, dispatch, text)


def further_dispatch(
    spec: DispatchSpec,
    follow_up: FollowUp,
    dispatch: Dispatch,
    event: Event,
    *,
    dispatch_id: str,
    now: datetime,
) -> Dispatch:
    """The dispatch that the follow-up comes to: of the same event and entry, one deeper in its
    chain, due now, and dead with the reason where it cannot be made."""
    made = render(
        spec,
        bindings_of(follow_up, dispatch, event),
        dispatch_id=dispatch_id,
        event=event,
        entry=dispatch.entry,
    )
    made = replace(
        made,
        created_at=now,
        due_at=now,
        expires_at=now + spec.send_within,
        settled_at=now if made.state.final else None,
    )
    return descended(made, Place(dispatch.id, dispatch.depth + 1))


def _payload(dispatch: Dispatch) -> JSON:
    """The payload or the inputs as they went out, or would have; an empty object where they could
    not be made."""
    payload: JSON = json.loads(dispatch.client_payload) if dispatch.client_payload else {}
    return payload
