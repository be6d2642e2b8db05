"""Vendors whose signatures are the general HMAC shape, as data: what each means by its name.
Every parameter can be overridden in the entry's ``auth``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """``parameters`` are those of ``hmac``, as ``parse`` takes them."""

    description: str
    parameters: Mapping[str, Any]


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
        "github": Preset(
            "GitHub's X-Hub-Signature-256; deliveries are told apart by X-GitHub-Delivery",
            {
                "header": "x-hub-signature-256",
                "prefix": "sha256=",
                "delivery_header": "x-github-delivery",
            },
        ),
    }
)
