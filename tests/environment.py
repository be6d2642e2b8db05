"""What every process that a test starts gets of the tests' own environment."""

from __future__ import annotations

import os


def inherited() -> dict[str, str]:
    """The search path, and what has coverage measured in that process too; nothing else, so that
    no setting of a developer's gets into a test."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return {"PATH": os.environ.get("PATH", os.defpath), **kept}
