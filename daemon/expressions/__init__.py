"""Conditions and templates in CEL: compiled and type-checked once against the names that an entry
may use, evaluated against the values of one event.

The engine is Google's, through ``cel-expr-python``. Three of its habits shape this module. It
returns run-time errors as *values* whose plain form is a truthy string, so every result's type is
checked. It converts a variable when an expression first touches it, and once for each activation,
so one activation is shared by all expressions that need nothing else. And it cannot hand an
optional back to Python, so an expression that may come to one is refused when it is compiled.
"""

from daemon.expressions.evaluation import Bindings, Condition, Expression
from daemon.expressions.functions import DECLARED, Function
from daemon.expressions.templates import Template, Tree
from daemon.expressions.values import JSON, Path, as_text, compact, rfc3339, to_json
from daemon.expressions.vocabulary import Vocabulary

__all__ = [
    "DECLARED",
    "JSON",
    "Bindings",
    "Condition",
    "Expression",
    "Function",
    "Path",
    "Template",
    "Tree",
    "Vocabulary",
    "as_text",
    "compact",
    "rfc3339",
    "to_json",
]
