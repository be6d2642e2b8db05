"""Presets of those that sell, talk, write and plan; and of the standard that many of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from daemon.signatures.handshakes import (
    AsanaHandshake,
    DropboxChallenge,
    MetaVerification,
    NotionToken,
    SlackChallenge,
    ZoomValidation,
)
from daemon.signatures.preset import STANDARD_WEBHOOKS, Preset
from daemon.signatures.scheme import Acknowledgement

_OK = Acknowledgement(200)
_OK_AND_EMPTY = Acknowledgement(200, body="")

# From general knowledge of the vendor's documentation; the library pywa 4.5.0, which is not the
# vendor's, checks alike. That 200 is wanted is from there too.
_META = Preset(
    "Meta's X-Hub-Signature-256 (Facebook, Instagram, Messenger)",
    {"header": "x-hub-signature-256", "prefix": "sha256="},
    "App Dashboard > App settings > Basic > App secret. `verify_token` is text of your own, set "
    "again in Webhooks > Verify token",
    ("https://developers.facebook.com/docs/graph-api/webhooks/getting-started",),
    told_by_body=True,
    handshake=MetaVerification(),
    acknowledgement=_OK,
    issued=True,
)

# Confirmed against the vendor's SDK standardwebhooks 1.1.0.
_STANDARD = Preset(
    "Standard Webhooks: webhook-signature over id, time and body",
    STANDARD_WEBHOOKS,
    "the signing secret that the sender shows for the endpoint: whsec_…, or the public key whpk_…",
    ("https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",),
    public_keys=True,
    issued=True,
)

APPS: Mapping[str, Preset] = MappingProxyType(
    {
        "standard_webhooks": _STANDARD,
        # Confirmed against the vendor's SDK svix 2.9.1.
        "svix": replace(
            _STANDARD,
            description="Svix: svix-signature over id, time and body",
            parameters={
                **_STANDARD.parameters,
                "header": "svix-signature",
                "timestamp_header": "svix-timestamp",
                "delivery_header": "svix-id",
            },
            sources=("https://docs.svix.com/receiving/verifying-payloads/how-manual",),
        ),
        # Confirmed against the vendor's SDK stripe 16.1.0: the whole whsec_… is the key.
        "stripe": Preset(
            "Stripe's Stripe-Signature, which holds the time",
            {
                "header": "stripe-signature",
                "prefix": "v1=",
                "signed": "{timestamp}.{body}",
                "timestamp_prefix": "t=",
                "delivery_field": "id",
            },
            "Workbench > Webhooks > the endpoint > Signing secret: whsec_…, one for each endpoint; "
            "the CLI's `stripe listen` shows another",
            ("https://docs.stripe.com/webhooks#verify-manually",),
            issued=True,
            lookalikes=dict.fromkeys(
                ("sk_live_", "sk_test_", "rk_live_", "rk_test_"), "an API key"
            ),
        ),
        # Confirmed against the vendor's SDK slack_sdk 3.47.0. Slash commands and buttons want 200
        # and show the answer's body to whoever called them.
        "slack": Preset(
            "Slack's X-Slack-Signature",
            {
                "header": "x-slack-signature",
                "prefix": "v0=",
                "signed": "v0:{timestamp}:{body}",
                "timestamp_header": "x-slack-request-timestamp",
                "delivery_field": "event_id",
            },
            "api.slack.com/apps > the app > Basic Information > Signing Secret",
            (
                "https://docs.slack.dev/authentication/verifying-requests-from-slack",
                "https://docs.slack.dev/interactivity/handling-user-interaction",
            ),
            handshake=SlackChallenge(),
            acknowledgement=_OK_AND_EMPTY,
            issued=True,
            lookalikes=dict.fromkeys(("xoxb-", "xoxp-", "xapp-"), "an app's token"),
        ),
        # Confirmed against the vendor's SDK @shopify/shopify-api 13.1.0. Shopify's newer Events
        # have the same headers without the x-: both can be overridden.
        "shopify": Preset(
            "Shopify's X-Shopify-Hmac-SHA256",
            {
                "header": "x-shopify-hmac-sha256",
                "encoding": "base64",
                "delivery_header": "x-shopify-webhook-id",
            },
            "Settings > Notifications > Webhooks, at the bottom; an app's is its client secret",
            (
                "https://shopify.dev/docs/apps/build/webhooks/subscribe/https#step-2-validate-the-"
                "origin-of-your-webhook-to-ensure-its-coming-from-shopify",
            ),
            issued=True,
            lookalikes={"shpat_": "an access token"},
        ),
        # Confirmed against the vendor's SDK @zoom/rivet 0.4.0; the 200 (or 204) within three
        # seconds is in the documentation. The body holds event_ts, in milliseconds.
        "zoom": Preset(
            "Zoom's x-zm-signature over the time and the body",
            {
                "header": "x-zm-signature",
                "prefix": "v0=",
                "signed": "v0:{timestamp}:{body}",
                "timestamp_header": "x-zm-request-timestamp",
            },
            "marketplace.zoom.us > Manage > the app > Features > Access > Secret Token",
            (
                "https://developers.zoom.us/docs/api/webhooks/",
                "https://devsupport.zoom.us/hc/en-us/articles/360059893812-Webhook-delays",
            ),
            told_by_body=True,
            handshake=ZoomValidation(),
            acknowledgement=_OK,
            issued=True,
        ),
        "meta": _META,
        "whatsapp": replace(
            _META,
            description="WhatsApp's X-Hub-Signature-256: Meta's",
            sources=(
                *_META.sources,
                "https://developers.facebook.com/docs/whatsapp/cloud-api/guides/set-up-webhooks",
            ),
        ),
        # Confirmed against the vendor's SDK @notionhq/client 5.26.0.
        "notion": Preset(
            "Notion's X-Notion-Signature",
            {"header": "x-notion-signature", "prefix": "sha256=", "delivery_field": "id"},
            "Notion sends it, as verification_token, when the webhook is made: `dispatchd arm` the "
            "trigger before that, or take it from there and set it as `secret`",
            ("https://developers.notion.com/reference/webhooks",),
            learns_secret=True,
            handshake=NotionToken(),
            issued=True,
            lookalikes={"ntn_": "an integration's token"},
        ),
        # The library pyairtable 3.5.0 checks alike; that 200 or 204 is wanted, with nothing in it,
        # is in the vendor's documentation. The body holds the time, in milliseconds.
        "airtable": Preset(
            "Airtable's X-Airtable-Content-MAC, with a key in base64",
            {
                "header": "x-airtable-content-mac",
                "prefix": "hmac-sha256=",
                "key_encoding": "base64",
            },
            "the macSecretBase64 in the answer of the API's Create a webhook, shown once",
            ("https://airtable.com/developers/web/api/webhooks-overview",),
            told_by_body=True,
            acknowledgement=_OK_AND_EMPTY,
            issued=True,
        ),
        # From general knowledge, not confirmed: there is no SDK for it.
        "calendly": Preset(
            "Calendly's Calendly-Webhook-Signature, which holds the time",
            {
                "header": "calendly-webhook-signature",
                "prefix": "v1=",
                "signed": "{timestamp}.{body}",
                "timestamp_prefix": "t=",
                "tolerance": timedelta(minutes=3),
            },
            "the signing_key that you give to the API's Create Webhook Subscription",
            ("https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures",),
            told_by_body=True,
        ),
        # From general knowledge, not confirmed.
        "typeform": Preset(
            "Typeform's Typeform-Signature",
            {
                "header": "typeform-signature",
                "prefix": "sha256=",
                "encoding": "base64",
                "delivery_field": "event_id",
            },
            "the form > Connect > Webhooks > Secret",
            ("https://www.typeform.com/developers/webhooks/secure-your-webhooks/",),
        ),
        # The handshake is as the vendor's SDK asana 3.2.0 says, with the 200 or 204; the signature
        # is from general knowledge, not confirmed.
        "asana": Preset(
            "Asana's X-Hook-Signature",
            {"header": "x-hook-signature"},
            "Asana sends it, as X-Hook-Secret, when the webhook is made: `dispatchd arm` the "
            "trigger before that, or take it from there and set it as `secret`",
            ("https://developers.asana.com/docs/webhooks-guide",),
            dedupe="nothing: Asana names no id, and its heartbeats are all alike",
            learns_secret=True,
            handshake=AsanaHandshake(),
            acknowledgement=_OK,
            issued=True,
        ),
        # From general knowledge, not confirmed.
        "dropbox": Preset(
            "Dropbox's X-Dropbox-Signature",
            {"header": "x-dropbox-signature"},
            "App Console > the app > Settings > App secret",
            ("https://www.dropbox.com/developers/reference/webhooks",),
            dedupe="nothing: Dropbox names no id, and says the same of every change of an account",
            handshake=DropboxChallenge(),
            issued=True,
        ),
    }
)
