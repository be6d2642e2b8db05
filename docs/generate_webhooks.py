"""Writes the table of senders in docs/webhooks.md from the catalogue of schemes:
python docs/generate_webhooks.py"""

from __future__ import annotations

import json
from pathlib import Path

from daemon.cli.schemes import Explanation, explanation
from daemon.signatures import SCHEMES

PAGE = Path(__file__).with_name("webhooks.md")
BEGINNING, END = "<!-- senders -->\n", "<!-- end of senders -->\n"


def page(text: str) -> str:
    """The page, with its table as it should be."""
    before, _, rest = text.partition(BEGINNING)
    _, _, after = rest.partition(END)
    return before + BEGINNING + table() + END + after


def table() -> str:
    rows = [
        "| `auth` | checks | the secret at the sender | known again by | handshake | success |",
        "|---|---|---|---|---|---|",
    ]
    rows += [row(explanation(name)) for name in SCHEMES]
    return "\n".join(rows) + "\n"


def row(one: Explanation) -> str:
    auth = json.dumps(one.example["auth"])
    checks = one.description
    if one.sources:
        checks += f" ([source]({one.sources[0]}))"
    cells = [f"`{auth}`", checks, one.secret or "–", one.dedupe, one.handshake or "–",
             str(one.success_status)]  # fmt: skip
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
