"""``python -m tests.packages``: builds the packages, installs each of them, and shows what came of
it. Nothing is installed on this machine: all is in a directory that is deleted."""

from __future__ import annotations

import argparse
import sys
import time

from tests.packages import debian, pythons

RULE = "!" * 78


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.packages")
    parser.add_argument(
        "--where-possible", action="store_true", help="exit 0 where part of it cannot run"
    )
    given = parser.parse_args()
    began = time.monotonic()
    pythons.trial()
    lacking = debian.lacking()
    if lacking:
        print(f"{RULE}\nThe trial of the Debian package did NOT RUN: {lacking}.\n{RULE}")
    else:
        debian.trial()
    print(f"done in {time.monotonic() - began:.0f} s")
    return 0 if given.where_possible or not lacking else 1


if __name__ == "__main__":
    sys.exit(main())
