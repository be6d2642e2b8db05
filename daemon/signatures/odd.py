"""The schemes that have code of their own, by the name that the config uses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from daemon.signatures.ed25519 import DiscordScheme
from daemon.signatures.entry import SchemeEntry
from daemon.signatures.hubspot import HubspotScheme
from daemon.signatures.microsoft_graph import MicrosoftGraphScheme
from daemon.signatures.netlify import NetlifyScheme
from daemon.signatures.sendgrid import SendgridScheme
from daemon.signatures.sns import SnsScheme
from daemon.signatures.twilio import TwilioScheme

ODD: Mapping[str, SchemeEntry] = MappingProxyType(
    {
        "twilio": SchemeEntry(
            "Twilio's X-Twilio-Signature over the URL and the form, with the auth token",
            (),
            (),
            lambda given: TwilioScheme(),
            "Console > Account > API keys & tokens > Auth Token",
            "the header i-twilio-idempotency-token, and the body's hash, since no id is signed",
            ("https://www.twilio.com/docs/usage/webhooks/webhooks-security",),
            issued=True,
        ),
        "hubspot": SchemeEntry(
            "HubSpot's X-HubSpot-Signature-v3, with the app's client secret",
            ("tolerance",),
            (),
            lambda given: HubspotScheme(**given),
            "the app > Auth > Client secret",
            "nothing: it names no id",
            ("https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests",),
            issued=True,
        ),
        "sns": SchemeEntry(
            "Amazon SNS, by the certificate that its messages name; needs no secret",
            ("topic_arn", "tolerance"),
            ("topic_arn",),
            lambda given: SnsScheme(**given),
            "",
            "the body's MessageId",
            ("https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html",),
        ),
        "netlify": SchemeEntry(
            "Netlify's X-Webhook-Signature, a JWS by HS256, with its JWS secret token",
            (),
            (),
            lambda given: NetlifyScheme(),
            "Notifications > HTTP POST request > JWS secret token",
            "the body's hash, since no id is signed",
            ("https://docs.netlify.com/deploy/deploy-notifications/#payload-signature",),
        ),
        "discord": SchemeEntry(
            "Discord's X-Signature-Ed25519; the secret is the application's public key",
            ("tolerance",),
            (),
            lambda given: DiscordScheme(**given),
            "discord.com/developers > the application > General Information > Public Key",
            "the body's id, which interactions have, and webhook events do not",
            ("https://docs.discord.com/developers/events/webhook-events",),
            issued=True,
        ),
        "sendgrid": SchemeEntry(
            "SendGrid's signed Event Webhook; the secret is its verification key",
            ("tolerance",),
            (),
            lambda given: SendgridScheme(**given),
            "Mail Settings > Event Webhooks > Signature Verification > Public Key",
            "the sg_event_id of all events",
            (
                "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
            ),
            issued=True,
        ),
        "microsoft_graph": SchemeEntry(
            "Microsoft Graph's clientState, which every notification repeats",
            (),
            (),
            lambda given: MicrosoftGraphScheme(),
            "the clientState that you give when you create the subscription",
            "the id of all notifications",
            ("https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks",),
        ),
    }
)
