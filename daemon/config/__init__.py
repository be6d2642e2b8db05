"""The configuration: files and environment in, a Config or every fault at once out."""

from daemon.config.findings import Secrets
from daemon.config.keyring import read_anew
from daemon.config.loading import CRONS, SETTINGS, TRIGGERS, load, load_settings
from daemon.config.settings import Flags, config_directory

__all__ = [
    "CRONS",
    "SETTINGS",
    "TRIGGERS",
    "Flags",
    "Secrets",
    "config_directory",
    "load",
    "load_settings",
    "read_anew",
]
