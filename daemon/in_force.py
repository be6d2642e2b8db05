"""The config that is in force: what outlives a reload reads it here at its turn, and so goes by the
newest one. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.follow_up import Follows
from daemon.own_hooks import OwnUrls, apps_of, repositories_named
from daemon.spec import Config, Settings


class InForce:
    """Holds one config at a time, and what is worked out of it once."""

    def __init__(self, config: Config) -> None:
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """From now on this one is in force."""
        follows, urls = config.follows, OwnUrls(config.triggers, config.settings.public_url)
        places = (*repositories_named(config), *apps_of(config.settings))
        allowed = (trigger.allow_from for trigger in config.triggers if trigger.enabled)
        github_only = any(each is not None and each.github for each in allowed)
        alerts = any(cron.alert_after for cron in config.crons if cron.enabled)
        proving = frozenset(
            trigger.name for trigger in config.triggers if trigger.auth.scheme.name == "github"
        )
        self.config = config
        self.follows: Follows = follows
        self.hook_urls = urls
        """By which webhooks of GitHub's come here."""
        self.hook_places: Sequence[str] = places
        """Where the config says that such webhooks may be set up."""
        self.asks_for_github = github_only
        """Whether any trigger lets GitHub in by its addresses."""
        self.alerts = alerts
        """Whether any cron entry wants to hear of firings that are late."""
        self.proving_github = proving
        """The triggers whose senders prove to be GitHub, by name."""

    @property
    def settings(self) -> Settings:
        return self.config.settings

    def lane_of(self, repository: str) -> str:
        """The name of the credential that is for the repository."""
        return self.settings.lane_of(repository)
