"""One finding of a check-up, and all of them as the JSON that ``--json`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Grade(StrEnum):
    """How it stands with what was checked."""

    OK = "ok"
    WARN = "warn"  # it works, and may not for long, or not as is meant
    FAIL = "fail"  # something that the config asks for cannot work


@dataclass(frozen=True, slots=True)
class Finding:
    """``check`` is what was looked at (``token``, ``listener``, …), ``subject`` of whom. ``text``
    says what was found, ``remedy`` what to do; both are one line without a full stop at its end."""

    check: str
    subject: str
    grade: Grade
    text: str
    remedy: str = ""


def ok(check: str, subject: str, text: str) -> Finding:
    return Finding(check, subject, Grade.OK, text)


def warn(check: str, subject: str, text: str, remedy: str = "") -> Finding:
    return Finding(check, subject, Grade.WARN, text, remedy)


def fail(check: str, subject: str, text: str, remedy: str = "") -> Finding:
    return Finding(check, subject, Grade.FAIL, text, remedy)


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """All as JSON, with how many there are of each grade."""
    counts = {grade.value: sum(each.grade is grade for each in findings) for grade in Grade}
    return {
        "healthy": not counts[Grade.FAIL],
        **counts,
        "checks": [
            {
                "check": each.check,
                "subject": each.subject,
                "result": each.grade.value,
                "text": each.text,
                "remedy": each.remedy or None,
            }
            for each in findings
        ],
    }
