"""``python -m tests.fuzz.guided TARGET SECONDS REPORT``: one target under atheris, which changes
inputs by what code they reach. A process of its own, since libFuzzer ends the one it runs in."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["daemon", "multipart"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.mutation import INPUT_MAX
from tests.fuzz.watch import Watch

PATIENCE = 5.0
"""Instrumented code takes several times as long."""


def main() -> None:
    name, seconds, report = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    target = TARGETS[name]
    watch = Watch(name, target, patience=PATIENCE)
    with tempfile.TemporaryDirectory(prefix="dispatchd-fuzz-") as directory:
        home = Path(directory)
        corpus = home / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(target.seeds()):
            (corpus / str(number)).write_bytes(seed)
        words = home / "words"
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={INPUT_MAX}",
            f"-dict={words}",
            f"-artifact_prefix={report.parent}/{name}-",
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-verbosity=0",
        ]

        def run(data: bytes) -> None:
            known = len(watch.findings)
            watch.run(data)
            if len(watch.findings) > known or watch.count % 1000 == 0:
                watch.write(report)

        atheris.Setup([sys.argv[0], *options, str(corpus)], run)
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries have it."""
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"
        for byte in word
    )


if __name__ == "__main__":
    main()
