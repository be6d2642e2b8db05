"""A workflow's ``run-name`` as GitHub evaluates it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from daemon.actions_expressions import expression
from daemon.actions_values import Beyond, Partial, printed

__all__ = ["TITLE_MAX", "Partial", "evaluated", "printed"]

TITLE_MAX = 250
"""Characters of a title that are shown."""

_EXPRESSION = re.compile(r"\$\{\{((?:'[^']*'|[^'])*?)\}\}", re.DOTALL)


def evaluated(run_name: str, contexts: Mapping[str, object]) -> str:
    """``run_name`` with its expressions evaluated over ``contexts`` (``github``, ``inputs``, …).

    What cannot be evaluated stays as it is written, so that whoever watches sees which part is not
    known. It never raises.
    """

    def value(found: re.Match[str]) -> str:
        try:
            return printed(expression(found[1], contexts))
        except (Beyond, RecursionError):
            return found[0]

    return _EXPRESSION.sub(value, run_name)[:TITLE_MAX]
