"""The functions that expressions have beside CEL's own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import re2
from cel_expr_python import cel

from daemon.expressions.values import compact_in_order, to_json


def compiled_pattern(pattern: str) -> Any:
    """The pattern as RE2 takes it. Raises ValueError that says what is wrong with it."""
    try:
        return re2.compile(pattern, _RE2_OPTIONS)
    except re2.error as error:
        words = error.args[0] if error.args else ""
        told = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
        raise ValueError(f"invalid regular expression: {told}") from None


def _regex_extract(text: str, pattern: str) -> str:
    """The first group of the first match (the whole match where there is no group), else ""."""
    found = compiled_pattern(pattern).search(text)
    if found is None:
        return ""
    return (found.group(1) or "") if found.re.groups else found.group(0)


def _json_encode(value: Any) -> str:
    return compact_in_order(to_json(value))  # it may be hashed, or be a key


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_RE2_OPTIONS = re2.Options()
_RE2_OPTIONS.log_errors = False  # RE2 would write a bad pattern to standard error

_STRING = cel.Type.STRING
FUNCTIONS = [
    cel.FunctionDecl(
        "regex.extract",
        [cel.Overload("regex_extract", _STRING, [_STRING, _STRING], impl=_regex_extract)],
    ),
    cel.FunctionDecl("sha256", [cel.Overload("sha256", _STRING, [_STRING], impl=_sha256)]),
    cel.FunctionDecl(
        "json.encode",
        # One overload a type: the engine hands lists and maps to none that asks for `dyn`.
        [
            cel.Overload(f"json_encode_{kind.name().lower()}", _STRING, [kind], impl=_json_encode)
            for kind in (
                cel.Type.BOOL,
                cel.Type.INT,
                cel.Type.UINT,
                cel.Type.DOUBLE,
                cel.Type.STRING,
                cel.Type.BYTES,
                cel.Type.NULL,
                cel.Type.TIMESTAMP,
                cel.Type.DURATION,
                cel.Type.LIST,
                cel.Type.MAP,
            )
        ],
    ),
]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ours beside CEL's own, for suggestions and for the documentation."""

    name: str
    signature: str
    meaning: str


DECLARED = (
    Function(
        "regex.extract",
        "regex.extract(text, pattern)",
        'the first group of the first match (or the whole match), else ""; RE2 syntax',
    ),
    Function("json.encode", "json.encode(value)", "the value as compact JSON text"),
    Function("sha256", "sha256(text)", "the SHA-256 digest of the text, in hex"),
)

CEL_FUNCTIONS = (
    *("all", "bool", "bytes", "charAt", "contains", "double", "duration", "dyn", "endsWith"),
    *("exists", "exists_one", "filter", "format", "has", "hasValue", "indexOf", "int", "join"),
    *("lastIndexOf", "lowerAscii", "map", "matches", "orValue", "quote", "replace", "reverse"),
    *("size", "split", "startsWith", "string", "substring", "timestamp", "trim", "type", "uint"),
    *("upperAscii", "value", "getFullYear", "getMonth", "getDayOfWeek", "getHours", "getMinutes"),
    *(declared.name for declared in DECLARED),
)
"""What there is to call, for suggestions: CEL's own functions, its strings extension, and ours."""
