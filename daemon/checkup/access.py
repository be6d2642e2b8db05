"""What a credential is good for, from what GitHub answered: reached or not, the token, the clock,
the rate limit, and what may be done in each repository."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlsplit

from daemon.checkup.finding import Finding, fail, ok, warn
from daemon.github import Question, Reply, one_line, refusal
from daemon.github_app import AppKey
from daemon.github_workflows import READ_ACTIONS, WRITE_ACTIONS, WRITE_CONTENTS, RepositoryTold
from daemon.spec import Credential

EXPIRES_SOON = timedelta(days=14)
SKEW_NOTED = timedelta(seconds=5)
SKEW_MAX = timedelta(seconds=60)
"""As far back as the claim of a GitHub App is dated: by more it is refused at first."""
FEW_LEFT = 0.1
"""The part of the hour's requests below which it is said that they run out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """GitHub's reply with our time just before and just after."""

    reply: Reply
    asked_at: datetime
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """What a running daemon says of its lane: writes of the last hour, until when GitHub limits it
    (RFC 3339, or nothing), and why GitHub refuses the credential, if it does."""

    writes_in_hour: int
    limited_until: str
    refused: str


def limits_question() -> Question:
    """What is left of the rate limit, which costs nothing of it."""
    return Question("/rate_limit")


def dispatch_probe(repository: str) -> Question:
    """A ``repository_dispatch`` without an event type, which can start nothing: GitHub has to
    refuse it, and the way in which it does tells whether the token may send one."""
    return Question(f"/repos/{quote(repository, safe='/')}/dispatches", "POST", body=b"{}")


def start_probe(repository: str, workflow: str) -> Question:
    """The same for a ``workflow_dispatch``, which has no ``ref``."""
    place = f"/repos/{quote(repository, safe='/')}/actions/workflows/{quote(workflow, safe='')}"
    return Question(f"{place}/dispatches", "POST", body=b"{}")


def ref_questions(repository: str, ref: str) -> tuple[Question, ...]:
    """Whether there is a branch or a tag of the name that a workflow is started with: one of these
    is answered 200 then."""
    place = f"/repos/{quote(repository, safe='/')}/git/ref"
    whole = ref.removeprefix("refs/")
    kinds = [whole] if whole != ref else [f"heads/{ref}", f"tags/{ref}"]
    return tuple(Question(f"{place}/{quote(kind)}") for kind in kinds)


def reached(credential: Credential, answer: Answer, proxy: str) -> Finding:
    took = (answer.answered_at - answer.asked_at).total_seconds()
    through = f", through the proxy {urlsplit(proxy).netloc}" if proxy else ""
    host = urlsplit(credential.api_url).netloc
    text = f"{host} answers in {max(took, 0):.1f} s{through}"
    if "x-github-request-id" not in answer.reply.headers:
        remedy = "check GH_API_URL, and what is between: a proxy, or a network's login page"
        return warn("github", credential.name, f"{text}, but not as GitHub does", remedy)
    return ok("github", credential.name, text)


def unreached(credential: Credential, why: str) -> Finding:
    return fail("github", credential.name, one_line(why, 500))


def refused(credential: Credential, why: str) -> Finding:
    """GitHub gives no token for it."""
    return fail("token", credential.name, _sentence(why))


def token(credential: Credential, answer: Answer, now: datetime) -> Finding:
    """Whether GitHub takes it, of what kind it is, and for how long it is good."""
    reply = answer.reply
    if reply.status == 401:
        return fail("token", credential.name, _sentence(refusal(reply, "", now)))
    # A GitHub Enterprise Server without limits answers 404, and only to those that it lets in.
    if reply.status not in (200, 404):
        return warn(
            "token",
            credential.name,
            f"cannot be told: {_sentence(refusal(reply, '', now))}",
            "run this again later",
        )
    kind = _kind(credential, reply)
    ends = _end(reply.headers.get("github-authentication-token-expiration", ""))
    if ends is None:
        return ok("token", credential.name, f"GitHub takes it: {kind}")
    text = f"GitHub takes it: {kind}, until {ends:%Y-%m-%d}"
    if ends - now < EXPIRES_SOON:
        days = max((ends - now).days, 0)
        remedy = "make a new one and put it where the old one is"
        return warn("token", credential.name, f"{text}, which is in {days} days", remedy)
    return ok("token", credential.name, text)


def scopes(reply: Reply) -> frozenset[str] | None:
    """Those of a classic token; None for one of another kind, which has none."""
    text = reply.headers.get("x-oauth-scopes")
    return None if text is None else frozenset(filter(None, re.split(r"[,\s]+", text)))


def clock(credential: Credential, answer: Answer) -> Finding:
    """By how much ours is off GitHub's, whose answers tell the second."""
    try:
        theirs = parsedate_to_datetime(answer.reply.headers.get("date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        theirs = None
    if theirs is None:
        remedy = "look at `timedatectl`"
        return warn("clock", credential.name, "GitHub's answer names no time", remedy)
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    # The answer was dated somewhere between the two, and up to a second was cut off.
    late = max(answer.asked_at - theirs - timedelta(seconds=1), timedelta())
    early = max(theirs - answer.answered_at, timedelta())
    off = max(late, early)
    way = "ahead of" if late else "behind"
    if off < SKEW_NOTED:
        return ok("clock", credential.name, "this machine's clock agrees with GitHub's")
    text = f"this machine's clock is {_span(off)} {way} GitHub's: crons fire by it"
    remedy = "have it set by the network: `timedatectl set-ntp true`"
    return (fail if off >= SKEW_MAX else warn)("clock", credential.name, text, remedy)


def rate(credential: Credential, answer: Answer, used: Used | None) -> Finding:
    """What is left of GitHub's rate limit, and of our own."""
    pace = credential.pace
    own = f"ours is {_each(pace.writes_per_second, 'a second')}"
    own += f" ({pace.burst} at once)" if pace.writes_per_second and pace.burst else ""
    own += f" and {_each(pace.writes_per_hour, 'an hour')}"
    if used is not None and pace.writes_per_hour:
        own += f", {used.writes_in_hour} of them used"
    limits = answer.reply.limits
    if used is not None and used.limited_until:
        text = f"GitHub has told the daemon to wait until {used.limited_until}; {own}"
        remedy = "it goes on by itself; lower GH_WRITES_PER_SECOND if that recurs"
        return warn("rate", credential.name, text, remedy)
    if limits is None:
        return ok("rate", credential.name, f"GitHub names no limit; {own}")
    text = f"{limits.remaining:,} of {limits.limit:,} requests are left until {limits.reset:%H:%M}Z"
    if limits.remaining == 0:
        remedy = "see who else uses this token, and give dispatchd one of its own"
        return fail("rate", credential.name, f"{text}; {own}", remedy)
    if limits.remaining < limits.limit * FEW_LEFT:
        remedy = "see who else uses this token"
        return warn("rate", credential.name, f"{text}; {own}", remedy)
    if used is not None and used.writes_in_hour >= pace.writes_per_hour * 0.9 > 0:
        remedy = "what is due waits; raise GH_WRITES_PER_HOUR, or use several credentials"
        return warn("rate", credential.name, f"{text}; {own}", remedy)
    return ok("rate", credential.name, f"{text}; {own}")


@dataclass(frozen=True, slots=True)
class Rights:
    """What is known of a credential's rights in one repository. ``scopes`` are those of a classic
    token, ``permissions`` those of an App's; both are None for a fine-grained token, of which
    GitHub tells nothing. ``probes`` are GitHub's answers to what needs a right, by this."""

    told: RepositoryTold
    scopes: frozenset[str] | None
    permissions: Mapping[str, str] | None
    probes: Mapping[str, Reply]


def rights(
    repository: str, wanted: Collection[str], known: Rights, now: datetime
) -> Iterator[Finding]:
    """One finding for each of the rights ``wanted``."""
    for right in sorted(wanted):
        yield _right(repository, right, known, now)


def to_be_probed(known: Rights) -> bool:
    """Whether nothing but a probe tells what may be written."""
    return known.scopes is None and not known.permissions


def _right(repository: str, right: str, known: Rights, now: datetime) -> Finding:
    check = "permissions"
    if right == READ_ACTIONS:
        return _readable(repository, known.probes.get(right), now)
    if known.told.may and not known.told.may.get("push", False) and not known.permissions:
        text = f"no {right}: whoever the token belongs to may not push there"
        return fail(check, repository, text, "give that account write access to the repository")
    if known.permissions:
        name, _, level = right.partition(": ")
        granted = known.permissions.get(name, "nothing")
        if granted in (level, "admin"):
            return ok(check, repository, f"{right}: GitHub says so of the App's token")
        text = f"no {right}: the App's token has {name}: {granted}"
        remedy = "add it under the App's Permissions, and accept it at the installation"
        return fail(check, repository, text, remedy)
    if known.scopes is not None:
        return _scoped(repository, right, known)
    return _probed(repository, right, known.probes.get(right), now)


def _readable(repository: str, reply: Reply | None, now: datetime) -> Finding:
    if reply is not None and reply.status == 200:
        return ok("permissions", repository, f"{READ_ACTIONS}: the workflows can be listed")
    why = _sentence(refusal(reply, "", now, READ_ACTIONS)) if reply else "GitHub did not answer"
    return fail("permissions", repository, f"no {READ_ACTIONS}: {why}")


def _scoped(repository: str, right: str, known: Rights) -> Finding:
    scopes = known.scopes or frozenset()
    has = ", ".join(sorted(scopes)) or "none"
    enough = "repo" in scopes or ("public_repo" in scopes and known.told.public)
    if enough:
        return ok("permissions", repository, f"{right}: the token's scopes ({has}) have it")
    text = f"no {right}: the token's scopes are {one_line(has)}"
    return fail("permissions", repository, text, "give it the scope `repo`, or make a new one")


def _probed(repository: str, right: str, reply: Reply | None, now: datetime) -> Finding:
    check = "permissions"
    remedy = "send one with `dispatchd dispatch`, which tells for certain"
    if reply is None:
        return warn(check, repository, f"{right}: could not be found out", remedy)
    if reply.status == 422:
        return ok(
            check,
            repository,
            f"{right}: GitHub found only fault with a dispatch that was left empty on purpose, and "
            "none with the token (which it looks at first, as far as is known)",
        )
    if reply.status in (401, 403, 404):
        accepted = reply.headers.get("x-accepted-github-permissions", "")
        needs = f" (GitHub names what it takes: {one_line(accepted)})" if accepted else ""
        text = f"no {right}{needs}: {_sentence(refusal(reply, '', now, right))}"
        return fail(check, repository, text)
    text = f"{right}: cannot be told from GitHub's answer, {reply.status}"
    return warn(check, repository, text, remedy)


def _kind(credential: Credential, reply: Reply) -> str:
    if isinstance(credential.key, AppKey):
        return "a GitHub App's"
    found = scopes(reply)
    if found is None:
        return "a fine-grained token" if "x-github-request-id" in reply.headers else "a token"
    return f"a classic token with the scopes {', '.join(sorted(found)) or '(none)'}"


def _end(text: str) -> datetime | None:
    """When a token ends, as the header has it: ``2026-12-01 08:00:00 UTC``, or with an offset."""
    try:
        found = datetime.fromisoformat(re.sub(r" ([+-])", r"\1", text.replace(" UTC", "+00:00")))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _sentence(text: str) -> str:
    return one_line(text, 600).rstrip(".")


def _each(number: float, span: str) -> str:
    if not number or not math.isfinite(number):
        return f"any number {span}"
    return f"{number:g} {span}"


def _span(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


WRITES = (WRITE_CONTENTS, WRITE_ACTIONS)
"""The rights that only a write would prove."""
