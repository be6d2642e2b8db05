"""Which of GitHub's webhooks are this daemon's: the URL of a trigger, the triggers behind a URL,
the events that they want, and where such webhooks may be set up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, urlsplit

from daemon.event import Delivery
from daemon.expressions import Path, stands_for, texts_compared
from daemon.github_app import AppKey
from daemon.github_hooks import APP, PING, is_place
from daemon.routes import Routes
from daemon.spec import (
    Config,
    Credential,
    DispatchSpec,
    Settings,
    TriggerSpec,
    every_dispatch,
)

SCHEMES = frozenset({"github", "github_legacy"})
"""Of triggers that GitHub's webhooks come to."""

TRACKED = "workflow_run"
"""The event by which GitHub tells of runs as they go."""

_EVENT = ("headers", "x-github-event")
_PORTS = {"http": 80, "https": 443}


def takes_hooks(trigger: TriggerSpec) -> bool:
    """Whether GitHub's webhooks can come to the trigger, and sign with its secret."""
    return trigger.auth.scheme.name in SCHEMES and "POST" in trigger.methods


class OwnUrls:
    """The URLs by which webhooks come to these triggers, from behind ``public_url``."""

    def __init__(self, triggers: Iterable[TriggerSpec], public_url: str) -> None:
        self._triggers = [each for each in triggers if each.enabled and takes_hooks(each)]
        self._routes = Routes(self._triggers)
        self._base = _parted(public_url) if public_url else None

    @property
    def any(self) -> bool:
        """Whether there can be such a URL at all."""
        return self._base is not None and bool(self._triggers)

    @property
    def names(self) -> frozenset[str]:
        """Of the triggers."""
        return frozenset(each.name for each in self._triggers)

    def behind(self, url: str) -> tuple[TriggerSpec, ...]:
        """The triggers that a webhook to ``url`` comes to; none where it goes elsewhere."""
        found = _parted(url)
        if self._base is None or found is None or found[0] != self._base[0]:
            return ()
        path, base = found[1], self._base[1]
        if not path.startswith(f"{base}/"):
            return ()
        match = self._routes.match(path.removeprefix(base))
        return match.route.triggers if match else ()


def own_url(trigger: TriggerSpec, public_url: str, params: Mapping[str, str]) -> str:
    """What GitHub is to call for the trigger. Raises ValueError, with what is missing, where that
    cannot be told."""
    if not public_url:
        raise ValueError(
            "nothing says by which URL GitHub reaches this daemon: set `public_url` in "
            "DAEMON.yaml, or give --url"
        )
    segments, unused = [], dict(params)
    for segment in trigger.path.split("/"):
        if not (segment.startswith("{") and segment.endswith("}")):
            segments.append(quote(segment, safe="!$&'()*+,;=:@~"))
            continue
        name = segment[1:-1]
        value = unused.pop(name, "")
        if not value:
            raise ValueError(f"the path {trigger.path} has {segment}: give --param {name}=VALUE")
        segments.append(quote(value, safe=""))
    if unused:
        raise ValueError(f"the path {trigger.path} has no {{{next(iter(unused))}}}")
    return public_url + "/".join(segments)


def events_named(trigger: TriggerSpec) -> frozenset[str]:
    """The events that the trigger's expressions ask for by name; none where that cannot be told."""
    paths: set[Path] = {_EVENT}
    names: set[str] = set()
    for name, expression in trigger.variables:
        if stands_for(expression, paths):
            paths.add((f"variables.{name}",))
        names |= texts_compared(expression, paths)
    if trigger.when is not None:
        names |= texts_compared(trigger.when.expression, paths)
    return frozenset(names - {PING, ""})


def dispatches_of(config: Config) -> Iterator[DispatchSpec]:
    """What the enabled entries dispatch."""
    for cron in config.crons:
        yield from every_dispatch(cron) if cron.enabled else ()
    for trigger in config.triggers:
        yield from every_dispatch(trigger) if trigger.enabled else ()


def repositories_named(config: Config) -> list[str]:
    """The repositories that the config names, each once: there webhooks of its own may be."""
    settings = config.settings
    named = [
        *(each.repository for each in dispatches_of(config)),
        *settings.repositories,
        settings.default_repository,
        *(name for name in settings.credentials if "/" in name),
    ]
    found: dict[str, str] = {}
    for name in filter(None, named):
        found.setdefault(name.lower(), name)
    return sorted(found.values())


def apps_of(settings: Settings) -> list[str]:
    """The GitHub Apps among the credentials, as places of webhooks: each App once, whatever it is
    installed for."""
    found: dict[tuple[str, str], str] = {}
    for each in settings.all_credentials:
        if isinstance(each.key, AppKey):
            found.setdefault((each.api_url, each.key.app_id), APP + each.name)
    return list(found.values())


def credential_at(settings: Settings, place: str) -> Credential | None:
    """What asks GitHub about the webhooks of a place."""
    if place.startswith(APP):
        return settings.credentials.get(place.removeprefix(APP).lower())
    return settings.credential_for(place)


def place_of(delivery: Delivery, document: object) -> str:
    """Where the webhook is set up that made the delivery, as far as its headers and body say:
    ``owner/name``, an organisation, or nothing."""
    kind = delivery.headers.get("x-github-hook-installation-target-type", "")
    if not isinstance(document, dict):
        return ""
    inner, key = {
        "repository": ("repository", "full_name"),
        "organization": ("organization", "login"),
    }.get(kind, ("", ""))
    found = document.get(inner)
    name = found.get(key) if isinstance(found, dict) else None
    return name if isinstance(name, str) and is_place(name) else ""


def _parted(url: str) -> tuple[tuple[str, str, int | None], str] | None:
    """Origin and path of a URL, both as they compare; None for one that cannot be read."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, (parts.hostname or "").lower(), port), parts.path
