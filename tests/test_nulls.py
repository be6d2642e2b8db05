"""The nulls that expressions come to."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from daemon.expressions import Bindings, Vocabulary

expression = Vocabulary.for_trigger([]).expression("body.map(x, x)")
for _ in range(200):
    assert expression.evaluate(Bindings({"body": [None] * 500})) == [None] * 500
"""


def test_a_process_outlives_any_number_of_nulls() -> None:
    """The engine takes a reference of None's away with each, and a process that has none left is
    aborted."""
    done = subprocess.run(  # the price of a failure is the process
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
