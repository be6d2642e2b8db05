"""GitHub's checks of a dispatch's body, with its own words for what is wrong."""

from __future__ import annotations

import json
from typing import Never

from daemon.github import EVENT_TYPE_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_KEYS_MAX

DOCS = "https://docs.github.com/rest"
DISPATCH_DOCS = f"{DOCS}/repos/repos#create-a-repository-dispatch-event"


class Rejection(Exception):
    """An error answer in GitHub's shape; ``location`` is where a redirect points."""

    def __init__(
        self, status: int, message: str, documentation_url: str = DOCS, *, location: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.documentation_url = documentation_url
        self.location = location

    def as_json(self) -> dict[str, str]:
        shown = {"url": self.location} if self.location else {"status": str(self.status)}
        return {"message": self.message, **shown, "documentation_url": self.documentation_url}


def read_dispatch(body: bytes) -> tuple[str, dict[str, object]]:
    """The event type and the payload of a dispatch's body; raises Rejection as GitHub answers.

    The wording is that of real answers, quoted in github/docs#16469,
    lukasoppermann/design-tokens#155 and prowler-cloud/prowler#12370.
    """
    try:
        document = _STRICT.decode(body.decode())
    except (ValueError, RecursionError):
        raise Rejection(400, "Problems parsing JSON", DISPATCH_DOCS) from None
    if not isinstance(document, dict):
        raise Rejection(400, "Body should be a JSON object", DISPATCH_DOCS)
    event_type = document.get("event_type")
    payload = document.get("client_payload", {})
    faults = [*_event_type_faults(document), *_payload_faults(payload)]
    if faults or not isinstance(event_type, str):
        raise Rejection(422, "Invalid request.\n\n" + "\n".join(faults), DISPATCH_DOCS)
    if len(body) > PAYLOAD_BYTES_MAX and _size(payload) > PAYLOAD_BYTES_MAX:
        raise Rejection(422, "client_payload is too large.", DISPATCH_DOCS)
    return event_type, payload


def _size(payload: object) -> int:
    encoded = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return len(encoded.encode(errors="surrogatepass"))


def _event_type_faults(document: dict[str, object]) -> list[str]:
    if "event_type" not in document:
        return ['"event_type" wasn\'t supplied.']
    event_type = document["event_type"]
    if not isinstance(event_type, str):
        return [f"For 'properties/event_type', {_shown(event_type)} is not a string."]
    if not event_type:
        return ["At least 1 character is required; only 0 were supplied."]
    if len(event_type) > EVENT_TYPE_MAX:
        return [f"Only {EVENT_TYPE_MAX} characters are allowed; {len(event_type)} were supplied."]
    return []


def _payload_faults(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return [f"For 'properties/client_payload', {_shown(payload)} is not an object."]
    if len(payload) > PAYLOAD_KEYS_MAX:
        return [
            f"No more than {PAYLOAD_KEYS_MAX} properties are allowed; {len(payload)} were supplied."
        ]
    return []


def _shown(value: object) -> str:
    return "nil" if value is None else json.dumps(value)


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)
