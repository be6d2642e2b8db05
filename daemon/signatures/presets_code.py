"""Presets of those that keep code, build it, plan it and watch it run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from daemon.signatures.alert_groups import alert_state
from daemon.signatures.handshakes import GithubPing
from daemon.signatures.preset import STANDARD_WEBHOOKS, Preset
from daemon.signatures.scheme import Acknowledgement

CODE: Mapping[str, Preset] = MappingProxyType(
    {
        # Confirmed against the vendor's vector and its SDK @octokit/webhooks-methods 6.0.0.
        "github": Preset(
            "GitHub's X-Hub-Signature-256",
            {
                "header": "x-hub-signature-256",
                "prefix": "sha256=",
                "delivery_header": "x-github-delivery",
            },
            "Settings > Webhooks > Secret, of the repository, the organization or the GitHub App",
            ("https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",),
            handshake=GithubPing(),
            lookalikes={
                **dict.fromkeys(("ghp_", "github_pat_"), "a personal access token"),
                **dict.fromkeys(("gho_", "ghu_", "ghs_"), "an access token"),
            },
        ),
        # Confirmed against the vendor's documentation and merge request 230944 of GitLab.
        "gitlab_signed": Preset(
            "GitLab's signing token: the headers of Standard Webhooks",
            STANDARD_WEBHOOKS,
            "Settings > Webhooks > Signing token: whsec_…, shown once",
            ("https://docs.gitlab.com/user/project/integrations/webhooks/",),
            issued=True,
        ),
        # From general knowledge, not confirmed: the vendor has no SDK for it.
        "bitbucket": Preset(
            "Bitbucket Cloud's X-Hub-Signature",
            {
                "header": "x-hub-signature",
                "prefix": "sha256=",
                "delivery_header": "x-request-uuid",
            },
            "Repository settings > Webhooks > Secret",
            ("https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/",),
        ),
        # From the vendor's documentation as the library bitbucket of CodeRabbit quotes it.
        "bitbucket_server": Preset(
            "Bitbucket Data Center's X-Hub-Signature",
            {
                "header": "x-hub-signature",
                "prefix": "sha256=",
                "delivery_header": "x-request-id",
            },
            "Repository settings > Webhooks > Secret",
            ("https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html",),
        ),
        # Confirmed against the vendor's documentation.
        "gitea": Preset(
            "Gitea's X-Gitea-Signature",
            {"header": "x-gitea-signature", "delivery_header": "x-gitea-delivery"},
            "Settings > Webhooks > Secret",
            ("https://docs.gitea.com/usage/webhooks",),
        ),
        # From general knowledge, not confirmed: Forgejo began as a fork of Gitea.
        "forgejo": Preset(
            "Forgejo's X-Forgejo-Signature",
            {"header": "x-forgejo-signature", "delivery_header": "x-forgejo-delivery"},
            "Settings > Webhooks > Secret",
            ("https://forgejo.org/docs/latest/user/webhooks/",),
        ),
        # From general knowledge, not confirmed.
        "gogs": Preset(
            "Gogs's X-Gogs-Signature",
            {"header": "x-gogs-signature", "delivery_header": "x-gogs-delivery"},
            "Settings > Webhooks > Secret",
            ("https://gogs.io/docs/features/webhook",),
        ),
        # Confirmed against the vector in the vendor's documentation.
        "circleci": Preset(
            "CircleCI's circleci-signature",
            {"header": "circleci-signature", "prefix": "v1=", "delivery_field": "id"},
            "Project Settings > Webhooks > Secret token",
            ("https://circleci.com/docs/outbound-webhooks/#validate-webhooks",),
        ),
        # From general knowledge, not confirmed.
        "vercel": Preset(
            "Vercel's x-vercel-signature, of SHA-1",
            {"header": "x-vercel-signature", "algorithm": "sha1", "delivery_field": "id"},
            "Team Settings > Webhooks, where it is shown once; an integration's is its client "
            "secret",
            ("https://vercel.com/docs/webhooks/webhooks-api#securing-webhooks",),
            issued=True,
        ),
        # Confirmed against the vendor's SDK @linear/sdk 98.0.0, which goes by the body's time and
        # not by the header Linear-Timestamp, that nothing vouches for. That only 200 is a success
        # is in the documentation.
        "linear": Preset(
            "Linear's Linear-Signature, and the time that the signed body holds",
            {
                "header": "linear-signature",
                "timestamp_field": "webhookTimestamp",
                "tolerance": timedelta(minutes=1),
                "delivery_header": "linear-delivery",
            },
            "Settings > API > Webhooks > Signing secret",
            ("https://linear.app/developers/webhooks#securing-webhooks",),
            told_by_body=True,  # it holds the time; within the tolerance the id could be made up
            acknowledgement=Acknowledgement(200),
            issued=True,
            lookalikes={"lin_api_": "an API key"},
        ),
        # From general knowledge, not confirmed; that the id stays the same in all tries is as the
        # library jira.js, which is not the vendor's, says.
        "jira": Preset(
            "Jira's X-Hub-Signature",
            {
                "header": "x-hub-signature",
                "prefix": "sha256=",
                "delivery_header": "x-atlassian-webhook-identifier",
            },
            "System > WebHooks > Secret, of an administrator's webhook: no other is signed so",
            (
                "https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-admin-webhooks",
            ),
        ),
        # Confirmed against the vendor's documentation. Sentry-Hook-Timestamp is not signed.
        "sentry": Preset(
            "Sentry's Sentry-Hook-Signature",
            {"header": "sentry-hook-signature", "delivery_header": "request-id"},
            "Settings > Developer Settings > the integration > Client Secret",
            ("https://docs.sentry.io/organization/integrations/integration-platform/webhooks/",),
            issued=True,
        ),
        # From general knowledge, not confirmed: there is no SDK for it.
        "pagerduty": Preset(
            "PagerDuty's X-PagerDuty-Signature",
            {
                "header": "x-pagerduty-signature",
                "prefix": "v1=",
                "delivery_field": "event.id",
            },
            "Integrations > Generic Webhooks (v3), which shows it once, on creation",
            ("https://developer.pagerduty.com/docs/verifying-webhook-signatures",),
            issued=True,
        ),
        # Confirmed against the vendor's documentation.
        "grafana": Preset(
            "Grafana's X-Grafana-Alerting-Signature; with a timestamp_header, also over the time",
            {"header": "x-grafana-alerting-signature"},
            "Alerting > Contact points > Webhook > HMAC Signature > Secret. Set a timestamp header "
            "there too, and the same as `timestamp_header`: else old requests can be sent again",
            (
                "https://grafana.com/docs/grafana/latest/alerting/configure-notifications/"
                "manage-contact-points/integrations/webhook-notifier/",
            ),
            dedupe="the group of alerts and the state of each, so reminders are repetitions",
            timed={"signed": "{timestamp}:{body}"},
            identify=alert_state,
        ),
    }
)
