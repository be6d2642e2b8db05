"""Which dispatch a delivery descends from, as its trigger's `parent` says, and as GitHub's own
events tell by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

from daemon.chain import IDS_MAX, Descent, RunKey, ids_in
from daemon.errors import ExpressionError
from daemon.expressions import JSON, Bindings
from daemon.spec import TriggerSpec

EVENT_HEADER = "x-github-event"
SCHEMES = frozenset({"github", "github_legacy"})
"""The schemes whose deliveries are GitHub's: nobody else's say is worth anything here."""

DISPATCHED = frozenset({"repository_dispatch", "workflow_dispatch"})
"""The events whose runs carry a title that a workflow made of what it was started with. That of
any other run is somebody's commit message or the title of a pull request."""


def told_by_github(headers: Mapping[str, str], body: JSON) -> Descent | None:
    """What one of GitHub's webhooks tells by itself: the run, its title, and the branch that all of
    it is about, as far as the event has these. None where it tells nothing."""
    event = headers.get(EVENT_HEADER)
    if event is None or not isinstance(body, dict):
        return None
    texts: list[object] = []
    run: RunKey | None = None
    match event:
        case "workflow_run":
            about = _object(body, "workflow_run")
            run = _run(body, about.get("id"))
            if about.get("event") in DISPATCHED:
                texts.append(about.get("display_title"))
            texts.append(about.get("head_branch"))
        case "workflow_job":
            about = _object(body, "workflow_job")
            run = _run(body, about.get("run_id"))
            texts.append(about.get("head_branch"))
        case "push" | "create":
            texts.append(body.get("ref"))
        case "repository_dispatch":
            texts.append(_object(body, "client_payload", "dispatchd").get("id"))
        case "workflow_dispatch":
            texts.append(_object(body, "inputs").get("dispatchd"))
        case _:  # pull_request, and whatever else is about one
            texts.append(_object(body, "pull_request", "head").get("ref"))
    ids = dict.fromkeys(chain.from_iterable(map(ids_in, texts)))
    return Descent(tuple(ids), run) if ids or run else None


def descent(trigger: TriggerSpec, told: Descent | None, bindings: Bindings) -> Descent | None:
    """What the delivery descends from by the trigger's own `parent`, and by what GitHub ``told``
    where that is who sends. Raises ExpressionError."""
    if trigger.auth.scheme.name not in SCHEMES:
        told = None
    if trigger.parent is None:
        return told
    try:
        named = trigger.parent.evaluate(bindings)
        if not isinstance(named, str | None):
            raise ExpressionError(
                "did not come to a text that holds the id of a dispatch (or to null, or an empty "
                "one: then there is none)",
                source=trigger.parent.source,
            )
    except ExpressionError as error:
        raise error.at("parent") from None
    ids = ids_in(named)
    remark = f"its `parent` holds no id of a dispatch: {named!r:.100}" if named and not ids else ""
    if told is not None:
        ids = tuple(dict.fromkeys((*ids, *told.ids)))[: 2 * IDS_MAX]
    run = told.run if told is not None else None
    return Descent(ids, run, remark) if ids or run or remark else None


def _object(body: Mapping[str, JSON], *path: str) -> Mapping[str, JSON]:
    """The object at that path; an empty one where there is none."""
    found = body
    for key in path:
        inner = found.get(key)
        if not isinstance(inner, dict):
            return {}
        found = inner
    return found


def _run(body: Mapping[str, JSON], number: JSON) -> RunKey | None:
    repository = _object(body, "repository").get("full_name")
    whole = isinstance(number, int) and not isinstance(number, bool)
    if not isinstance(repository, str) or not whole or not 0 < int(str(number)) < 2**63:
        return None
    return repository.lower(), int(str(number))
