"""``docker`` where there is no container engine: takes the options of ``docker run`` that the
examples use, refuses others, and runs the image, a script of the test, without a container."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    images = Path(os.environ["TEST_IMAGES"])
    parser = argparse.ArgumentParser(prog="docker", allow_abbrev=False)
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--rm", action="store_true", required=True)
    for name in ("--user", "--cap-drop", "--security-opt", "--workdir"):
        parser.add_argument(name, required=True)
    for name in ("--env", "--volume"):
        parser.add_argument(name, action="append", default=[])
    parser.add_argument("image")
    try:
        given = parser.parse_args()
    except SystemExit:
        return 125  # docker's, for what went wrong before the container
    program = images / given.image
    if not program.is_file():
        print(f"Unable to find image '{given.image}' locally", file=sys.stderr)
        return 125
    volumes = {inside: outside for outside, inside, *_ in (v.split(":") for v in given.volume)}
    environ = {"PATH": "/usr/bin:/bin"}
    for each in given.env:
        name, told, value = each.partition("=")
        environ[name] = value if told else os.environ[name]
    seen = {
        "environ": environ,
        "volumes": sorted(volumes),
        "readable": sorted(str(path) for path in Path(volumes["/work"]).rglob("*")),
        "payload": json.loads(Path(volumes["/payload.json"]).read_text("utf-8")),
    }
    (images / "seen.json").write_text(json.dumps(seen), encoding="utf-8")
    place = volumes[given.workdir]
    return subprocess.run([program], cwd=place, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
