"""What there is to know of a scheme that the config may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from daemon.signatures.scheme import Scheme

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SchemeEntry:
    """One scheme that the config may name; ``required`` are among its ``parameters``.

    ``build`` takes checked parameters, header names already in lower case.
    """

    description: str
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    build: Callable[[Parameters], Scheme]
