"""The one HTTP client that talks to GitHub: sends a dispatch, and tells for certain whether a lost
answer means that nothing was sent. The rules are in ``daemon/github.py``."""

from __future__ import annotations

from daemon.client.fetching import Fetcher
from daemon.client.session import BODY_MAX, BODY_TIMEOUT, REDIRECTS_MAX, Exchange, GitHub

__all__ = ["BODY_MAX", "BODY_TIMEOUT", "REDIRECTS_MAX", "Exchange", "Fetcher", "GitHub"]
