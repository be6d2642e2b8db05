"""Payloads that GitHub really sent, with the event that each is of: ``@octokit/webhooks-examples``
7.6.1, under the MIT licence beside this file."""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).with_name("octokit-webhooks-examples-7.6.1.json.xz")


@dataclass(frozen=True, slots=True)
class Example:
    """``event`` is what GitHub sends as ``X-GitHub-Event``."""

    event: str
    payload: Mapping[str, Any]


@cache
def examples() -> tuple[Example, ...]:
    """All 329, those of one event next to each other."""
    found = json.loads(lzma.decompress(ARCHIVE.read_bytes()))
    return tuple(Example(each["event"], each["payload"]) for each in found)
