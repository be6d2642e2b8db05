"""The vendors' checks of an address, each with what it asks and the answer it waits for. Each names
the vendor's documentation, which it was compared with."""

from __future__ import annotations

from daemon.signatures.handshakes.signed import (
    DiscordPing,
    GithubPing,
    SlackChallenge,
    SnsConfirmation,
    ZoomValidation,
)
from daemon.signatures.handshakes.unsigned import (
    AsanaHandshake,
    CloudEventsValidation,
    DropboxChallenge,
    GraphValidation,
    MetaVerification,
    NotionToken,
)

__all__ = [
    "AsanaHandshake",
    "CloudEventsValidation",
    "DiscordPing",
    "DropboxChallenge",
    "GithubPing",
    "GraphValidation",
    "MetaVerification",
    "NotionToken",
    "SlackChallenge",
    "SnsConfirmation",
    "ZoomValidation",
]
