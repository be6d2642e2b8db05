"""A secret that cannot slip into a log: it shows its reference, never its value."""

from __future__ import annotations

from dataclasses import dataclass, field

SHORTEST = 16
"""Characters below which a secret is called short: 16 random ones of base 64 are 96 bits."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A resolved secret. ``reference`` is what the config says (``env:NAME``); ``str`` and ``repr``
    show only that. Two secrets are equal when their values are."""

    value: str = field(repr=False)
    reference: str = field(compare=False)

    def reveal(self) -> str:
        """The value, for the one place that must send or compare it."""
        return self.value

    def __str__(self) -> str:
        return f"<secret {self.reference}>"
