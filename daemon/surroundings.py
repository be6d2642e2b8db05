"""What the daemon takes from outside of its config, and how the config is at work in a simulation
and out of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daemon.errors import UsageError
from daemon.places import simulation_database
from daemon.secret import Secret
from daemon.spec import Config

Adapt = Callable[[Config], Config]
"""The config as it is at work here, of the one in the files. Raises UsageError for one that cannot
be."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the config comes from: its files in a directory, and what reads them (and raises
    ConfigError)."""

    directory: Path
    files: Sequence[str]
    load: Callable[[], Config]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Without a ``source`` no config is read again."""

    environ: Mapping[str, str]
    simulate: bool = False
    source: Source | None = None

    def loading(self, adapt: Adapt) -> Callable[[], Config] | None:
        """Reads the config anew, as it is at work here; None where there is nowhere to read it."""
        source = self.source
        return None if source is None else lambda: adapt(source.load())


def equipped(config: Config) -> Config:
    """The config, which has a token for GitHub. Raises UsageError where it has none."""
    if config.settings.all_credentials:
        return config
    raise UsageError(
        "no GitHub token: set GH_TOKEN to one that may write to the contents of the repository (or "
        "add `credentials` to DAEMON.yaml), or try everything out with `dispatchd run --simulate`"
    )


def simulated(config: Config, api_url: str) -> Config:
    """The config in a simulation: the stand-in instead of GitHub, and a database of its own."""
    settings = replace(
        config.settings,
        gh_api_url=api_url,
        gh_token=Secret("simulated", "the simulation's own"),
        credentials={},
        database_url=simulation_database(config.settings.database_url),
    )
    return replace(config, settings=settings)
