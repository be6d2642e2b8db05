"""Values as the expression engine can hold them: its strings have no NUL and no halves of surrogate
pairs, its integers 64 bits."""

from __future__ import annotations

from daemon.expressions import JSON

INT_MIN, INT_MAX = -(2**63), 2**64 - 1
"""The integers that the engine knows, those without a sign among them."""


def fit_text(text: str) -> str:
    """The text as the expression engine can take it: no NUL, no lone surrogate."""
    if "\0" not in text and (text.isascii() or not _has_surrogate(text)):
        return text
    return text.replace("\0", "�").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def fit(value: JSON) -> JSON:
    """The value with every text and every number in it made to fit."""
    match value:
        case str():
            return fit_text(value)
        case bool() | float() | None:
            return value
        case int():
            return value if INT_MIN <= value <= INT_MAX else _float(value)
        case list():
            return [fit(item) for item in value]
    return {fit_text(key): fit(item) for key, item in value.items()}


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
