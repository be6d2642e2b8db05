"""A delivery as Stripe sends it: an ``invoice.paid`` event, pretty-printed, its signature also over
the time.

The fields are those of the vendor's SDK stripe 16.1.0; their order and the layout are from general
knowledge, except that the event's id comes last here (see ``bench/payloads.py``). Source of the
signature: https://docs.stripe.com/webhooks#verify-manually
"""

from __future__ import annotations

import json

from bench.payload_objects import Object
from bench.request import MARK, SIGNATURE, Seal

CREATED = 1_741_944_413
MONTH = 31 * 86_400
INVOICE = "in_1R2YzbLkdIwHu7ixPqRsTuVw"
SITE = "https://invoice.stripe.com/i/acct_1032D82eZvKYlo2C/live_YWNjdF8xMDMyRDgyZVp2S1lsbzJD"


def headers(at: int) -> dict[str, str]:
    """The headers of a delivery that is signed at ``at``, in seconds since 1970."""
    return {
        "Accept": "*/*; q=0.5, application/xml",
        "Cache-Control": "no-cache",
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": f"t={at},v1={SIGNATURE}",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }


def seal(secret: str, at: int) -> Seal:
    """The scheme v1."""
    return Seal(secret, f"{at}.".encode())


def paid() -> bytes:
    """An event of 6 KB."""
    event = {
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": CREATED,
        "data": {"object": _invoice()},
        "livemode": True,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "invoice.paid",
        "id": f"evt_{MARK}",
    }
    return json.dumps(event, indent=2, ensure_ascii=False).encode()


def _invoice() -> Object:
    return {
        "id": INVOICE,
        "object": "invoice",
        "account_country": "DE",
        "account_name": "Acme Shop",
        "account_tax_ids": None,
        "amount_due": 5831,
        "amount_overpaid": 0,
        "amount_paid": 5831,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 1,
        "attempted": True,
        "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": True,
            "liability": {"type": "self"},
            "provider": "stripe",
            "status": "complete",
        },
        "automatically_finalizes_at": None,
        "billing_reason": "subscription_cycle",
        "collection_method": "charge_automatically",
        "created": CREATED - 3600,
        "currency": "eur",
        "custom_fields": None,
        "customer": "cus_RwT4b0G8oQwErT",
        "customer_address": {
            "city": "Berlin",
            "country": "DE",
            "line1": "Invalidenstraße 117",
            "line2": None,
            "postal_code": "10115",
            "state": None,
        },
        "customer_email": "accounts@customer.example",
        "customer_name": "Customer GmbH",
        "customer_phone": None,
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [{"type": "eu_vat", "value": "DE123456789"}],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": CREATED,
        "ending_balance": 0,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": f"{SITE}?s=ap",
        "invoice_pdf": f"{SITE}/pdf?s=ap",
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": {
            "object": "list",
            "data": [_line()],
            "has_more": False,
            "total_count": 1,
            "url": f"/v1/invoices/{INVOICE}/lines",
        },
        "livemode": True,
        "metadata": {},
        "next_payment_attempt": None,
        "number": "ACME-2025-0042",
        "on_behalf_of": None,
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": {"plan": "team", "seats": "7"},
                "subscription": "sub_1QrStuLkdIwHu7ixAbCdEfGh",
            },
            "type": "subscription_details",
        },
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": ["card", "sepa_debit"],
        },
        "period_end": CREATED,
        "period_start": CREATED - MONTH,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "paid",
        "status_transitions": {
            "finalized_at": CREATED,
            "marked_uncollectible_at": None,
            "paid_at": CREATED,
            "voided_at": None,
        },
        "subtotal": 4900,
        "subtotal_excluding_tax": 4900,
        "test_clock": None,
        "total": 5831,
        "total_discount_amounts": [],
        "total_excluding_tax": 4900,
        "total_pretax_credit_amounts": [],
        "total_taxes": [_tax()],
        "webhooks_delivered_at": CREATED,
    }


def _line() -> Object:
    return {
        "id": "il_1R2YzbLkdIwHu7ixLmNoPqRs",
        "object": "line_item",
        "amount": 4900,
        "currency": "eur",
        "description": "7 × Team plan (at €7.00 / month)",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": INVOICE,
        "livemode": True,
        "metadata": {"plan": "team", "seats": "7"},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": "sub_1QrStuLkdIwHu7ixAbCdEfGh",
                "subscription_item": "si_RlTqXyZaBcDeFg",
            },
            "type": "subscription_item_details",
        },
        "period": {"end": CREATED + MONTH, "start": CREATED},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {
                "price": "price_1QnOpqLkdIwHu7ixStUvWxYz",
                "product": "prod_RgHiJkLmNoPqRs",
            },
            "type": "price_details",
            "unit_amount_decimal": "700",
        },
        "quantity": 7,
        "subtotal": 4900,
        "taxes": [_tax()],
    }


def _tax() -> Object:
    return {
        "amount": 931,
        "tax_behavior": "exclusive",
        "tax_rate_details": {"tax_rate": "txr_1QmNopLkdIwHu7ixQrStUvWx"},
        "taxability_reason": "standard_rated",
        "taxable_amount": 4900,
        "type": "tax_rate_details",
    }
