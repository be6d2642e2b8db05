"""Notices that the config files changed, however that was done: an editor that writes another file
and renames it, a checkout, a link that is turned to another directory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from watchfiles import awatch

from daemon.facts import Facts, Trouble

QUIET_MS = 300
"""How long the files are left alone before they are looked at: who writes them is done by then."""

LONGEST_MS = 3000
"""They are looked at after this long even if they are not left alone."""

LOOK_EVERY = 5.0
"""Seconds after which the files are looked at even so: not every file system tells of changes, and
nobody tells of those behind a link in the path to the directory, or before the watch began."""


class ConfigWatch:
    """Calls ``changed`` when the content of one of ``files`` in ``directory`` is another one."""

    def __init__(
        self, directory: Path, files: Sequence[str], changed: Callable[[], None], facts: Facts
    ) -> None:
        self._directory = directory
        self._files = files
        self._changed = changed
        self._facts = facts
        self._seen = self._fingerprint()
        self._deaf = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            async for _ in self._stirrings():
                await self.look()

    async def look(self) -> None:
        """Compares the files with what was last seen of them."""
        now = await asyncio.to_thread(self._fingerprint)
        if now != self._seen:
            self._seen = now
            self._changed()

    async def _stirrings(self) -> AsyncIterator[None]:
        """Something in the directory changed, or it is time to look."""
        stop = asyncio.Event()
        paths = self._places()
        try:
            watching = awatch(
                *paths,
                debounce=LONGEST_MS,
                step=QUIET_MS,
                rust_timeout=int(LOOK_EVERY * 1000),
                yield_on_timeout=True,
                recursive=False,
                watch_filter=None,
                stop_event=stop,
                ignore_permission_denied=True,
            )
            async with contextlib.aclosing(watching) as changes:
                self._deaf = False
                async for _ in changes:
                    yield
                    if self._places() != paths or not self._directory.exists():
                        return  # another directory has taken its place
        except (OSError, RuntimeError) as error:
            if not self._deaf:
                text = f"changes of its files are noticed within {LOOK_EVERY:.0f} s only: {error}"
                self._facts.publish(Trouble("config", text))
            self._deaf = True
        finally:
            stop.set()
        await asyncio.sleep(LOOK_EVERY)
        yield

    def _places(self) -> tuple[Path, ...]:
        """The directory, and where the link stands that leads there, if it is one."""
        real = self._directory.resolve()
        link = self._directory.absolute()
        return (real, link.parent) if link.is_symlink() else (real,)

    def _fingerprint(self) -> tuple[bytes, ...]:
        """By the content: a file that is touched did not change."""
        return tuple(_digest(self._directory / name) for name in self._files)


def _digest(file: Path) -> bytes:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").digest()
    except OSError as error:
        return type(error).__name__.encode()
