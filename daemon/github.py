"""GitHub's two dispatch endpoints as pure rules: a Dispatch in, the request out; an answer's
status, headers and body in, what it means for the dispatch out. No I/O and no clock."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import MappingProxyType
from typing import ClassVar
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from daemon import __version__
from daemon.dispatch import Dispatch, RunNamed
from daemon.pacing import Limits

# https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event
EVENT_TYPE_MAX = 100
"""Characters of ``event_type``."""
PAYLOAD_KEYS_MAX = 10
"""Top-level keys of ``client_payload``."""
PAYLOAD_BYTES_MAX = 65_535
"""UTF-8 bytes of ``client_payload``. GitHub says "less than 64KB"; where a character counts as
one there, counting bytes errs on the safe side."""

# https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event
INPUTS_MAX = 25
"""Inputs of a ``workflow_dispatch``; 10 on GitHub Enterprise Server before 3.20."""

API_VERSION = "2022-11-28"
_ASKED_FOR_RUN = frozenset({"2022-11-28"})
"""Versions of the API that name the run of a ``workflow_dispatch`` only where it is asked for.
Later ones always do, and know no such question."""
WAIT_MAX = timedelta(hours=24)
"""No wait of GitHub's is taken to be longer: its windows are an hour, so more is a fault."""

QUOTE_MAX = 200
_MESSAGE_MAX = 500
_RIGHTS = (
    "the token needs '{right}' on the repository (fine-grained token or GitHub App), "
    "or the scope 'repo' (classic token)"
)
_OF_A_WORKFLOW = "/actions/workflows/"
_OF_HOOKS = re.compile(r"/(repos/[^/]+/[^/]+|repositories/[0-9]+|orgs/[^/]+)/hooks(?![^/?])")
_HOOK_RIGHTS = (
    "the token needs 'webhooks: write' on the {place} (fine-grained token or GitHub App), or the "
    "scope {scope} (classic token); and a person's token is to be that of an {who}"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, but for the token, which only the client knows. ``plainer`` is the same for
    a server that answers 400 to it, since it is too old for something that can be left out."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    plainer: Request | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What else is asked of GitHub's API about a repository: ``path`` begins with ``/repos/``, and
    may hold a query. With an ``etag``, what has not changed is answered 304, which costs nothing of
    the rate limit. ``most`` bounds the bytes of the answer."""

    path: str
    method: str = "GET"
    etag: str = ""
    body: bytes = b""
    most: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """GitHub's answer to a Question, whole. ``headers`` have lower-case names; ``limits`` is None
    where it names none. ``at`` is GitHub's clock then, ours where it does not tell."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    limits: Limits | None
    at: datetime

    @property
    def etag(self) -> str:
        etag = self.headers.get("etag", "")
        return etag if re.fullmatch(r"[!-~]{1,200}", etag) else ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """GitHub took the dispatch, when its own clock read ``at``. Whether a workflow listens is
    another question, unless it named the ``run``."""

    run: RunNamed | None = None
    at: datetime | None = field(default=None, compare=False)
    outcome: ClassVar[str] = "accepted"


@dataclass(frozen=True, slots=True)
class Throttled:
    """Refused for a rate limit; GitHub did not act. ``until`` is None where it named no time:
    then at least a minute, growing (``RetryPolicy.throttled_until``)."""

    until: datetime | None
    reason: str
    outcome: ClassVar[str] = "throttled"


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """GitHub does not take the credential, or the API version that we are set to, and did nothing.
    Not the dispatch is at fault: it waits until that is mended."""

    reason: str
    outcome: ClassVar[str] = "unauthorized"


@dataclass(frozen=True, slots=True)
class Failed:
    """Refused for good: the same request would be refused again."""

    reason: str
    outcome: ClassVar[str] = "failed"


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The request went out and its fate is unknown: GitHub may have acted on it."""

    reason: str
    outcome: ClassVar[str] = "ambiguous"


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No connection came about, or GitHub only pointed elsewhere: nothing was done, so another try
    doubles nothing."""

    reason: str
    outcome: ClassVar[str] = "unreachable"


@dataclass(frozen=True, slots=True)
class Redirected:
    """The same request is to go to ``url``, on the same scheme, host and port."""

    url: str


Answer = Accepted | Throttled | Unauthorized | Failed | Ambiguous | Unreachable


def dispatch_request(dispatch: Dispatch, api_url: str, api_version: str = API_VERSION) -> Request:
    """The request that makes ``dispatch``. Its payload goes out byte for byte as it is stored."""
    place = f"{api_url.rstrip('/')}/repos/{quote(dispatch.repository, safe='/')}"
    if not dispatch.workflow:
        event_type = json.dumps(dispatch.event_type)
        body = f'{{"event_type":{event_type},"client_payload":{dispatch.client_payload}}}'
        return _post(f"{place}/dispatches", body, api_version)
    url = f"{place}{_OF_A_WORKFLOW}{quote(dispatch.workflow, safe='')}/dispatches"
    body = f'"ref":{json.dumps(dispatch.ref)},"inputs":{dispatch.client_payload}'
    plain = _post(url, f"{{{body}}}", api_version)
    if api_version not in _ASKED_FOR_RUN:
        return plain
    asking = _post(url, f'{{{body},"return_run_details":true}}', api_version)
    return replace(asking, plainer=plain)


def question_request(question: Question, api_url: str, api_version: str = API_VERSION) -> Request:
    """The request that asks it."""
    own = {"If-None-Match": question.etag} if question.etag else {}
    if question.body:
        own["Content-Type"] = "application/json"
    url = api_url.rstrip("/") + question.path
    return Request(question.method, url, request_headers(api_version, own), question.body)


def redirected(reply: Reply, url: str) -> str | None:
    """Where the same question is to be asked again, as for a repository that was renamed; None
    where the answer points nowhere, or where the token must not go."""
    if reply.status not in (301, 302, 307, 308):
        return None
    there = _redirect("", reply.headers.get("location", ""), url)
    return there.url if isinstance(there, Redirected) else None


def refusal(reply: Reply, url: str, now: datetime, right: str = "") -> str:
    """What an answer means that is not the one that was asked for, and how to mend it. ``right`` is
    the permission that the question needs, as ``actions: read``; empty where a dispatch's is
    meant."""
    fields, words = reply.headers, _words(reply.body)
    said = f"GitHub answered {reply.status}" + (f': "{words}"' if words else "")
    if reply.status == 429 or (reply.status == 403 and _is_rate_limit(fields, words)):
        return _throttled(said, fields, now).reason
    why = _explanation(reply.status, fields, words, url, right)
    return f"{said}. {why}{_stranger(fields)}"


def _post(url: str, body: str, api_version: str) -> Request:
    return Request(
        method="POST",
        url=url,
        headers=request_headers(api_version, {"Content-Type": "application/json"}),
        body=body.encode(),
    )


def request_headers(
    api_version: str, own: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """What every request to GitHub's API says of itself, and what this one says on its ``own``."""
    return {
        "Accept": "application/vnd.github+json",
        **own,
        "User-Agent": f"dispatchd/{__version__}",
        "X-GitHub-Api-Version": api_version,
    }


def token_fault(value: str) -> str:
    """Why this can be no token of GitHub's, or nothing where it may be one."""
    if value and all("!" <= character <= "~" for character in value):
        return ""
    return "is empty, or holds a space, a line break or another character that no token has"


def payload_faults(event_type: str, payload: Mapping[str, object], encoded: bytes) -> list[str]:
    """What in a dispatch passes GitHub's limits, by how much, and how to mend it; empty if nothing.

    ``encoded`` is ``payload`` as the JSON that goes out.
    """
    faults = []
    if not event_type:
        faults.append(f"event_type is empty; GitHub wants 1 to {EVENT_TYPE_MAX} characters")
    if (excess := len(event_type) - EVENT_TYPE_MAX) > 0:
        faults.append(
            f"event_type has {len(event_type)} characters, {excess} more than GitHub's "
            f"{EVENT_TYPE_MAX}; put what varies into client_payload"
        )
    if (excess := len(payload) - PAYLOAD_KEYS_MAX) > 0:
        ours = ", the 'dispatchd' key included" if "dispatchd" in payload else ""
        faults.append(
            f"client_payload has {len(payload)} top-level keys{ours}, {excess} more than "
            f"GitHub's {PAYLOAD_KEYS_MAX}; put several under one key, as an object"
        )
    if (excess := len(encoded) - PAYLOAD_BYTES_MAX) > 0:
        faults.append(
            f"client_payload has {len(encoded):,} bytes as UTF-8 JSON, {excess:,} more than "
            f"GitHub's {PAYLOAD_BYTES_MAX:,}; pass on only the fields that the workflow reads, "
            "or a link to the rest"
        )
    return faults


def input_faults(inputs: Mapping[str, object], encoded: bytes) -> list[str]:
    """The same of a ``workflow_dispatch``."""
    faults = []
    if (excess := len(inputs) - INPUTS_MAX) > 0:
        ours = ", the input 'dispatchd' included" if "dispatchd" in inputs else ""
        faults.append(
            f"there are {len(inputs)} inputs{ours}, {excess} more than GitHub's {INPUTS_MAX}; "
            "put several into one, as JSON"
        )
    if (excess := len(encoded) - PAYLOAD_BYTES_MAX) > 0:
        faults.append(
            f"the inputs have {len(encoded):,} bytes as UTF-8 JSON, {excess:,} more than GitHub's "
            f"{PAYLOAD_BYTES_MAX:,}; pass on only what the workflow reads, or a link to the rest"
        )
    return faults


def interpret(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, now: datetime
) -> Answer | Redirected:
    """What GitHub's answer to a dispatch sent to ``url`` means. Never raises.

    ``body`` may be cut off. Rate limits follow
    https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    if status == 204:
        return Accepted(at=clock_there(fields, now))
    words = _words(body)
    said = f"GitHub answered {status}" + (f': "{words}"' if words else "")
    if 200 <= status < 300:
        return _other_success(said, fields, body, now)
    if status in (307, 308):
        return _redirect(said, fields.get("location", ""), url)
    if status == 429 or (status == 403 and _is_rate_limit(fields, words)):
        return _throttled(said, fields, now)
    if status in (401, 410):
        why = _explanation(status, fields, words, url)
        return Unauthorized(f"{said}. {why}{_stranger(fields)}")
    if 300 <= status < 500 and status != 408:
        return Failed(f"{said}. {_explanation(status, fields, words, url)}{_stranger(fields)}")
    return Ambiguous(f"{said}; it may have acted on the request or not")


def limits(headers: Mapping[str, str], now: datetime) -> Limits | None:
    """GitHub's rate-limit headers, with ``reset`` put right for our clock; None where they are
    missing or unreadable (a GitHub Enterprise Server may have its limits switched off)."""
    fields = {name.lower(): value for name, value in headers.items()}
    limit = _number(fields.get("x-ratelimit-limit"))
    remaining = _number(fields.get("x-ratelimit-remaining"))
    wait = _until_reset(fields, now)
    if limit is None or remaining is None or wait is None:
        return None
    resource = one_line(fields.get("x-ratelimit-resource", "core"), 50)
    return Limits(limit, remaining, now + wait, resource)


def one_line(text: str, most: int = QUOTE_MAX) -> str:
    """Foreign text made fit to quote: one line, no control characters, at most ``most`` long."""
    plain = text[: 20 * most]
    if not (plain.isascii() and plain.isprintable()):
        # Category C holds control characters, lone surrogates and what turns the reading direction.
        plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in plain)
    line = " ".join(plain.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _words(body: bytes) -> str:
    """What the answer says: GitHub's ``message`` and ``errors``, else the text of the page."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        page = body[: 20 * QUOTE_MAX].decode(errors="replace")
        return one_line(re.sub(r"<[^<>]*>", " ", page))
    if not isinstance(document, dict):
        return one_line(body.decode(errors="replace"))
    errors = document.get("errors")
    parts = [document.get("message"), *map(_error, errors if isinstance(errors, list) else [])]
    return one_line("; ".join(part for part in parts if isinstance(part, str)), _MESSAGE_MAX)


def _error(error: object) -> object:
    """One of GitHub's ``errors``: a text, or an object with a message, or only with a code."""
    if not isinstance(error, dict):
        return error
    return error.get("message") or f"{error.get('field')}: {error.get('code')}"


def _other_success(said: str, fields: Mapping[str, str], body: bytes, now: datetime) -> Answer:
    # Every answer of GitHub's has a request id. A page of a proxy or of a hotel's portal has none,
    # and says nothing about what became of the request.
    page = body.lstrip()[:1] == b"<"
    if "x-github-request-id" in fields and not page:
        return Accepted(_run_named(body), clock_there(fields, now))
    return Ambiguous(
        f"{said}, where GitHub answers 204: this looks like another server's answer; "
        "check GH_API_URL, and the proxy or portal between"
    )


def _run_named(body: bytes) -> RunNamed | None:
    """The run in the answer to a ``workflow_dispatch``."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    run_id = document.get("workflow_run_id") if isinstance(document, dict) else None
    if not isinstance(run_id, int) or isinstance(run_id, bool) or not 0 < run_id < 2**63:
        return None
    url = document.get("html_url")
    shown = isinstance(url, str) and url.startswith(("https://", "http://"))
    return RunNamed(run_id, one_line(url, _MESSAGE_MAX) if shown else "")


def _redirect(said: str, location: str, url: str) -> Answer | Redirected:
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
        same = _origin(url) == _origin(urljoin(url, location))
    except ValueError:
        same = False
    if not location or not same:
        return Failed(
            f"{said} and points to '{one_line(location)}', which is not on the same scheme, host "
            "and port: the token is not sent there. If GitHub moved, mend GH_API_URL"
        )
    # Built from our own origin: what reads the URL next may understand an odd host differently.
    path = quote(there.path, safe="/%:@!$&'()*+,;=~")
    query = quote(there.query, safe="/%:@!$&'()*+,;=~?")
    return Redirected(urlunsplit((here.scheme, here.netloc, path, query, "")))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _is_rate_limit(fields: Mapping[str, str], words: str) -> bool:
    # A secondary limit may come with plenty remaining and without retry-after: then only the
    # words tell it from a missing permission. "Abuse detection" was its name before 2022.
    text = words.lower()
    return (
        "retry-after" in fields
        or _number(fields.get("x-ratelimit-remaining")) == 0
        or "rate limit" in text
        or "abuse detection" in text
    )


def _throttled(said: str, fields: Mapping[str, str], now: datetime) -> Throttled:
    wait = retry_after(fields, now)
    if wait is None and _number(fields.get("x-ratelimit-remaining")) == 0:
        wait = _until_reset(fields, now)
    if wait is None:
        return Throttled(None, f"{said}; it is a rate limit that names no time to wait")
    seconds = round(wait.total_seconds())
    return Throttled(now + wait, f"{said}; it is a rate limit that ends in {seconds} s")


def retry_after(fields: Mapping[str, str], now: datetime) -> timedelta | None:
    """The wait that ``retry-after`` asks for: seconds, or an HTTP date."""
    text = fields.get("retry-after", "")
    if (seconds := _number(text)) is not None:
        return _bounded(timedelta(seconds=seconds))
    date = _http_date(text)
    return None if date is None else _bounded(date - clock_there(fields, now))


def _until_reset(fields: Mapping[str, str], now: datetime) -> timedelta | None:
    seconds = _number(fields.get("x-ratelimit-reset"))
    if seconds is None:
        return None
    return _bounded(datetime.fromtimestamp(seconds, UTC) - clock_there(fields, now))


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, timedelta(seconds=1)), WAIT_MAX)


def clock_there(fields: Mapping[str, str], now: datetime) -> datetime:
    """GitHub's clock at the time of the answer, so that instants it names become waits. One more
    than a day off is not believed."""
    date = _http_date(fields.get("date", ""))
    return now if date is None or abs(date - now) > WAIT_MAX else date


@lru_cache(maxsize=4)  # all answers of a second bear the same one
def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _number(text: str | None) -> int | None:
    """A header's whole number; None for anything else. Ten digits reach to the year 2286."""
    found = re.fullmatch(r"\s*([0-9]{1,10})\s*", text or "")
    return int(found[1]) if found else None


def _explanation(
    status: int, fields: Mapping[str, str], words: str, url: str, right: str = ""
) -> str:
    """What a refusal means and how to mend it, for the person who is woken by it."""
    if status in (300, 301, 302, 303, 304):
        target = one_line(fields.get("location", "")) or "nowhere"
        return (
            f"It points to '{target}', and a POST must not follow that: the repository or the API "
            "has moved; write its new name in the config (or in GH_API_URL)"
        )
    if status == 403:
        return _forbidden(fields, words, _needed(url, right))
    by_name = _OF_A_WORKFLOW in url
    known = {
        400: "It could not read the request, or does not know the API version: a proxy may have "
        "changed the request, else this is a fault in dispatchd",
        401: "The token is wrong, expired or revoked: make a new one and put it where the old one "
        "is. Read anew without a restart: `file:` and `credential:`",
        404: f"{'The organisation' if _of_organisation(url) else 'The repository'}'s name"
        f"{' or the workflow file' * by_name} is misspelt, or the token cannot see it: "
        f"{_needed(url, right)}",
        407: "A proxy wants credentials: put them into the proxy's URL in HTTPS_PROXY",
        410: "This version of its API is retired: set GH_API_VERSION to one that GitHub still has, "
        "or update dispatchd",
        422: "Mend what it names: the URL, or the names of the events"
        if _OF_HOOKS.search(url)
        else f"It allows {INPUTS_MAX} inputs, all of which the workflow must declare under `on: "
        "workflow_dispatch: inputs:` ('dispatchd' too, unless `inject_metadata` is false), and the "
        "`ref` must exist: mend the entry, or the workflow"
        if by_name
        else f"It allows event_type {EVENT_TYPE_MAX} characters, and client_payload "
        f"{PAYLOAD_KEYS_MAX} top-level keys and {PAYLOAD_BYTES_MAX:,} bytes: mend the entry",
    }
    return known.get(status, "It will answer the same again, so this is not retried")


def _needed(url: str, right: str) -> str:
    """What the token lacks; where no ``right`` is named, what the URL asks for."""
    if _of_organisation(url):
        return _HOOK_RIGHTS.format(place="organisation", scope="'admin:org_hook'", who="owner")
    if _OF_HOOKS.search(url):
        return _HOOK_RIGHTS.format(
            place="repository", scope="'repo' or 'admin:repo_hook'", who="admin there"
        )
    return _RIGHTS.format(right=right or _right(url))


def _right(url: str) -> str:
    """What a dispatch needs."""
    return "actions: write" if _OF_A_WORKFLOW in url else "contents: write"


def _of_organisation(url: str) -> bool:
    found = _OF_HOOKS.search(url)
    return found is not None and found[1].startswith("orgs/")


def _forbidden(fields: Mapping[str, str], words: str, needed: str) -> str:
    text = words.lower()
    if "x-github-sso" in fields or "saml" in text:
        return (
            "The organisation wants the token authorised for single sign-on: on GitHub, open the "
            "token's settings and choose 'Configure SSO'"
        )
    if "ip allow list" in text:
        return "The organisation admits listed addresses only, and this machine's is not listed"
    if "archived" in text:
        return "The repository is archived: unarchive it, or disable the entry"
    return f"Something is not permitted: {needed}"


def _stranger(fields: Mapping[str, str]) -> str:
    if "x-github-request-id" in fields:
        return ""
    return (
        ". (The answer has no x-github-request-id, so it may not be GitHub's own: check "
        "GH_API_URL and any proxy between)"
    )
