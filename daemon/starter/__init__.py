"""What a newcomer is given to start from: entries for the config files, and workflows that listen
to what an entry sends."""

from __future__ import annotations

from importlib import resources

from daemon.starter.by_name import started, workflow_by_name
from daemon.starter.entries import Starter, cron_starter, trigger_starter
from daemon.starter.insertion import entry_text, new_file, with_entry
from daemon.starter.vendors import VENDORS
from daemon.starter.workflow import listened, workflow

__all__ = [
    "VENDORS",
    "Starter",
    "cron_starter",
    "entry_text",
    "listened",
    "new_file",
    "settings_text",
    "started",
    "trigger_starter",
    "with_entry",
    "workflow",
    "workflow_by_name",
]


def settings_text() -> str:
    """A DAEMON.yaml in which every setting is explained and commented out."""
    return resources.files(__name__).joinpath("DAEMON.yaml").read_text("utf-8")
