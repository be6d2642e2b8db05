"""What tells notifications of Alertmanager apart, and those of Grafana, which are of its shape."""

from __future__ import annotations

import hashlib
import json


def alert_state(body: object) -> str | None:
    """An id for the state that a notification tells of: the group, its receiver, and which of its
    alerts fire since when. None where the body has another shape.

    ``groupKey`` alone is the group's for good: its end and its next beginning would be repetitions.
    With the state, those are only what Alertmanager sends again after a lost answer, what the
    second of two Alertmanagers sends, and the reminders of ``repeat_interval``.

    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """
    alerts = body.get("alerts") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(alerts, list) or "groupKey" not in body:
        return None
    state = [
        *(str(body.get(key)) for key in _GROUP),
        *sorted([str(one.get(key)) for key in _ALERT] for one in alerts if isinstance(one, dict)),
    ]
    return f"sha256:{hashlib.sha256(json.dumps(state).encode()).hexdigest()}"


_GROUP = ("groupKey", "receiver", "status", "truncatedAlerts")

_ALERT = ("fingerprint", "status", "startsAt")
"""Not ``endsAt``, which moves on while an alert fires."""
