"""The one HTTP client that talks to GitHub: sends a dispatch under its repository's credential, and
tells for certain whether a lost answer means that nothing was sent. The rules are in
``daemon/github.py`` and ``daemon/github_app.py``. Beside it, what fetches what senders point to,
and what tells people."""

from __future__ import annotations

from daemon.client.fetching import Fetcher
from daemon.client.proxy import proxy_for
from daemon.client.session import BODY_MAX, BODY_TIMEOUT, REDIRECTS_MAX, Exchange, GitHub
from daemon.client.sessions import Prepared, Sessions
from daemon.client.telling import Teller

__all__ = [
    "BODY_MAX",
    "BODY_TIMEOUT",
    "REDIRECTS_MAX",
    "Exchange",
    "Fetcher",
    "GitHub",
    "Prepared",
    "Sessions",
    "Teller",
    "proxy_for",
]
