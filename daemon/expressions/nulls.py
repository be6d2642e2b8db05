"""Keeps ``None`` alive while the engine hands out nulls, which costs a reference each."""

from __future__ import annotations

import ctypes
import sys


def keep_none() -> None:
    """Gives ``None`` more references than a process can lose.

    cel-expr-python (0.1.3) returns ``None`` for a null without taking the reference that its caller
    then drops. Each null that an expression comes to takes one away, whoever holds it; after some
    thousand of them Python would free ``None`` and abort. From Python 3.12 on ``None`` is not
    counted (PEP 683).
    """
    if sys.version_info < (3, 12):
        # The count is the first field of every object: PyObject in CPython's Include/object.h.
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 60
