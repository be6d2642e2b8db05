"""The build backend that pyproject.toml names: setuptools', with the man pages and completions made
first, and an sdist whose bytes depend on nothing but its files and SOURCE_DATE_EPOCH."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

SHARE = Path("build/share")
"""What pyproject.toml takes as data files."""


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    from packages.manual import write_pages
    from packages.shells import write_completions

    # setuptools would pack what an earlier build left there, of modules that are gone since.
    shutil.rmtree("build/lib", ignore_errors=True)
    shutil.rmtree(SHARE, ignore_errors=True)
    write_pages(SHARE / "man")
    write_completions(SHARE)
    built: str = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    return built


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    built: str = build_meta.build_sdist(sdist_directory, config_settings)
    if "SOURCE_DATE_EPOCH" in os.environ:
        _normalise(Path(sdist_directory, built), int(os.environ["SOURCE_DATE_EPOCH"]))
    return built


def _normalise(sdist: Path, instant: int) -> None:
    """Packs it anew without what differs from one machine to the next: order, owners, times, and
    permissions that come of a umask."""
    packed = io.BytesIO()
    with (
        tarfile.open(sdist) as source,
        gzip.GzipFile("", "wb", 9, packed, instant) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda each: each.name):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = instant
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            target.addfile(member, source.extractfile(member) if member.isfile() else None)
    sdist.write_bytes(packed.getvalue())
