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
        settings = config.settings
        allowed = (trigger.allow_from for trigger in config.triggers if trigger.enabled)
        self.config = config
        self.follows: Follows = config.follows
        self.hook_urls = OwnUrls(config.triggers, settings.public_url)
        """By which webhooks of GitHub's come here."""
        self.hook_places: Sequence[str] = (*repositories_named(config), *apps_of(settings))
        """Where the config says that such webhooks may be set up."""
        self.asks_for_github = any(each is not None and each.github for each in allowed)
        """Whether any trigger lets GitHub in by its addresses."""
        self.alerts = any(cron.alert_after for cron in config.crons if cron.enabled)
        """Whether any cron entry wants to hear of firings that are late."""
        self.proving_github = frozenset(
            trigger.name for trigger in config.triggers if trigger.auth.scheme.name == "github"
        )
        """The triggers whose senders prove to be GitHub, by name."""

    def adopt(self, other: InForce) -> None:
        """From now on the config of ``other`` is in force. Nothing is worked out any more, so that
        nothing can fail."""
        vars(self).update(vars(other))

    @property
    def settings(self) -> Settings:
        return self.config.settings

    def lane_of(self, repository: str) -> str:
        """The name of the credential that is for the repository."""
        return self.settings.lane_of(repository)
