"""What today's config wants done where something goes wrong, as the store was told."""

from __future__ import annotations

from sqlalchemy import Connection

from daemon.follow_up import Follows, nobody


def follows(connection: Connection) -> Follows:
    """Who wants follow-ups, for what."""
    found: Follows = connection.get_execution_options().get("follows", nobody)
    return found
