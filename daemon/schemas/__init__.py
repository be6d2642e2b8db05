"""The JSON Schemas of the configuration files and of golden cases, and the check against them.

The schemas say everything that one value can be judged by; ``daemon.config`` judges the rest."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from daemon.document import Document, dotted
from daemon.errors import Fault
from daemon.schemas.predicates import Predicate, Predicates

if TYPE_CHECKING:  # jsonschema takes a while to load, and is asked about what is wrong only
    from jsonschema.protocols import Validator

    from daemon.schemas.wording import Wording

Name = Literal["crons", "triggers", "daemon"]
AnyName: TypeAlias = Name | Literal["case"]


@cache
def schema(name: AnyName) -> dict[str, Any]:
    """The schema of CRONS.json, TRIGGERS.json, DAEMON.yaml or a case, as shipped. Not to be
    changed."""
    text = resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def check(document: Document, name: AnyName) -> list[Fault]:
    """Everything in ``document`` that its schema forbids, in the order of the text.

    One mistake makes one fault. No message repeats a value: it may be a secret.
    """
    if _predicate(name)(document.data):
        return []
    findings = _wording(name).findings(_validator(name).iter_errors(document.data))
    return sorted(
        Fault(
            document.file,
            *document.place(found.path, key=found.at_key),
            shown_path(name, found.path),
            found.message,
            found.hint,
        )
        for found in findings
    )


def shown_path(name: AnyName, path: tuple[str | int, ...]) -> str:
    """A path as faults show it, the same for both forms of a file: ``triggers[2].auth.secret``."""
    return dotted((name, *path) if path and isinstance(path[0], int) else path)


@cache
def _predicate(name: AnyName) -> Predicate:
    return Predicates(schema(name)).of(schema(name))


@cache
def _validator(name: AnyName) -> Validator:
    from daemon.schemas.validator import compiled

    return compiled(schema(name))


@cache
def _wording(name: AnyName) -> Wording:
    from daemon.schemas.wording import Wording

    return Wording(schema(name))
