"""GitHub's webhooks and their deliveries as pure rules: what is asked of the API, and what its
answers say. https://docs.github.com/en/rest/repos/webhooks, and the same of organisations"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from daemon.errors import FetchError
from daemon.github import Question, Reply, one_line
from daemon.instants import instant
from daemon.secret import Secret

KEPT = timedelta(days=3)
"""For how long GitHub keeps deliveries, and sends them again."""

PAGE = 100
"""Items of a page, the most that GitHub gives."""

APP = "app:"
"""What the place of a GitHub App's own webhook begins with; the credential's name follows. No
repository and no organisation is called so."""

PING = "ping"
"""The event that every hook is sent to try it out."""

NUMBER_MAX = 2**63

_LINK = re.compile(r"<([^>]*)>((?:\s*;[^,<]*)*)")
_PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}(/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100})?")
_PLAIN = re.compile(r"[A-Za-z0-9_=.:%-]{1,200}")


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as GitHub has it. ``place`` is the repository (``owner/name``), the organisation or
    the GitHub App (``app:`` and its credential) that it belongs to, which has no other and no
    ``id``; ``last`` what became of its last delivery, or nothing."""

    place: str
    id: int
    url: str
    events: frozenset[str]
    active: bool
    content_type: str
    last: str = ""


@dataclass(frozen=True, slots=True)
class HookDelivery:
    """One try of GitHub's to deliver an event. All tries of one event to one hook share the
    ``guid``, which the request carries as ``x-github-delivery``. ``code`` is what was answered, or
    what GitHub puts there when nothing was; ``status`` is ``OK``, or says what went wrong."""

    id: int
    guid: str
    event: str
    action: str
    at: datetime
    code: int
    status: str

    @property
    def arrived(self) -> bool:
        """GitHub's own criterion: it calls every answer of 2xx ``OK``."""
        return self.status == "OK" or 200 <= self.code < 300

    @property
    def refused(self) -> bool:
        """Whether it reached somebody who would say the same again: a redirect, or a 4xx."""
        return 300 <= self.code < 500 and self.code != 408


def is_place(text: str) -> bool:
    """Whether this can be ``owner/name``, or an organisation."""
    return _PLACE.fullmatch(text) is not None


def hooks_question(place: str, page: str = "") -> Question:
    """Asks for a page of the hooks of a repository or an organisation, or for an App's."""
    if place.startswith(APP):
        return Question("/app/hook/config")
    return Question(f"{_hooks(place)}?per_page={PAGE}" + (f"&page={page}" if page else ""))


def create_question(
    place: str, url: str, secret: Secret, events: Collection[str], content_type: str = "json"
) -> Question:
    """Asks for a new hook. The secret is in the body, and nowhere else."""
    body = {
        "name": "web",
        "active": True,
        "events": sorted(events),
        "config": _config(url, secret, content_type),
    }
    return Question(_hooks(place), "POST", body=json.dumps(body).encode())


def update_question(hook: Hook, secret: Secret, events: Collection[str]) -> Question:
    """Asks for an existing hook to have this secret and these events, and to be active."""
    body = {
        "active": True,
        "events": sorted(events),
        "config": _config(hook.url, secret, "json"),
    }
    return Question(_one(hook), "PATCH", body=json.dumps(body).encode())


def delete_question(hook: Hook) -> Question:
    return Question(_one(hook), "DELETE")


def ping_question(hook: Hook) -> Question:
    return Question(f"{_one(hook)}/pings", "POST")


def deliveries_question(hook: Hook, cursor: str = "") -> Question:
    """Asks for a page of the hook's deliveries, newest first. Not only for failed ones: what
    failed may have arrived later on."""
    following = f"&cursor={cursor}" if cursor else ""
    return Question(f"{_one(hook)}/deliveries?per_page={PAGE}{following}")


def redeliver_question(hook: Hook, delivery: int) -> Question:
    """Asks for a delivery to be made once more."""
    return Question(f"{_one(hook)}/deliveries/{delivery}/attempts", "POST")


def hooks_told(place: str, reply: Reply) -> list[Hook]:
    """The hooks of a page. Raises FetchError for an answer that names none."""
    if not place.startswith(APP):
        return [_hook(place, item) for item in _array(reply)]
    config = _document(reply)
    if not isinstance(config, dict):
        raise _not_github("hook")
    url, content_type = config.get("url"), config.get("content_type")
    if not isinstance(url, str) or not url:
        return []  # the App has none
    return [Hook(place, 0, url, frozenset(), active=True, content_type=str(content_type))]


def hook_told(place: str, reply: Reply) -> Hook:
    """The hook that was created or changed. Raises FetchError."""
    return _hook(place, _document(reply))


def deliveries_told(reply: Reply) -> list[HookDelivery]:
    """The deliveries of a page. Raises FetchError where any of them cannot be read: one that is
    passed over would be missed for good."""
    return [_delivery(item) for item in _array(reply)]


def following(reply: Reply, key: str) -> str:
    """What ``key`` (``page``, ``cursor``) is of the next page; empty where there is none. Only
    this is taken from the answer's ``Link``: the rest of the address is ours."""
    for url, parameters in _LINK.findall(reply.headers.get("link", "")):
        if not re.search(r';\s*rel\s*=\s*"?next"?\s*(;|$)', parameters):
            continue
        try:
            found = parse_qs(urlsplit(url).query).get(key, [""])[0]
        except ValueError:
            return ""
        text = quote(found, safe="=.:")
        return text if _PLAIN.fullmatch(text) else ""
    return ""


def _hooks(place: str) -> str:
    return f"/{'repos' if '/' in place else 'orgs'}/{quote(place, safe='/')}/hooks"


def _one(hook: Hook) -> str:
    return "/app/hook" if hook.place.startswith(APP) else f"{_hooks(hook.place)}/{hook.id}"


def _config(url: str, secret: Secret, content_type: str) -> Mapping[str, str]:
    return {
        "url": url,
        "content_type": content_type,
        "insecure_ssl": "0",
        "secret": secret.reveal(),
    }


def _hook(place: str, item: Any) -> Hook:
    try:
        config, last = item["config"], item.get("last_response") or {}
        events = [each for each in item["events"] if isinstance(each, str)]
        return Hook(
            place=place,
            id=_number(item["id"]),
            url=str(config.get("url", "")),
            events=frozenset(events),
            active=item["active"] is True,
            content_type=str(config.get("content_type", "form")),
            last=_last(last.get("code"), last.get("message")),
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise _not_github("hook") from None


def _last(code: object, message: object) -> str:
    parts = [str(code)] if isinstance(code, int) else []
    if isinstance(message, str) and message:
        parts.append(one_line(message, 100))
    return " ".join(parts)


def _delivery(item: Any) -> HookDelivery:
    try:
        action = item.get("action")
        return HookDelivery(
            id=_number(item["id"]),
            guid=_text(item["guid"]),
            event=_text(item["event"]),
            action=action if isinstance(action, str) else "",
            at=instant(_text(item["delivered_at"])),
            code=_code(item["status_code"]),
            status=one_line(_text(item["status"]), 100),
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise _not_github("delivery") from None


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < NUMBER_MAX:
        raise ValueError
    return value


def _code(value: object) -> int:
    """Of a delivery that nobody answered there may be none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _array(reply: Reply) -> list[Any]:
    document = _document(reply)
    if not isinstance(document, list):
        raise _not_github("list")
    return document


def _document(reply: Reply) -> Any:
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        raise _not_github("list") from None


def _not_github(what: str) -> FetchError:
    return FetchError(
        f"what was answered is no {what} of GitHub's webhooks: check GH_API_URL, and the proxy or "
        "portal between"
    )
