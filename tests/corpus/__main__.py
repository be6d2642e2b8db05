"""``python -m tests.corpus PACKAGE.tgz``: makes the archive again, from what
``npm pack @octokit/webhooks-examples`` fetches."""

from __future__ import annotations

import json
import lzma
import sys
import tarfile
from pathlib import Path

LISTED = "package/api.github.com/index.json"
"""Events of github.com, each with its ``name`` and its ``examples``."""


def main() -> None:
    package = Path(sys.argv[1])
    with tarfile.open(package) as archive:
        listed = archive.extractfile(LISTED)
        if listed is None:
            sys.exit(f"{package}: {LISTED} is not a file")
        events = json.load(listed)
    examples = [
        {"event": event["name"], "payload": payload}
        for event in events
        for payload in event["examples"]
    ]
    name = package.name.removeprefix("octokit-").removesuffix(".tgz")
    target = Path(__file__).with_name(f"octokit-{name}.json.xz")
    text = json.dumps(examples, ensure_ascii=False, separators=(",", ":"))
    target.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{target}: {len(examples)} payloads of {len(events)} events")


if __name__ == "__main__":
    main()
