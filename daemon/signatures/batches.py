"""What the senders of batches have in common: several events in one body, each with an id of its
own and the batch with none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence


def batch_id(events: object, key: str) -> str | None:
    """A hash of the ids that the events of a batch have at ``key``, in their order; None unless
    all of them have one."""
    if not isinstance(events, Sequence) or isinstance(events, str | bytes) or not events:
        return None
    ids = [event.get(key) if isinstance(event, dict) else None for event in events]
    if not all(isinstance(one, str) and one for one in ids):
        return None
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()
