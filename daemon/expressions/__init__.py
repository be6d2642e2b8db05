"""Conditions and templates in CEL: compiled and type-checked once against the names that an entry
may use, evaluated against the values of one event.

The engine is Google's, through ``cel-expr-python``. Its habits shape this package. It returns
run-time errors as *values* whose plain form is a truthy string, so every result's type is checked.
It converts a variable whole when an expression first touches it, so it is given only what the
expression reaches (``reach``), and nothing where that is all there is to the expression. It cannot
be interrupted, so what could take long is not begun (``work``, ``rules``, ``bounds``), and its
``map`` takes quadratic time and space unless it is rewritten (``appending``). And it cannot hand an
optional back to Python, so an expression that may come to one is refused (``optionals``).
"""

from daemon.expressions.compared import stands_for, texts_compared
from daemon.expressions.evaluation import Bindings, Condition, Expression
from daemon.expressions.functions import DECLARED, Function
from daemon.expressions.reach import Reach
from daemon.expressions.templates import Template, Tree
from daemon.expressions.values import (
    JSON,
    Path,
    as_text,
    compact,
    compact_in_order,
    rfc3339,
    to_json,
)
from daemon.expressions.vocabulary import Vocabulary

__all__ = [
    "DECLARED",
    "JSON",
    "Bindings",
    "Condition",
    "Expression",
    "Function",
    "Path",
    "Reach",
    "Template",
    "Tree",
    "Vocabulary",
    "as_text",
    "compact",
    "compact_in_order",
    "rfc3339",
    "stands_for",
    "texts_compared",
    "to_json",
]
