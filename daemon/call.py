"""A call of ``POST /dispatch``: what it must hold, and the dispatch that it asks for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from daemon.dispatch import ExpectedRun
from daemon.errors import Refused, RenderError
from daemon.event import API_ENTRY, DedupeKey, Event, Outcome, Verdict
from daemon.expressions import JSON, as_text
from daemon.github import PAYLOAD_KEYS_MAX
from daemon.render import METADATA_KEY, encode, new_dispatch, with_metadata

SEND_WITHIN = timedelta(hours=24)
KEYS = frozenset({"event_type", "client_payload", "repository"})


@dataclass(frozen=True, slots=True)
class Call:
    """A checked call, and the dispatch that it is to become. ``client_payload`` is as received (an
    empty object where there was none), ``encoded`` what goes out; ``tracked`` says that there is
    room for the reserved key beside it. ``unknown`` are keys that mean nothing here."""

    dispatch_id: str
    event_type: str
    client_payload: dict[str, JSON]
    encoded: str = field(repr=False)
    repository: str
    unknown: tuple[str, ...] = ()

    @property
    def tracked(self) -> bool:
        return _has_room(self.client_payload)

    @property
    def warning(self) -> str:
        """What the caller should know, though the call is in order; empty: nothing."""
        warnings = [f"the key {key!r:.60} means nothing here" for key in self.unknown[:5]]
        if not self.tracked:
            warnings.append(
                f"client_payload uses all {PAYLOAD_KEYS_MAX} keys that GitHub allows, so it goes "
                f"out without the {METADATA_KEY!r} key and its run cannot be told from others"
            )
        return "; ".join(warnings)


def parse_call(
    body: JSON, dispatch_id: str, default_repository: str, allowed: Collection[str]
) -> Call:
    """Checks the body of a call that is to become the dispatch ``dispatch_id``. ``allowed`` are the
    repositories (``owner/name``) that may be reached. Raises Refused: 400 with what is wrong, 403
    for a repository off the list."""
    if not isinstance(body, dict):
        raise Refused(400, "the body must be a JSON object with an event_type")
    event_type = body.get("event_type")
    if event_type is None or event_type == "":
        raise Refused(400, "Missing event_type field")
    if not isinstance(event_type, str):
        raise Refused(400, "event_type must be a string")
    if any("\ud800" <= character <= "\udfff" for character in event_type):
        raise Refused(400, "event_type holds half of a surrogate pair, which is no character")
    payload = body.get("client_payload")
    payload = {} if payload is None else payload
    if not isinstance(payload, dict):
        raise Refused(400, "client_payload must be an object")
    if METADATA_KEY in payload:
        raise Refused(400, f"client_payload must not hold {METADATA_KEY!r}: that key is reserved")
    repository = _repository(body, default_repository, allowed)
    return Call(
        dispatch_id,
        event_type,
        payload,
        _encoded(event_type, payload, dispatch_id),
        repository,
        tuple(key for key in body if key not in KEYS),
    )


def judge_call(event: Event, call: Call, dedupe: DedupeKey | None = None) -> Verdict:
    """The verdict on a checked call: it is always dispatched, once for each idempotency key."""
    dispatch = new_dispatch(
        dispatch_id=call.dispatch_id,
        event_id=event.id,
        entry=API_ENTRY,
        repository=call.repository,
        event_type=call.event_type,
        client_payload=call.encoded,
        now=event.at,
        send_within=SEND_WITHIN,
        urgent=True,
        # One that cannot carry its id is sent as it is, and not looked for.
        expected=ExpectedRun() if _has_room(call.client_payload) else None,
    )
    return Verdict(API_ENTRY, Outcome.DISPATCHED, dispatches=(dispatch,), dedupe=dedupe)


def _has_room(payload: dict[str, JSON]) -> bool:
    return len(payload) < PAYLOAD_KEYS_MAX


def _encoded(event_type: str, payload: dict[str, JSON], dispatch_id: str) -> str:
    if _has_room(payload):
        payload = with_metadata(payload, dispatch_id, API_ENTRY)
    try:
        return encode(event_type, payload)
    except RenderError as error:
        raise Refused(400, str(error)) from None


def _repository(body: dict[str, JSON], default: str, allowed: Collection[str]) -> str:
    given = body.get("repository")
    if given is None:
        if not default:
            raise Refused(400, "no repository: name one, or set GH_OWNER and GH_REPO")
        return default
    # GitHub takes names in any case; the list's own spelling goes out.
    by_name = {name.lower(): name for name in allowed}
    known = by_name.get(given.lower()) if isinstance(given, str) else None
    if known is None:
        raise Refused(
            403,
            f"the repository {as_text(given)!r:.120} is not on the list that /dispatch may reach; "
            "add it to `repositories` in DAEMON.yaml",
        )
    return known
