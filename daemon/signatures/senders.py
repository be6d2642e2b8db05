"""Which sender proves itself by which header: for hints only, when a request carries another
header than the one its trigger looks at."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Sender:
    """``name`` is for people; ``schemes`` are those that check the header."""

    name: str
    schemes: tuple[str, ...]


SENDERS: Mapping[str, Sender] = MappingProxyType(
    {
        "calendly-webhook-signature": Sender("Calendly", ("calendly",)),
        "circleci-signature": Sender("CircleCI", ("circleci",)),
        "linear-signature": Sender("Linear", ("linear",)),
        "sentry-hook-signature": Sender("Sentry", ("sentry",)),
        "stripe-signature": Sender("Stripe", ("stripe",)),
        "svix-signature": Sender("Svix", ("svix",)),
        "typeform-signature": Sender("Typeform", ("typeform",)),
        "webhook-signature": Sender("Standard Webhooks", ("standard_webhooks", "gitlab_signed")),
        "x-airtable-content-mac": Sender("Airtable", ("airtable",)),
        "x-amz-sns-message-type": Sender("Amazon SNS", ("sns",)),
        "x-dropbox-signature": Sender("Dropbox", ("dropbox",)),
        "x-forgejo-signature": Sender("Forgejo", ("forgejo",)),
        "x-gitea-signature": Sender("Gitea", ("gitea",)),
        "x-gitlab-token": Sender("GitLab", ("gitlab",)),
        "x-gogs-signature": Sender("Gogs", ("gogs",)),
        "x-grafana-alerting-signature": Sender("Grafana", ("grafana",)),
        "x-hook-secret": Sender("Asana's handshake", ("asana",)),
        "x-hook-signature": Sender("Asana", ("asana",)),
        "x-hub-signature": Sender(
            "GitHub's older SHA-1 signature, Bitbucket or Jira",
            ("bitbucket", "bitbucket_server", "jira"),
        ),
        "x-hub-signature-256": Sender("GitHub", ("github", "meta", "whatsapp")),
        "x-hubspot-signature-v3": Sender("HubSpot", ("hubspot",)),
        "x-notion-signature": Sender("Notion", ("notion",)),
        "x-pagerduty-signature": Sender("PagerDuty", ("pagerduty",)),
        "x-shopify-hmac-sha256": Sender("Shopify", ("shopify",)),
        "x-signature-ed25519": Sender("Discord", ("discord",)),
        "x-slack-signature": Sender("Slack", ("slack",)),
        "x-telegram-bot-api-secret-token": Sender("Telegram", ("telegram",)),
        "x-twilio-email-event-webhook-signature": Sender("SendGrid", ("sendgrid",)),
        "x-twilio-signature": Sender("Twilio", ("twilio",)),
        "x-vercel-signature": Sender("Vercel", ("vercel",)),
        "x-webhook-signature": Sender("Netlify", ("netlify",)),
        "x-zm-signature": Sender("Zoom", ("zoom",)),
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
    return f"{header} ({SENDERS[header].name})" if header in SENDERS else header


def what_to_do(header: str) -> str:
    """How a request that proves itself by ``header`` can be taken."""
    if header not in SENDERS:
        return "it is meant for another trigger, or `auth` must say how that one is checked"
    schemes = " or ".join(f"`{scheme}`" for scheme in SENDERS[header].schemes)
    return f"it is meant for another trigger, or the scheme should be {schemes}"
