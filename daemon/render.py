"""From a spec and the values of one event to the request that GitHub will get, checked against
GitHub's limits; what cannot be sent becomes a dead dispatch that says why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from daemon.chain import Place
from daemon.dispatch import Dispatch, ExpectedRun, OnAmbiguous, State
from daemon.errors import ExpressionError, RenderError
from daemon.event import Event, Firing
from daemon.expressions import JSON, Bindings, compact, rfc3339
from daemon.github import input_faults, payload_faults
from daemon.run import Match
from daemon.spec import DispatchSpec

METADATA_KEY = "dispatchd"
"""The reserved key of every payload: ``{"id", "entry", "depth"}``. A workflow that shows the id in
its run name can be found again. Of a ``workflow_dispatch`` it is an input, and holds the id alone:
what a workflow can show without taking JSON apart, also where it is started by hand without it."""


def render(
    spec: DispatchSpec,
    bindings: Bindings,
    *,
    dispatch_id: str,
    event: Event,
    entry: str,
    due_at: datetime | None = None,
    waits: str = "",
) -> Dispatch:
    """The dispatch that ``spec`` makes of this event: pending, or dead with the reason where a
    template fails or a limit of GitHub's is passed. Where ``due_at`` is later than the event it is
    not sent before (``waits`` says for what), and what it may wait beyond that counts from
    there."""
    values = bindings.extended({"dispatch_id": dispatch_id})
    event_type = spec.event_type.literal or ""
    try:
        if not spec.repository:
            raise RenderError(
                "nothing says which repository to dispatch to (set GH_OWNER and GH_REPO, or add "
                "`repository` to the entry)"
            )
        event_type = _event_type(spec, values)
        if spec.workflow:
            encoded = _inputs(spec, values, dispatch_id)
        else:
            encoded = _payload(spec, values, event_type, dispatch_id, entry)
        state, reason = State.PENDING, ""
    except (RenderError, ExpressionError) as error:
        encoded, state, reason = "", State.DEAD, str(error)
    made = new_dispatch(
        dispatch_id=dispatch_id,
        event_id=event.id,
        entry=entry,
        repository=spec.repository,
        event_type=event_type,
        client_payload=encoded,
        now=event.at,
        send_within=spec.send_within,
        state=state,
        reason=reason,
        urgent=isinstance(event.cause, Firing),
        workflow=spec.workflow,
        ref=spec.ref,
        expected=spec.expected,
        on_ambiguous=spec.on_ambiguous,
    )
    if due_at is None or due_at <= event.at or state.final:
        return made
    return replace(
        made,
        due_at=due_at,
        expires_at=due_at + spec.send_within,
        reason=f"waits until {rfc3339(due_at)} {waits}",
    )


def new_dispatch(
    *,
    dispatch_id: str,
    event_id: str,
    entry: str,
    repository: str,
    event_type: str,
    client_payload: str,
    now: datetime,
    send_within: timedelta,
    state: State = State.PENDING,
    reason: str = "",
    urgent: bool = False,
    workflow: str = "",
    ref: str = "",
    expected: ExpectedRun | None = ExpectedRun(),  # noqa: B008  # a frozen value
    on_ambiguous: OnAmbiguous = OnAmbiguous.VERIFY,
) -> Dispatch:
    """A dispatch at the beginning of its life, due at once. Without an ``expected`` run nobody
    looks for one."""
    return Dispatch(
        id=dispatch_id,
        event_id=event_id,
        entry=entry,
        repository=repository,
        event_type=event_type,
        client_payload=client_payload,
        created_at=now,
        due_at=now,
        expires_at=now + send_within,
        state=state,
        reason=reason,
        settled_at=now if state.final else None,
        urgent=urgent,
        workflow=workflow,
        ref=ref,
        expect_within=expected.within if expected else None,
        expect_workflow=expected.workflow if expected else "",
        on_ambiguous=on_ambiguous,
    )


def _payload(
    spec: DispatchSpec, values: Bindings, event_type: str, dispatch_id: str, entry: str
) -> str:
    payload = spec.client_payload.render(values, "client_payload")
    if not isinstance(payload, dict):
        raise RenderError("client_payload did not come to an object")
    if spec.inject_metadata:
        payload = with_metadata(payload, dispatch_id, entry)
    return encode(event_type, payload)


def _inputs(spec: DispatchSpec, values: Bindings, dispatch_id: str) -> str:
    """The inputs as the JSON text that goes out. Raises RenderError where GitHub would refuse them
    whatever the workflow declares."""
    rendered = spec.client_payload.render(values, "inputs")
    if not isinstance(rendered, dict):
        raise RenderError("inputs did not come to an object")
    inputs: dict[str, JSON] = {name: _input(value) for name, value in rendered.items()}
    if spec.inject_metadata:
        inputs[METADATA_KEY] = dispatch_id
    try:
        text = compact(inputs)
        faults = input_faults(inputs, text.encode())
    except ValueError as error:  # as in `encode`
        raise RenderError(f"inputs cannot be written as JSON: {error}") from None
    if faults:
        raise RenderError("; ".join(faults))
    return text


def _input(value: JSON) -> str:
    """GitHub takes inputs as strings. What is none goes as JSON, which ``fromJSON`` reads there."""
    if isinstance(value, str):
        return value
    return "" if value is None else compact(value)


def with_metadata(payload: Mapping[str, JSON], dispatch_id: str, entry: str) -> dict[str, JSON]:
    """The payload with the reserved key. Raises RenderError where it is taken already."""
    if METADATA_KEY in payload:
        raise RenderError(f"client_payload holds the reserved key {METADATA_KEY!r}")
    return {**payload, METADATA_KEY: {"id": dispatch_id, "entry": entry, "depth": 0}}


def encode(event_type: str, payload: Mapping[str, JSON]) -> str:
    """The payload as the JSON text that goes out. Raises RenderError where GitHub would refuse
    it, naming each limit and by how much it is passed."""
    try:
        text = compact(dict(payload))
        faults = payload_faults(event_type, payload, text.encode())
    except ValueError as error:  # NaN, an infinity, or a surrogate without its other half
        raise RenderError(f"client_payload cannot be written as JSON: {error}") from None
    if faults:
        raise RenderError("; ".join(faults))
    return text


def descended(dispatch: Dispatch, place: Place) -> Dispatch:
    """The dispatch at its place in a chain, which its payload tells as well; dead where that is
    what takes it past a limit of GitHub's."""
    made = replace(dispatch, parent_id=place.parent_id, depth=place.depth)
    if not place.depth or dispatch.workflow or not dispatch.client_payload:
        return made
    payload = json.loads(dispatch.client_payload)
    metadata = payload.get(METADATA_KEY)
    if not isinstance(metadata, dict):
        return made
    payload[METADATA_KEY] = {**metadata, "depth": place.depth}
    try:
        return replace(made, client_payload=encode(dispatch.event_type, payload))
    except RenderError as error:
        return replace(
            made,
            client_payload="",
            state=State.DEAD,
            reason=str(error),
            held_by=None,
            settled_at=dispatch.created_at,
        )


def again(original: Dispatch, dispatch_id: str, now: datetime) -> Dispatch:
    """The same request under a new id, as ``replay dsp_…`` sends it."""
    payload = json.loads(original.client_payload)
    metadata = payload.get(METADATA_KEY)
    if isinstance(metadata, dict):
        payload[METADATA_KEY] = {**metadata, "id": dispatch_id}
    elif original.workflow and METADATA_KEY in payload:
        payload[METADATA_KEY] = dispatch_id
    return replace(
        original,
        id=dispatch_id,
        client_payload=compact(payload),
        created_at=now,
        due_at=now,
        expires_at=now + (original.expires_at - original.created_at),
        state=State.PENDING,
        reason="",
        attempts=0,
        retry_until=None,
        settled_at=None,
        replay_of=original.id,
        run_id=None,
        run_url="",
        held_by=None,
        sent_at=None,
        match=Match.UNTRACKED,
        diagnosis="",
        run_outcome="",
    )


def _event_type(spec: DispatchSpec, values: Bindings) -> str:
    try:
        event_type = spec.event_type.render(values)
    except ExpressionError as error:
        raise RenderError(f"event_type: {error}") from None
    if not isinstance(event_type, str):
        raise RenderError(f"event_type came to {compact(event_type):.60}, not to a string")
    if spec.event_types and event_type not in spec.event_types:
        allowed = ", ".join(sorted(spec.event_types))
        raise RenderError(f"event_type came to {event_type!r:.120}, not one of: {allowed}")
    return event_type
