"""Specs for tests, made by the real config from the few keys that a test is about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from daemon.config import Secrets, load
from daemon.spec import Config, CronSpec, TriggerSpec

SECRET = "a secret of 24 characters"
API_KEY = "an API key of 25 characters"
ENVIRON = {
    "GH_TOKEN": "github-token-for-tests",
    "GH_OWNER": "octo-org",
    "GH_REPO": "octo-repo",
    "API_KEY": API_KEY,
    "GH_WEBHOOK_SECRET": SECRET,
}
OPEN: Mapping[str, Any] = {"scheme": "none"}
SIGNED: Mapping[str, Any] = {"scheme": "github", "secret": "env:GH_WEBHOOK_SECRET"}


def config(
    triggers: Sequence[Mapping[str, Any]] = (),
    crons: Sequence[Mapping[str, Any]] = (),
    environ: Mapping[str, str] = ENVIRON,
    settings: Mapping[str, Any] | None = None,
) -> Config:
    with TemporaryDirectory() as directory:
        place = Path(directory)
        (place / "TRIGGERS.json").write_text(json.dumps(list(triggers)))
        (place / "CRONS.json").write_text(json.dumps(list(crons)))
        if settings is not None:
            (place / "DAEMON.yaml").write_text(json.dumps(settings))
        return load(place, environ, secrets=Secrets.REQUIRED)


def trigger_entry(name: str = "trigger", **keys: Any) -> dict[str, Any]:
    entry = {"name": name, "path": "/hook", "auth": OPEN, "dispatch": {"event_type": "build"}}
    return entry | keys


def cron_entry(name: str = "cron", **keys: Any) -> dict[str, Any]:
    return {"name": name, "schedule": "0 4 * * *", "dispatch": {"event_type": "nightly"}} | keys


def trigger(name: str = "trigger", **keys: Any) -> TriggerSpec:
    (spec,) = config([trigger_entry(name, **keys)]).triggers
    return spec


def cron(name: str = "cron", **keys: Any) -> CronSpec:
    (spec,) = config(crons=[cron_entry(name, **keys)]).crons
    return spec
