"""What a vendor's preset is: parameters of a general scheme, and what else is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from daemon.signatures.handshake import Handshake
from daemon.signatures.scheme import USUAL, Acknowledgement


@dataclass(frozen=True, slots=True)
class Preset:
    """``parameters`` are those of ``hmac``, or of ``token``, as ``parse`` takes them; ``timed``
    are put in their place where the config says that a header holds the time. ``public_keys`` says
    that the vendor may sign by ed25519 as well, as Standard Webhooks has it. ``identify``,
    ``told_by_body``, ``learns_secret``, ``handshake`` and ``acknowledgement`` are as in HmacScheme,
    ``setup``, ``dedupe``, ``sources``, ``issued`` and ``lookalikes`` as in SchemeEntry.
    """

    description: str
    parameters: Mapping[str, Any]
    setup: str
    sources: tuple[str, ...]
    dedupe: str = ""
    timed: Mapping[str, Any] = field(default_factory=dict)
    public_keys: bool = False
    identify: Callable[[object], str | None] | None = None
    told_by_body: bool = False
    learns_secret: bool = False
    handshake: Handshake | None = None
    acknowledgement: Acknowledgement = USUAL
    issued: bool = False
    lookalikes: Mapping[str, str] = field(default_factory=dict)


STANDARD_WEBHOOKS: Mapping[str, Any] = MappingProxyType(
    {
        "header": "webhook-signature",
        "prefix": "v1,",
        "encoding": "base64",
        "signed": "{id}.{timestamp}.{body}",
        "timestamp_header": "webhook-timestamp",
        "key_encoding": "base64",
        "key_prefix": "whsec_",
        "delivery_header": "webhook-id",
    }
)
"""The parameters that several vendors have from the specification of Standard Webhooks."""
