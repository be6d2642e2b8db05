"""The configuration as parsed, immutable values. Everything text (schedules, expressions,
templates, durations) is compiled by the time it gets here; nothing downstream parses it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias

from daemon.addresses import AllowList, Networks
from daemon.api_keys import OWN, ApiKey, Scope, digest
from daemon.chain import Breaker, Guards
from daemon.dispatch import ExpectedRun, OnAmbiguous
from daemon.event import Overlap
from daemon.expressions import Condition, Expression, Template, Tree
from daemon.follow_up import Cause, Follows, Wanted, nobody
from daemon.github import API_VERSION
from daemon.github_app import AppKey
from daemon.log_line import LogFormat, LogLevel
from daemon.schedule import Schedule
from daemon.secret import Secret
from daemon.signatures import Scheme

CATCH_UP_LIMIT = 100
"""How many instants of a backlog are accounted for one by one, unless an entry says otherwise."""

DEFAULT_CREDENTIAL = "GH_TOKEN"
"""The name of the credential that is for all repositories which have no other."""


DEFAULT_CHAIN_DEPTH = 10
DEFAULT_BREAKER = Breaker(500, timedelta(hours=1))


class CatchUp(StrEnum):
    """What to do about instants that passed while the daemon was away."""

    LATEST = "latest"  # fire the newest one that was missed
    ALL = "all"  # fire each of them, oldest first
    SKIP = "skip"  # fire none


@dataclass(frozen=True, slots=True)
class DispatchSpec:
    """One dispatch to make: a ``repository_dispatch``, or where it names a ``workflow`` and a
    ``ref``, a ``workflow_dispatch``, whose ``client_payload`` are the inputs and whose
    ``event_type`` is empty. ``event_types`` lists what a templated ``event_type`` may come to,
    and is empty beside a literal one. ``repository`` is ``owner/name``, or empty
    where neither the entry nor the settings name one (then the entry cannot run). ``expected`` is
    None where no run is."""

    event_type: Template
    event_types: frozenset[str]
    client_payload: Tree
    repository: str
    send_within: timedelta
    inject_metadata: bool
    workflow: str = ""
    ref: str = ""
    expected: ExpectedRun | None = field(default_factory=ExpectedRun)
    on_ambiguous: OnAmbiguous = OnAmbiguous.VERIFY


@dataclass(frozen=True, slots=True)
class NoticeSpec:
    """Somebody to tell. ``url`` is where, None where its reference leads nowhere yet; ``text`` what
    to say in place of the usual. At most ``max`` messages go there in any span ``per``: what is
    more is told in one."""

    url: Secret | None
    text: Template | None
    max: int
    per: timedelta


FollowUpSpec: TypeAlias = DispatchSpec | NoticeSpec
"""What to do after something went wrong."""


@dataclass(frozen=True, slots=True)
class CronSpec:
    """One entry of CRONS.json. What fires on time is sent up to ``jitter`` later. Of a backlog the
    newest ``catch_up_limit`` instants are looked at one by one; none fires that is later than
    ``max_lateness``, where there is one. Later than ``alert_after`` is an incident."""

    name: str
    description: str
    enabled: bool
    schedule: Schedule
    catch_up: CatchUp
    dispatches: tuple[DispatchSpec, ...]
    jitter: timedelta = timedelta()
    max_lateness: timedelta | None = None
    catch_up_limit: int = CATCH_UP_LIMIT
    overlap: Overlap = Overlap.ALLOW
    alert_after: timedelta | None = None
    on_failure: FollowUpSpec | None = None
    on_missing: FollowUpSpec | None = None


@dataclass(frozen=True, slots=True)
class Auth:
    """How a trigger's senders prove themselves. ``secrets`` holds every one that resolved; with
    none (and a scheme that needs one) every delivery is refused. ``verify_tokens`` are what a
    sender must name in its handshake, where it has such. Equal auths are verified once per
    delivery, however many triggers share them."""

    scheme: Scheme
    secrets: tuple[Secret, ...] = ()
    verify_tokens: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class DedupeSpec:
    """Deliveries with an equal ``key`` within ``window`` are one. ``key`` is None where the
    scheme's own delivery id is meant."""

    key: Expression | None
    window: timedelta


@dataclass(frozen=True, slots=True)
class RateLimitSpec:
    """At most ``max`` deliveries with an equal ``key`` within any span ``per``; without a key, of
    all together."""

    max: int
    per: timedelta
    key: Expression | None


@dataclass(frozen=True, slots=True)
class CoalesceSpec:
    """Of deliveries with an equal ``key`` (None: of all) that follow each other within ``window``,
    only the last is dispatched, and no later than ``max_wait`` after the first."""

    key: Expression | None
    window: timedelta
    max_wait: timedelta


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A trigger's own answer to its sender."""

    status: int
    body: Tree
    content_type: str


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """One entry of TRIGGERS.json. ``path`` may hold ``{params}``; ``variables`` are evaluated in
    order, each seeing those before it; ``dedupe`` is None where it is switched off, ``allow_from``
    where everybody may send. ``parent`` names the dispatch that a delivery descends from."""

    name: str
    description: str
    enabled: bool
    path: str
    methods: frozenset[str]
    auth: Auth
    max_body: int
    variables: tuple[tuple[str, Expression], ...]
    when: Condition | None
    dedupe: DedupeSpec | None
    response: ResponseSpec | None
    dispatches: tuple[DispatchSpec, ...]
    allow_from: AllowList | None = None
    rate_limit: RateLimitSpec | None = None
    coalesce: CoalesceSpec | None = None
    parent: Expression | None = None
    on_failure: FollowUpSpec | None = None
    on_missing: FollowUpSpec | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast GitHub is written to; 0 means no limit, for each."""

    writes_per_second: float = 1.0
    burst: int = 10
    writes_per_hour: int = 500


@dataclass(frozen=True, slots=True)
class Credential:
    """What writes to GitHub for an owner, a repository or all that have no other. ``name`` is what
    people know it by: its key in `credentials`, or GH_TOKEN. GitHub, at ``api_url``, counts its
    writes by themselves, and so does its ``pace``."""

    name: str
    key: Secret | AppKey
    api_url: str
    pace: Pace


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the daemon's own certificate (with those that signed it) and its key are: paths."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class Settings:
    """DAEMON.yaml, the environment and the flags, by the precedence of the contract.

    ``repositories`` is what ``POST /dispatch`` may reach. ``listen`` is (host, port).
    ``default_repository`` is ``GH_OWNER/GH_REPO`` or empty. ``database_url`` is SQLAlchemy's.
    ``public_url`` is what senders put before the daemon's paths, without a slash at its end, or
    empty. ``credentials`` has owners and repositories in lower case. ``ca_file`` holds certificate
    authorities that are trusted beside the system's, or is empty. ``api_keys`` are those of
    DAEMON.yaml, beside `api_key`, which is good for everything. ``recover`` says whether missed
    deliveries of GitHub's webhooks are looked for at a start, and ``reload_on_change`` whether the
    config is read anew when its files change. ``heartbeat_url`` is called while all is well, and
    ``notify`` told of what is not. ``tls`` is what HTTPS is served with, None where that is left to
    a proxy. Above ``max_database_size`` bytes (None: there is no limit) history goes early.
    """

    gh_token: Secret | None
    gh_api_url: str
    api_key: Secret | None
    default_repository: str
    repositories: frozenset[str]
    listen: tuple[str, int]
    database_url: str
    retention: timedelta
    pace: Pace
    trusted_proxies: Networks
    public_url: str
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    api_version: str = API_VERSION
    ca_file: str = ""
    recover: bool = True
    reload_on_change: bool = True
    max_chain_depth: int = DEFAULT_CHAIN_DEPTH
    breaker: Breaker = DEFAULT_BREAKER
    heartbeat_url: Secret | None = None
    notify: Secret | None = None
    api_keys: tuple[ApiKey, ...] = ()
    max_database_size: int | None = None
    log_format: LogFormat = LogFormat.AUTO
    log_level: LogLevel = LogLevel.INFO
    tls: TlsFiles | None = None

    @property
    def every_api_key(self) -> tuple[ApiKey, ...]:
        """All that open the daemon's own routes."""
        if self.api_key is None or not self.api_key.reveal():
            return self.api_keys
        own = ApiKey(OWN, frozenset(Scope), (digest(self.api_key.reveal()),))
        return (own, *self.api_keys)

    @property
    def guards(self) -> Guards:
        """What holds dispatches that may have run away."""
        return Guards(self.max_chain_depth, self.breaker)

    def credential_for(self, repository: str) -> Credential | None:
        """What writes to ``repository``: its own credential, its owner's, else `gh_token`."""
        name = repository.lower()
        owner = name.partition("/")[0]
        return self.credentials.get(name) or self.credentials.get(owner) or self.default_credential

    def lane_of(self, repository: str) -> str:
        """The name of the credential that is for the repository; nothing where there is none."""
        credential = self.credential_for(repository)
        return credential.name if credential else ""

    @property
    def all_credentials(self) -> tuple[Credential, ...]:
        """Each once, the default one first."""
        default = self.default_credential
        found = [*([default] if default else []), *self.credentials.values()]
        return tuple({credential.name: credential for credential in found}.values())

    @property
    def default_credential(self) -> Credential | None:
        if self.gh_token is None:
            return None
        return Credential(DEFAULT_CREDENTIAL, self.gh_token, self.gh_api_url, self.pace)


@dataclass(frozen=True, slots=True)
class Config:
    """All that the files and the environment say, ready to run. Disabled entries are kept, so
    that commands can show and explain them. ``written`` is what stands in the files, for
    `config_change.compare`."""

    crons: tuple[CronSpec, ...]
    triggers: tuple[TriggerSpec, ...]
    settings: Settings
    warnings: tuple[str, ...] = field(default=())
    written: bytes = field(default=b"", repr=False)

    def cron(self, name: str) -> CronSpec | None:
        return next((cron for cron in self.crons if cron.name == name), None)

    def trigger(self, name: str) -> TriggerSpec | None:
        return next((trigger for trigger in self.triggers if trigger.name == name), None)

    @property
    def longest_window(self) -> timedelta:
        """The longest span that a rate limit or a burst looks back on."""
        rates = (each.rate_limit.per for each in self.triggers if each.rate_limit)
        bursts = (each.coalesce.max_wait for each in self.triggers if each.coalesce)
        return max((*rates, *bursts), default=timedelta())

    @property
    def follows(self) -> Follows:
        """Which entries want follow-ups, and for which causes."""
        entries: tuple[CronSpec | TriggerSpec, ...] = (*self.crons, *self.triggers)
        wanted = frozenset(
            (entry.name, cause)
            for entry in entries
            for cause in Cause
            if follow_up_of(entry, cause)
        )
        told = self.settings.notify is not None
        return Wanted(wanted, told) if wanted or told else nobody


def follow_up_of(entry: CronSpec | TriggerSpec | None, cause: Cause) -> FollowUpSpec | None:
    """What the entry wants done for the cause; nothing where it is gone or disabled."""
    if entry is None or not entry.enabled:
        return None
    return entry.on_missing if cause is Cause.MISSING else entry.on_failure


def every_dispatch(entry: CronSpec | TriggerSpec) -> tuple[DispatchSpec, ...]:
    """All that the entry can dispatch, also after something went wrong."""
    follow_ups = (entry.on_failure, entry.on_missing)
    return (*entry.dispatches, *(each for each in follow_ups if isinstance(each, DispatchSpec)))
