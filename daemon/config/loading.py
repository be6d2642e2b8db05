"""Three files and the environment become one Config, or every fault in them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from daemon.config.crons import CronReader
from daemon.config.dispatches import DispatchReader
from daemon.config.entry import Entry, EntrySource, refuse_repeated_names
from daemon.config.findings import Findings, Secrets
from daemon.config.follow_ups import FollowUpReader
from daemon.config.keyring import Keyring
from daemon.config.legacy import Rewritten, rewrite_cron, rewrite_trigger
from daemon.config.node import Node
from daemon.config.paths import ends_in, refuse_shadowed_paths
from daemon.config.runaways import report_runaways
from daemon.config.schedules import ScheduleReader
from daemon.config.settings import Flags, SettingsReader, no_credential
from daemon.config.sharing import sharing
from daemon.config.triggers import TriggerReader
from daemon.config_change import written
from daemon.document import Document, read_json, read_yaml
from daemon.errors import ConfigError, Fault
from daemon.expressions import JSON
from daemon.schemas import Name, check
from daemon.spec import Config, CronSpec, Settings, TriggerSpec

CRONS, TRIGGERS, SETTINGS = "CRONS.json", "TRIGGERS.json", "DAEMON.yaml"

NO_FLAGS = Flags()
ELSEWHERE = (
    "name another directory with --config-dir or DISPATCHD_CONFIG_DIR, or begin with "
    "`dispatchd init`"
)

Spec = TypeVar("Spec", CronSpec, TriggerSpec)


def load(
    directory: Path,
    environ: Mapping[str, str],
    *,
    flags: Flags = NO_FLAGS,
    secrets: Secrets = Secrets.REQUIRED,
    now: datetime | None = None,
) -> Config:
    """The configuration in ``directory``, ready to run. ``now`` (else the present) is only asked
    for which schedules are over.

    Entries that are disabled and cannot be read are left out, with warnings. Any of the files may
    be missing, but not both of the entries' files. Raises ConfigError with the faults of all files,
    in the order of file, line and column.
    """
    return _Loading(directory, environ, flags, secrets).config(now or datetime.now(UTC))


def load_settings(
    directory: Path, environ: Mapping[str, str], *, flags: Flags = NO_FLAGS
) -> Settings:
    """The settings alone, for whoever wants to reach a daemon: no fault in an entry keeps them
    from that. Raises ConfigError for faults in the settings themselves."""
    return _Loading(directory, environ, flags, Secrets.OPTIONAL).settings()


class _Loading:
    """One run through the files; what is found on the way gathers here."""

    def __init__(
        self, directory: Path, environ: Mapping[str, str], flags: Flags, secrets: Secrets
    ) -> None:
        self._directory = directory
        self._environ = environ
        self._flags = flags
        self._secrets = secrets
        self._keyring = Keyring(environ)
        self._unread: list[Fault] = []

    def config(self, now: datetime) -> Config:
        cron_source = self._source(CRONS, "crons", rewrite_cron)
        trigger_source = self._source(TRIGGERS, "triggers", rewrite_trigger)
        sources = [source for source in (cron_source, trigger_source) if source is not None]
        if not any(_exists(self._directory / name) for name in (CRONS, TRIGGERS)):
            self._unread.append(
                Fault(
                    str(self._directory),
                    0,
                    0,
                    "",
                    f"holds neither {CRONS} nor {TRIGGERS}",
                    ELSEWHERE,
                )
            )
        crons = list(cron_source.entries()) if cron_source else []
        triggers = list(trigger_source.entries()) if trigger_source else []
        entries = [*crons, *triggers]
        refuse_repeated_names(entries)
        refuse_shadowed_paths(triggers)

        yaml, own = self._settings_file()
        settings = SettingsReader(yaml, self._environ, self._flags, self._keyring, own)
        dispatches = DispatchReader(settings.default_repository)
        follow_ups = FollowUpReader(dispatches, self._keyring)
        cron_specs = _specs(CronReader(dispatches, follow_ups, ScheduleReader(now)).read, crons)
        reader = TriggerReader(dispatches, follow_ups, self._keyring)
        trigger_specs = _specs(reader.read, triggers)
        _report_homeless(dispatches.homeless)
        result = settings.read(named=frozenset(dispatches.repositories))
        _report_locked(dispatches.repositories, result)
        report_runaways(crons, cron_specs, result.breaker, now)
        _report_called_url(
            reader.url_signers, result.public_url, proxied=bool(result.trusted_proxies.networks)
        )

        findings = [own, *(source.findings for source in sources)]
        findings += [entry.findings for entry in entries]
        faults = {*self._unread, *(fault for each in findings for fault in each.faults)}
        if faults:
            raise ConfigError(_once(faults))
        doubts = {fault for each in findings for fault in each.warnings}
        return Config(
            cron_specs,
            sharing(trigger_specs),
            result,
            tuple(map(str, _once(doubts))),
            written(
                {entry.name: entry.node.value for entry in crons},
                {entry.name: entry.node.value for entry in triggers},
                yaml.value if yaml else None,
            ),
        )

    def settings(self) -> Settings:
        yaml, own = self._settings_file()
        reader = SettingsReader(yaml, self._environ, self._flags, self._keyring, own)
        result = reader.read(named=frozenset())
        if faults := {*self._unread, *own.faults}:
            raise ConfigError(sorted(faults))
        return result

    def _source(
        self, name: str, key: Name, rewrite: Callable[[Mapping[str, JSON]], Rewritten]
    ) -> EntrySource | None:
        document = self._document(name, read_json)
        if document is None:
            return None
        return EntrySource(document, key, rewrite, check(document, key), self._secrets)

    def _settings_file(self) -> tuple[Node | None, Findings]:
        document = self._document(SETTINGS, read_yaml)
        if document is None:
            return None, Findings(self._secrets)
        findings = Findings(self._secrets, check(document, "daemon"))
        return Node(document.data, (), document, "daemon", findings), findings

    def _document(self, name: str, read: Callable[[Path], Document]) -> Document | None:
        """The file, or None where there is none or it cannot be read, which is then a fault."""
        path = self._directory / name
        if not _exists(path):
            return None
        try:
            return read(path)
        except ConfigError as error:
            self._unread += error.faults
            return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # to read it will tell why not
        return True


def _specs(read: Callable[[Entry], Spec | None], entries: Iterable[Entry]) -> tuple[Spec, ...]:
    return tuple(spec for spec in map(read, entries) if spec is not None)


def _once(faults: Iterable[Fault]) -> list[Fault]:
    """In order, with one for each place in the ``defaults``: every entry that takes what stands
    there may put the same mistake into other words."""
    told: dict[object, Fault] = {}
    for fault in sorted(faults):
        shared = fault.path.startswith("defaults.")
        told.setdefault((fault.file, fault.line, fault.column) if shared else fault, fault)
    return list(told.values())


def _report_called_url(triggers: Iterable[Node], public_url: str, *, proxied: bool) -> None:
    """Warns of each of ``triggers``, whose senders sign the URL that they call, where that is not
    known or seems to name the trigger's path twice."""
    prefix = urlsplit(public_url).path
    for trigger in triggers:
        if not public_url and not proxied:
            trigger.at(("auth",)).warn(
                "the sender signs the URL that it calls, and behind a reverse proxy that is not "
                "known",
                "set `public_url` in DAEMON.yaml",
            )
        elif public_url and ends_in(prefix, trigger.text("path") or ""):
            trigger.at(("path",)).warn(
                "`public_url` in DAEMON.yaml ends in this path already, which is added to it: the "
                "URL that the sender signs would hold it twice",
                "leave the path out of `public_url`",
            )


def _report_homeless(dispatches: list[Node]) -> None:
    """One finding for all dispatches that nothing names a repository for: the cure is the same."""
    _report_first(
        dispatches,
        "nothing says which repository to dispatch to",
        "set GH_OWNER and GH_REPO, or add `repository` as owner/name",
    )


def _report_locked(dispatches: Mapping[str, list[Node]], settings: Settings) -> None:
    """One finding for each repository that no credential is for. Where there is none at all, that
    is for `run` to say, since a simulation needs none."""
    if settings.default_credential is None and not settings.credentials:
        return
    for repository, nodes in dispatches.items():
        if settings.credential_for(repository) is None:
            _report_first(nodes, *no_credential(repository))


def _report_first(dispatches: list[Node], message: str, hint: str) -> None:
    """Says at the first of them, of those that are in use if any is, what all of them lack."""
    needed = [node for node in dispatches if not node.findings.disabled]
    if first := next(iter(needed or dispatches), None):
        others = len(needed or dispatches) - 1
        first.unready(message + (f", here and in {others} more" if others else ""), hint)
