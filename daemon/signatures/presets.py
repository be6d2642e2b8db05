"""Vendors that are a general scheme with its parameters filled in, as data. Every parameter can be
overridden in the entry's ``auth``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from daemon.signatures.preset import Preset
from daemon.signatures.presets_apps import APPS
from daemon.signatures.presets_code import CODE

PRESETS: Mapping[str, Preset] = MappingProxyType({**CODE, **APPS})
"""Those of ``hmac``."""

TOKENS: Mapping[str, Preset] = MappingProxyType(
    {
        # The ids that X-Gitlab-Event-UUID holds are no good: all hooks that an earlier one led to
        # share one. Idempotency-Key is the same in all tries of one delivery.
        "gitlab": Preset(
            "GitLab's secret token, in X-Gitlab-Token",
            {"header": "x-gitlab-token", "delivery_header": "idempotency-key"},
            "Settings > Webhooks > Secret token. If the signing token can be set there, use "
            "`gitlab_signed`: this token is no signature, and shows in every request",
            ("https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers",),
            lookalikes={"glpat-": "an access token"},
        ),
        # Confirmed against aiogram 3.31.0, which quotes the Bot API.
        "telegram": Preset(
            "the secret token of a Telegram bot, in X-Telegram-Bot-Api-Secret-Token",
            {"header": "x-telegram-bot-api-secret-token", "delivery_field": "update_id"},
            "the secret_token that you give to setWebhook: 1 to 256 of A-Z, a-z, 0-9, _ and -",
            ("https://core.telegram.org/bots/api#setwebhook",),
        ),
        # Docker Hub signs nothing, and takes no header: from general knowledge, not confirmed.
        "docker_hub": Preset(
            "Docker Hub, which signs nothing: the secret is in the query of the webhook's URL",
            {"query": "token"},
            "Repository > Webhooks > Webhook URL: end it in ?token= and the secret. It shows in "
            "the logs of whatever stands between",
            ("https://docs.docker.com/docker-hub/repos/manage/webhooks/",),
        ),
    }
)
"""Those of ``token``."""
