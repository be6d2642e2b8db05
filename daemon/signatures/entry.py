"""What there is to know of a scheme that the config may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.signatures.scheme import Scheme

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SchemeEntry:
    """One scheme that the config may name; ``required`` are among its ``parameters``.

    ``build`` takes checked parameters, header names already in lower case. For
    people: ``setup`` says where the vendor shows or takes the secret, as the end of a sentence,
    ``dedupe`` what tells deliveries apart where no parameter does, and ``sources`` are the
    addresses of the rules. An ``issued`` secret is made by the vendor, so that nobody here chooses
    how long it is. ``lookalikes`` are what other credentials of the vendor's begin with, and what
    they are, from general knowledge: for warnings only.
    """

    description: str
    parameters: tuple[str, ...]
    required: tuple[str, ...]
    build: Callable[[Parameters], Scheme]
    setup: str = ""
    dedupe: str = ""
    sources: tuple[str, ...] = ()
    issued: bool = False
    lookalikes: Mapping[str, str] = field(default_factory=dict)
