"""What others than dispatchd itself have to say gets into the one log, without what could be a
secret or a body."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from daemon.journal.libraries import leaves

PROGRAM = """
import asyncio, logging, sys, threading, warnings
from daemon.errors import StoreError
from daemon.journal import Journal, crashed, listen_to_libraries, listen_to_loop, open_log

journal = Journal(open_log())
listen_to_libraries(journal)
SECRET = "hunter2-hunter2"

def fails():
    raise KeyError(SECRET)

class Unraisable:
    def __del__(self):
        fails()

logging.getLogger("apscheduler").warning("Run time of job %s was missed by %s", SECRET, 3)
logging.getLogger("sqlalchemy.engine").info("INSERT %s", SECRET)
try:
    fails()
except KeyError:
    logging.getLogger("sqlalchemy.pool").exception("Exception during reset")
warnings.warn("this goes away", DeprecationWarning, stacklevel=1)
thread = threading.Thread(target=fails, name="writer")
thread.start()
thread.join()
Unraisable()

async def main():
    listen_to_loop(journal, asyncio.get_running_loop())
    asyncio.get_running_loop().call_soon(fails)
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    async def broken():
        fails()
    lost = asyncio.create_task(broken())
    await asyncio.sleep(0.01)
    del lost

asyncio.run(main())
try:
    try:
        fails()
    except KeyError as error:
        raise ExceptionGroup("tasks", [error, StoreError("the database is gone")])
except ExceptionGroup as error:
    crashed(journal, error)
"""


def lines_of_the_program() -> list[dict[str, Any]]:
    command = (sys.executable, "-W", "default::DeprecationWarning", "-c", PROGRAM)
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert done.stdout == ""
    assert "hunter2" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_all_that_libraries_and_python_say_is_in_the_log_and_nothing_that_was_sent() -> None:
    lines = lines_of_the_program()
    assert [(line["event"], line["level"], line.get("library")) for line in lines] == [
        ("library", "warning", "apscheduler"),
        ("library", "error", "sqlalchemy.pool"),
        ("library", "warning", "python"),
        ("library", "error", "thread writer"),
        ("library", "error", "python"),
        ("library", "error", "asyncio"),
        ("library", "error", "asyncio"),
        ("crashed", "error", None),
        ("crashed", "error", None),
    ]
    assert lines[0]["message"] == "Run time of job str was missed by 3"
    assert lines[1]["error"] == "KeyError"
    assert lines[1]["place"][-1].endswith("fails")
    assert lines[2]["message"] == "DeprecationWarning: this goes away"
    assert lines[5]["error"] == lines[6]["error"] == lines[7]["error"] == "KeyError"
    assert lines[8]["error"] == "the database is gone"


def test_of_groups_of_errors_each_error_is_told() -> None:
    one, other = ValueError("a"), KeyError("b")
    group = ExceptionGroup("all", [ExceptionGroup("some", [one]), other])
    assert leaves(group) == [one, other]
    assert leaves(one) == [one]
