"""What people usually want of the best-known senders, as data: which event to pass on, and which of
its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Vendor:
    """The starter entry for one sender.

    ``name`` is the sender's own, and ``event`` what has happened there (behind "when"). ``when``,
    ``event_type`` and ``payload`` go into the entry as they are. ``when`` is true or false of
    whatever else the sender may send: every body, also one that is no object.
    """

    name: str
    event: str
    event_type: str
    payload: Mapping[str, str]
    when: str = ""


def general(scheme: str) -> Vendor:
    """For a scheme that tells nothing of the sender's events: everything is passed on, whole."""
    return Vendor(
        name="the sender",
        event="a request comes in",
        event_type=f"{scheme.replace('_', '-')}-received",
        payload={
            "event": "{{ event.id }}",
            "received_at": "{{ event.received_at }}",
            "body": "{{ body }}",
        },
    )


def _header(name: str, value: str) -> str:
    """That the header is there and has this value."""
    return f"headers[?'{name}'].orValue('') == '{value}'"


def _body(**fields: str) -> str:
    """That the body is an object with these fields. Of anything but an object even ``body.?field``
    is an error."""
    named = (f"body.?{name}.orValue('') == '{value}'" for name, value in fields.items())
    return " && ".join(("type(body) == map", *named))


_PUSHED: Mapping[str, str] = MappingProxyType(
    {
        "repository": "{{ body.repository.full_name }}",
        "ref": "{{ body.ref }}",
        "sha": "{{ body.after }}",
    }
)
"""Of GitHub's ``push``, which Gitea and Forgejo send alike."""

# https://docs.gitlab.com/user/project/integrations/webhook_events/#push-events
_GITLAB = Vendor(
    name="GitLab",
    event="a branch was pushed to",
    when=_header("x-gitlab-event", "Push Hook"),
    event_type="push-received",
    payload={
        "repository": "{{ body.project.path_with_namespace }}",
        "ref": "{{ body.ref }}",
        "sha": "{{ body.after }}",
    },
)

# The names of events and fields are from general knowledge of the vendors' documentation, which is
# named above each; only the schemes themselves are confirmed, in daemon/signatures.
VENDORS: Mapping[str, Vendor] = MappingProxyType(
    {
        # https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
        "github": Vendor(
            name="GitHub",
            event="the default branch was pushed to",
            when=_header("x-github-event", "push")
            + " && type(body) == map && body.?ref.orValue('')"
            " == 'refs/heads/' + body.?repository.?default_branch.orValue('')",
            event_type="push-received",
            payload=_PUSHED,
        ),
        "gitlab": _GITLAB,
        "gitlab_signed": _GITLAB,
        # https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/#Push
        "bitbucket": Vendor(
            name="Bitbucket",
            event="a branch or tag was pushed to, not only deleted",
            when=_header("x-event-key", "repo:push") + " && type(body) == map"
            " && body.?push.?changes.orValue([]).exists(c, c.new != null)",
            event_type="push-received",
            payload={
                "repository": "{{ body.repository.full_name }}",
                "ref": "{{ body.push.changes.filter(c, c.new != null)[0].new.name }}",
                "sha": "{{ body.push.changes.filter(c, c.new != null)[0].new.target.hash }}",
            },
        ),
        # https://docs.gitea.com/usage/webhooks
        "gitea": Vendor(
            name="Gitea",
            event="a branch was pushed to",
            when=_header("x-gitea-event", "push"),
            event_type="push-received",
            payload=_PUSHED,
        ),
        # https://forgejo.org/docs/latest/user/webhooks/
        "forgejo": Vendor(
            name="Forgejo",
            event="a branch was pushed to",
            when=_header("x-forgejo-event", "push"),
            event_type="push-received",
            payload=_PUSHED,
        ),
        # https://docs.stripe.com/api/events/types
        "stripe": Vendor(
            name="Stripe",
            event="an invoice was paid",
            when=_body(type="invoice.paid"),
            event_type="invoice-paid",
            payload={
                "invoice": "{{ body.data.object.id }}",
                "customer": "{{ body.data.object.customer }}",
                "amount": "{{ body.data.object.amount_paid }}",
            },
        ),
        # https://docs.slack.dev/apis/events-api/
        "slack": Vendor(
            name="Slack",
            event="something has happened that the app has subscribed to",
            when=_body(type="event_callback"),
            event_type="slack-event",
            payload={
                "event": "{{ body.event.type }}",
                "channel": "{{ body.event.?channel.orValue('') }}",
                "text": "{{ body.event.?text.orValue('') }}",
            },
        ),
        # https://shopify.dev/docs/api/webhooks
        "shopify": Vendor(
            name="Shopify",
            event="an order was paid",
            when=_header("x-shopify-topic", "orders/paid"),
            event_type="order-paid",
            payload={
                "shop": "{{ headers['x-shopify-shop-domain'] }}",
                "order": "{{ body.id }}",
                "total": "{{ body.total_price }}",
            },
        ),
        # https://linear.app/developers/webhooks
        "linear": Vendor(
            name="Linear",
            event="an issue was created",
            when=_body(type="Issue", action="create"),
            event_type="issue-created",
            payload={
                "issue": "{{ body.data.identifier }}",
                "title": "{{ body.data.title }}",
                "url": "{{ body.url }}",
            },
        ),
        # https://docs.sentry.io/organization/integrations/integration-platform/webhooks/issues/
        "sentry": Vendor(
            name="Sentry",
            event="an issue was created",
            when=_header("sentry-hook-resource", "issue") + " && " + _body(action="created"),
            event_type="issue-created",
            payload={
                "issue": "{{ body.data.issue.id }}",
                "title": "{{ body.data.issue.title }}",
                "project": "{{ body.data.issue.project.slug }}",
            },
        ),
        # https://developer.pagerduty.com/docs/webhooks-overview
        "pagerduty": Vendor(
            name="PagerDuty",
            event="an incident was triggered",
            when="type(body) == map && body.?event.?event_type.orValue('') == 'incident.triggered'",
            event_type="incident-triggered",
            payload={
                "incident": "{{ body.event.data.id }}",
                "title": "{{ body.event.data.title }}",
                "url": "{{ body.event.data.html_url }}",
            },
        ),
        # https://developer.atlassian.com/cloud/jira/platform/webhooks/
        "jira": Vendor(
            name="Jira",
            event="an issue was created",
            when=_body(webhookEvent="jira:issue_created"),
            event_type="issue-created",
            payload={
                "issue": "{{ body.issue.key }}",
                "summary": "{{ body.issue.fields.summary }}",
                "project": "{{ body.issue.fields.project.key }}",
            },
        ),
        # https://www.twilio.com/docs/messaging/guides/webhook-request
        "twilio": Vendor(
            name="Twilio",
            event="a message came in",
            when="type(body) == map && has(body.MessageSid) && has(body.Body)",
            event_type="message-received",
            payload={
                "message": "{{ body.MessageSid }}",
                "from": "{{ body.From }}",
                "text": "{{ body.Body }}",
            },
        ),
        # https://core.telegram.org/bots/api#setwebhook
        "telegram": Vendor(
            name="Telegram",
            event="the bot was sent a text",
            when="type(body) == map && has(body.message) && has(body.message.text)",
            event_type="message-received",
            payload={
                "chat": "{{ body.message.chat.id }}",
                "from": "{{ body.message.?from.?username.orValue('') }}",
                "text": "{{ body.message.text }}",
            },
        ),
        # https://vercel.com/docs/webhooks/webhooks-api
        "vercel": Vendor(
            name="Vercel",
            event="a deployment has succeeded",
            when=_body(type="deployment.succeeded"),
            event_type="deployment-succeeded",
            payload={
                "deployment": "{{ body.payload.deployment.id }}",
                "url": "{{ body.payload.deployment.url }}",
                "project": "{{ body.payload.?project.?id.orValue('') }}",
            },
        ),
        # https://circleci.com/docs/webhooks-reference/
        "circleci": Vendor(
            name="CircleCI",
            event="a workflow has failed",
            when=_body(type="workflow-completed")
            + " && body.?workflow.?status.orValue('') == 'failed'",
            event_type="workflow-failed",
            payload={
                "workflow": "{{ body.workflow.name }}",
                "url": "{{ body.workflow.url }}",
                "project": "{{ body.project.slug }}",
            },
        ),
        # https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
        "grafana": Vendor(
            name="Grafana",
            event="an alert fires",
            when=_body(status="firing"),
            event_type="alert-firing",
            payload={
                "title": "{{ body.title }}",
                "alerts": "{{ body.alerts.size() }}",
                "url": "{{ body.externalURL }}",
            },
        ),
        # https://www.typeform.com/developers/webhooks/example-payload/
        "typeform": Vendor(
            name="Typeform",
            event="a form was filled in",
            when=_body(event_type="form_response"),
            event_type="form-response",
            payload={
                "form": "{{ body.form_response.form_id }}",
                "response": "{{ body.form_response.token }}",
                "submitted_at": "{{ body.form_response.submitted_at }}",
            },
        ),
        # https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html
        "sns": Vendor(
            name="Amazon SNS",
            event="a message was published",
            when=_body(Type="Notification"),
            event_type="sns-message",
            payload={
                "topic": "{{ body.TopicArn }}",
                "subject": "{{ body.?Subject.orValue('') }}",
                "message": "{{ body.Message }}",
            },
        ),
        # https://developers.zoom.us/docs/api/rest/webhook-reference/
        "zoom": Vendor(
            name="Zoom",
            event="a meeting has ended",
            when=_body(event="meeting.ended"),
            event_type="meeting-ended",
            payload={
                "meeting": "{{ body.payload.object.id }}",
                "topic": "{{ body.payload.object.topic }}",
                "host": "{{ body.payload.object.host_id }}",
            },
        ),
    }
)
