"""Webhooks at GitHub, and how a look for missed deliveries goes, as the JSON of the API."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.expressions import JSON, rfc3339
from daemon.github_hooks import Hook, HookDelivery
from daemon.recovery_report import HookReport, Report


def hook_view(hook: Hook, triggers: Sequence[str]) -> dict[str, JSON]:
    return {
        "place": hook.place,
        "id": hook.id,
        "url": hook.url,
        "triggers": [*triggers],
        "events": [*sorted(hook.events)],
        "active": hook.active,
        "content_type": hook.content_type,
        "last": hook.last,
    }


def recovery_view(report: Report) -> dict[str, JSON]:
    order, fact = report.order, report.fact
    return {
        "began_at": rfc3339(report.began_at),
        "finished": report.finished,
        "dry_run": order.dry_run,
        "missed": fact.missed,
        "asked": fact.asked,
        "hooks": [_hook(each) for each in report.hooks],
        "errors": [
            {"place": place, "reason": reason}
            for place, reason in {**report.failed, **report.denied}.items()
        ],
    }


def _hook(report: HookReport) -> JSON:
    hook, found = report.hook, report.found
    return {
        "place": hook.place,
        "id": hook.id,
        "url": hook.url,
        "since": rfc3339(report.since),
        "looked_at": report.looked_at,
        "whole": report.whole,
        "missed": [_delivery(each) for each in found.again],
        "left": found.left,
        "asked": len(report.asked),
        "refused": {str(status): count for status, count in sorted(found.refused.items())},
        "here": report.here,
    }


def _delivery(delivery: HookDelivery) -> JSON:
    return {
        "guid": delivery.guid,
        "event": delivery.event,
        "action": delivery.action,
        "at": rfc3339(delivery.at),
        "status": delivery.status,
        "code": delivery.code,
    }
