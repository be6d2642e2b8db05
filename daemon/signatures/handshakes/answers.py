"""What the handshakes have in common: which text may be repeated, how it is, and what a body's
fields are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from daemon.signatures.handshake import Reply

PRINTABLE = re.compile(r"[ -;=?-~]{1,1024}")
"""Text that is safe to repeat: printable ASCII that opens no tag, whoever takes it for HTML."""

WORD = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")
"""What random tokens are made of: base64 of either kind, hex, digits."""

_NOSNIFF = MappingProxyType({"X-Content-Type-Options": "nosniff"})


def repeated(text: str) -> Reply:
    """The reply that repeats ``text``, which no browser may take for anything else."""
    return Reply(body=text, headers=_NOSNIFF)


def in_json(value: Mapping[str, Any]) -> Reply:
    return Reply(body=json.dumps(value), content_type="application/json")


def fields_of(value: object) -> Mapping[str, Any]:
    """The value's fields; none where it is no JSON object."""
    return value if isinstance(value, dict) else {}


def read_fields(body: bytes) -> Mapping[str, Any]:
    """The fields of a body that holds a JSON object, whatever its content type says; none where
    it holds no such thing."""
    try:
        return fields_of(orjson.loads(body))
    except ValueError:
        return {}
