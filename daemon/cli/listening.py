"""``dispatchd workflow``: prints the GitHub workflow that listens to what an entry sends, or that
it starts by name."""

from __future__ import annotations

import os
from pathlib import Path

from daemon import config
from daemon.cli.tables import say
from daemon.errors import UsageError
from daemon.starter import listened, started, workflow, workflow_by_name


def show_workflow(name: str, event_type: str | None, config_dir: Path | None) -> None:
    """Raises UsageError for an entry or an event type that there is not, and where one workflow
    cannot listen to all that the entry sends."""
    loaded = config.load(
        config.config_directory(config_dir, os.environ),
        os.environ,
        secrets=config.Secrets.OPTIONAL,
    )
    trigger, cron = loaded.trigger(name), loaded.cron(name)
    entry = trigger or cron
    if entry is None:
        names = [each.name for each in loaded.triggers] + [each.name for each in loaded.crons]
        known = ", ".join(names) or "none"
        raise UsageError(f"there is no entry {name!r}; there are: {known}")
    kind = "trigger" if trigger else "cron"
    if by_name := started(name, entry.dispatches, event_type):
        text = workflow_by_name(kind, name, by_name)
    else:
        sent = [each for each in entry.dispatches if not each.workflow]
        text = workflow(kind, name, listened(name, sent, event_type))
    say(text.rstrip("\n"))
