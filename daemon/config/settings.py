"""The settings, each from the first place that names it: a flag, the environment, a credential of
systemd, DAEMON.yaml."""

from __future__ import annotations

import re
import ssl
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from daemon.addresses import EVERYBODY, Network, NetworkError, Networks, network
from daemon.api_keys import OWN, ApiKey, digest
from daemon.certificate import CertificateError, read_certificate
from daemon.chain import Breaker
from daemon.config.api_keys import ApiKeyReader
from daemon.config.credentials import CredentialReader
from daemon.config.findings import Findings
from daemon.config.follow_ups import notice_url
from daemon.config.keyring import Keyring, SecretError
from daemon.config.node import Node
from daemon.config.setting_forms import (
    api_url,
    api_version,
    count,
    database_url,
    default_database,
    is_loopback,
    is_repository,
    listen_address,
    log_format,
    log_level,
    public_url,
    rate,
)
from daemon.durations import written
from daemon.errors import Fault
from daemon.expressions import JSON
from daemon.github import API_VERSION
from daemon.log_line import LogFormat, LogLevel
from daemon.notice import is_local, url_fault
from daemon.secret import SHORTEST, Secret
from daemon.sizes import UNITS, shown
from daemon.spec import (
    DEFAULT_BREAKER,
    DEFAULT_CHAIN_DEPTH,
    Credential,
    Pace,
    Settings,
    TlsFiles,
)

T = TypeVar("T")

_HTTP = re.compile(r"https?://", re.IGNORECASE)

DEFAULT_CONFIG_DIR = "config"
DEFAULT_API_URL = "https://api.github.com"
DEFAULT_LISTEN = ("127.0.0.1", 8080)
DEFAULT_RETENTION = timedelta(days=30)
SMALLEST_DATABASE = 16 * UNITS["MiB"]


@dataclass(frozen=True, slots=True)
class Flags:
    """Settings given on the command line; None where the flag was not used."""

    listen: str | None = None
    database: str | None = None
    log_format: str | None = None
    log_level: str | None = None


def config_directory(flag: Path | None, environ: Mapping[str, str]) -> Path:
    """Where the config files are looked for: the flag, ``DISPATCHD_CONFIG_DIR``, ``config``."""
    return flag or Path(environ.get("DISPATCHD_CONFIG_DIR") or DEFAULT_CONFIG_DIR)


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave, and where: ``file`` and ``name`` are what a fault shows."""

    value: JSON
    file: str
    name: str
    node: Node | None = None

    def fault(self, message: str, hint: str = "") -> Fault:
        line, column = self.node.place() if self.node else (0, 0)
        return Fault(self.file, line, column, self.name, message, hint)


def no_credential(repository: str) -> tuple[str, str]:
    """What is wrong where nothing writes to the repository, and how to mend it."""
    owner = repository.partition("/")[0]
    return (
        f"no credential is for {repository}",
        f"add {owner} to `credentials` in DAEMON.yaml, or set GH_TOKEN for all that have none",
    )


class SettingsReader:
    """Reads the settings of one start. ``yaml`` is the root of DAEMON.yaml, if there is one."""

    def __init__(
        self,
        yaml: Node | None,
        environ: Mapping[str, str],
        flags: Flags,
        keyring: Keyring,
        findings: Findings,
    ) -> None:
        self._yaml = yaml
        self._environ = environ
        self._flags = {
            "DISPATCHD_LISTEN": ("--listen", flags.listen),
            "DISPATCHD_DATABASE_URL": ("--database", flags.database),
            "DISPATCHD_LOG_FORMAT": ("--log-format", flags.log_format),
            "DISPATCHD_LOG_LEVEL": ("--log-level", flags.log_level),
        }
        self._keyring = keyring
        self._findings = findings
        self.default_repository = self._default_repository()

    def read(self, named: frozenset[str]) -> Settings:
        """The settings. ``named`` are the repositories that the entries dispatch to: with the
        default one they are what ``POST /dispatch`` may reach, unless DAEMON.yaml says otherwise.
        """
        allowed = self._yaml.texts("repositories") if self._yaml else None
        if allowed is None:
            allowed = [*named, self.default_repository]
        retention = (
            self._yaml.span("retention", DEFAULT_RETENTION) if self._yaml else DEFAULT_RETENTION
        )
        pace = Pace()
        settings = Settings(
            gh_token=self._secret("GH_TOKEN", guessable=False),
            gh_api_url=self._parsed("GH_API_URL", api_url, DEFAULT_API_URL),
            api_key=self._secret("API_KEY", guessable=True),
            default_repository=self.default_repository,
            repositories=frozenset(filter(None, allowed)),
            listen=self._parsed("DISPATCHD_LISTEN", listen_address, DEFAULT_LISTEN),
            database_url=self._parsed(
                "DISPATCHD_DATABASE_URL", database_url, default_database(self._environ)
            ),
            retention=retention,
            pace=Pace(
                self._parsed("GH_WRITES_PER_SECOND", rate, pace.writes_per_second),
                self._parsed("GH_WRITE_BURST", count, pace.burst),
                self._parsed("GH_WRITES_PER_HOUR", count, pace.writes_per_hour),
            ),
            trusted_proxies=self._trusted_proxies(),
            public_url=self._public_url(),
            api_version=self._parsed("GH_API_VERSION", api_version, API_VERSION),
            ca_file=self._ca_file(),
            recover=self._yaml.flag("recover", True) if self._yaml else True,
            reload_on_change=self._yaml.flag("reload_on_change", True) if self._yaml else True,
            max_chain_depth=(
                self._yaml.whole("max_chain_depth", DEFAULT_CHAIN_DEPTH)
                if self._yaml
                else DEFAULT_CHAIN_DEPTH
            ),
            breaker=self._breaker(retention),
            heartbeat_url=self._heartbeat_url(),
            notify=self._notify(),
            max_database_size=self._max_database_size(),
            log_format=self._parsed("DISPATCHD_LOG_FORMAT", log_format, LogFormat.AUTO),
            log_level=self._parsed("DISPATCHD_LOG_LEVEL", log_level, LogLevel.INFO),
        )
        settings = replace(
            settings,
            credentials=self._credentials(settings),
            api_keys=self._api_keys(settings.api_key),
            tls=self._tls(),
        )
        self._report_unreachable(settings)
        self._report_plain(settings)
        return settings

    def _breaker(self, retention: timedelta) -> Breaker:
        place = self._yaml.child("breaker") if self._yaml else None
        if place is None:
            return DEFAULT_BREAKER
        per = place.span("per", DEFAULT_BREAKER.per)
        if per > retention:
            place.at(("per",)).fault(
                f"is longer than `retention` ({written(retention)}), after which nothing is known "
                "any more",
                "shorten it, or lengthen `retention`",
            )
        return Breaker(place.whole("max", DEFAULT_BREAKER.max), per)

    def _max_database_size(self) -> int | None:
        size = self._yaml.size("max_database_size") if self._yaml else None
        if self._yaml and size is not None and size < SMALLEST_DATABASE:
            place = self._yaml.at(("max_database_size",))
            if not place.misshapen():
                place.fault(f"is less than the smallest, {shown(SMALLEST_DATABASE)}")
        return size

    def _credentials(self, settings: Settings) -> Mapping[str, Credential]:
        place = self._yaml.child("credentials") if self._yaml else None
        if place is None:
            return {}
        reader = CredentialReader(
            self._keyring, settings.gh_api_url, settings.pace, settings.default_credential
        )
        return reader.read(place)

    def _api_keys(self, own: Secret | None) -> tuple[ApiKey, ...]:
        place = self._yaml.child("api_keys") if self._yaml else None
        if place is None:
            return ()
        taken = {digest(own.reveal()): OWN} if own else {}
        return tuple(ApiKeyReader(self._keyring, taken).read(place))

    def _tls(self) -> TlsFiles | None:
        certificate, key = (
            self._yaml.child(name) if self._yaml else None for name in ("tls_cert", "tls_key")
        )
        given = [each for each in (certificate, key) if each is not None and each.value != ""]
        if not given or any(each.misshapen() for each in given):
            return None
        if certificate is None or key is None or len(given) < 2:
            given[0].fault("stands alone", "`tls_cert` and `tls_key` belong together", key=True)
            return None
        files = TlsFiles(str(certificate.value), str(key.value))
        try:
            read_certificate(files)
        except CertificateError as error:
            certificate.unready(str(error))
            return files
        if Path(files.key).stat().st_mode & stat.S_IROTH:
            key.warn(f"{files.key} can be read by every user of this machine", "chmod o-r it")
        return files

    def _report_plain(self, settings: Settings) -> None:
        """Tells where others on the network could listen."""
        host, port = settings.listen
        given = self._find("DISPATCHD_LISTEN")
        if given is None or settings.tls or settings.trusted_proxies.networks or is_loopback(host):
            return
        self._findings.warn(
            given.fault(
                f"is plain HTTP on {host or 'every interface'}, port {port}: whoever is on the way "
                "can read keys and deliveries",
                "set `tls_cert` and `tls_key`, or listen on 127.0.0.1 behind a reverse proxy, or "
                "name the proxy in `trusted_proxies`",
            )
        )

    def _report_unreachable(self, settings: Settings) -> None:
        """Tells of each of `repositories` that no credential is for, where there are any at all."""
        place = self._yaml.child("repositories") if self._yaml else None
        for member in place.each() if place is not None and settings.credentials else ():
            if isinstance(member.value, str) and not settings.credential_for(member.value):
                member.unready(*no_credential(member.value))

    def _notify(self) -> Secret | None:
        place = self._yaml.child("notify") if self._yaml else None
        if self._yaml is None or place is None or place.misshapen():
            return None
        return notice_url(self._yaml, self._keyring)

    def _heartbeat_url(self) -> Secret | None:
        place = self._yaml.child("heartbeat_url") if self._yaml else None
        if place is None or not isinstance(place.value, str) or place.misshapen():
            return None
        given = place.value
        if _HTTP.match(given):
            if fault := url_fault(given):
                place.fault(fault)
                return None
            if not is_local(given):
                place.warn(
                    "whoever knows this URL can have it seem that all is well",
                    "set a variable to it, and write env:NAME here",
                )
            return Secret(given, "`heartbeat_url`")
        try:
            found = self._keyring.resolve(given)
        except SecretError as error:
            place.unready(str(error), error.hint)
            return None
        url = found.secret.reveal().strip()
        fault = url_fault(url) if _HTTP.match(url) else "is no http or https URL"
        if fault:
            place.unready(f"what is at {given} {fault}")
            return None
        return found.secret

    def _ca_file(self) -> str:
        place = self._yaml.child("ca_file") if self._yaml else None
        if place is None or not isinstance(place.value, str) or place.misshapen():
            return ""
        if not place.value:
            return ""
        try:
            ssl.create_default_context(cafile=place.value)
        except ssl.SSLError:
            place.unready(f"{place.value} holds no certificate in PEM form")
        except OSError as error:
            place.unready(f"{place.value} cannot be read: {error.strerror}")
        return place.value

    def _trusted_proxies(self) -> Networks:
        place = self._yaml.child("trusted_proxies") if self._yaml else None
        trusted: list[Network] = []
        for member in place.each() if place is not None and isinstance(place.value, list) else ():
            if not isinstance(member.value, str) or not member.value:
                continue
            try:
                trusted.append(network(member.value))
            except NetworkError as error:
                member.fault(str(error), error.hint)
                continue
            if trusted[-1] in EVERYBODY:
                member.warn(
                    "trusts everybody, so that every sender can make up the address that it "
                    "comes from",
                    "name the networks of the proxies alone",
                )
        return Networks(tuple(trusted))

    def _public_url(self) -> str:
        place = self._yaml.child("public_url") if self._yaml else None
        if place is None or not isinstance(place.value, str) or place.misshapen():
            return ""
        try:
            return public_url(place.value)
        except ValueError as error:
            place.fault(str(error))
            return ""

    def _default_repository(self) -> str:
        """``GH_OWNER/GH_REPO`` as ``owner/name``, or empty where they do not name one."""
        repo, owner = self._find("GH_REPO"), self._find("GH_OWNER")
        if repo is None:
            return ""
        name = str(repo.value)
        if "/" in name:
            before = name.partition("/")[0]
            if owner is not None and str(owner.value).lower() != before.lower():
                self._findings.fault(
                    repo.fault(f"{name!r} has another owner than GH_OWNER, {owner.value!r}")
                )
        elif owner is None:
            self._findings.fault(
                repo.fault(f"{name!r} has no owner", "set GH_OWNER, or write owner/name")
            )
            return ""
        else:
            name = f"{owner.value}/{name}"
        if not is_repository(name):
            self._findings.fault(repo.fault(f"{name!r} is not a repository", "write owner/name"))
            return ""
        return name

    def _find(self, name: str) -> Given | None:
        """The first place that names the setting; an empty value counts as none."""
        flag, value = self._flags.get(name, ("", None))
        if value:
            return Given(value, "command line", flag)
        if text := self._environ.get(name, "").strip():
            return Given(text, "environment", name)
        try:
            if credential := self._keyring.credential(name):
                return Given(credential.reveal().strip(), "credential", name)
        except SecretError as error:
            self._findings.fault(Fault("credential", 0, 0, name, str(error), error.hint))
        node = self._yaml.child(name.lower()) if self._yaml else None
        if node is None or node.value in (None, ""):
            return None
        return Given(node.value, node.document.file, node.where(), node)

    def _parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """The setting as ``parse`` reads it, which raises ValueError for what it cannot read."""
        given = self._find(name)
        if given is None:
            return default
        try:
            return parse(str(given.value))
        except ValueError as error:
            self._findings.fault(given.fault(str(error)))
            return default

    def _secret(self, name: str, *, guessable: bool) -> Secret | None:
        """A setting that is a secret: the value itself in the environment, a reference in
        DAEMON.yaml. ``guessable`` ones were thought up by a person and may be too short."""
        given = self._find(name)
        if given is None:
            return None
        if given.node is None:
            secret = Secret(str(given.value), f"{given.file}:{name}")
            if guessable and len(secret.reveal()) < SHORTEST:
                self._findings.warn(
                    given.fault(
                        f"is shorter than {SHORTEST} characters and can be guessed",
                        "make one with `openssl rand -hex 32`",
                    )
                )
            return secret
        try:
            resolved = self._keyring.resolve(str(given.value))
        except SecretError as error:
            self._findings.unready(given.fault(str(error), error.hint))
            return None
        for doubt in (*resolved.doubts, resolved.guessable if guessable else ""):
            if doubt:
                self._findings.warn(given.fault(doubt))
        return resolved.secret
