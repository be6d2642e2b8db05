"""How a value shows itself to whoever debugs, where some of it is nobody's business in a log."""

from __future__ import annotations

from collections.abc import Container

from msgspec import Struct


def shown(value: Struct, *, without: Container[str]) -> str:
    """What ``repr`` says of ``value``, but for these fields: a body, or what holds credentials."""
    fields = (
        f"{name}={getattr(value, name)!r}"
        for name in value.__struct_fields__
        if name not in without
    )
    return f"{type(value).__name__}({', '.join(fields)})"
