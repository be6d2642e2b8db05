"""Which sender proves itself by which header: for hints only, when a request carries another
header than the one its trigger looks at."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import MappingProxyType

SENDERS: Mapping[str, str] = MappingProxyType(
    {
        "circleci-signature": "CircleCI",
        "linear-signature": "Linear",
        "sentry-hook-signature": "Sentry",
        "stripe-signature": "Stripe",
        "svix-signature": "Svix",
        "typeform-signature": "Typeform",
        "webhook-signature": "Standard Webhooks",
        "x-forgejo-signature": "Forgejo",
        "x-gitea-signature": "Gitea",
        "x-gitlab-token": "GitLab",
        "x-grafana-alerting-signature": "Grafana",
        "x-hub-signature": "GitHub's older SHA-1 signature, Bitbucket or Jira",
        "x-hub-signature-256": "GitHub",
        "x-pagerduty-signature": "PagerDuty",
        "x-shopify-hmac-sha256": "Shopify",
        "x-signature-ed25519": "Discord",
        "x-slack-signature": "Slack",
        "x-telegram-bot-api-secret-token": "Telegram",
        "x-twilio-signature": "Twilio",
        "x-vercel-signature": "Vercel",
        "x-zm-signature": "Zoom",
    }
)
"""Header in lower case to its sender. Where Gitea and Forgejo send GitHub's header as well, the
request is no mystery and this is not asked."""

_TELLING = ("signature", "hmac", "token", "api-key", "apikey", "secret")


def similar_header(wanted: str, headers: Mapping[str, str]) -> str | None:
    """The header of the request that was most likely meant by ``wanted``, which it lacks: one of
    a known sender, else one spelt much the same, else one whose name tells of a proof."""
    known = [name for name in headers if name in SENDERS]
    alike = difflib.get_close_matches(wanted, list(headers), n=1, cutoff=0.75)
    telling = [name for name in headers if any(word in name for word in _TELLING)]
    return next(iter([*alike, *known, *telling]), None)


def describe(header: str) -> str:
    """``header`` with its sender's name, where that is known."""
    return f"{header} ({SENDERS[header]})" if header in SENDERS else header
