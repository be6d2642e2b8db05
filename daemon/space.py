"""How much room the database takes and its disk has left, and how little of that is too little."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.sizes import UNITS, shown

RESERVE = 64 * UNITS["MiB"]
RESERVE_SHARE = 20
RESERVE_MAX = UNITS["GiB"]
"""Below so many bytes somebody should hear of it, or below the twentieth part of a larger disk, up
to the last of these."""


@dataclass(frozen=True, slots=True)
class Space:
    """In bytes: the database's ``file``, of which ``free`` holds nothing and is used again, in
    pages of ``page``; and the ``log`` beside it. Of its disk, what it has left for us and how large
    it is; None where it lies on none. ``shrinks`` says whether the file can give free pages back
    while it is used."""

    file: int
    free: int
    page: int
    log: int = 0
    disk_free: int | None = None
    disk_size: int | None = None
    shrinks: bool = True

    @property
    def used(self) -> int:
        """What the history and what is owed take up."""
        return self.file - self.free

    @property
    def reserve(self) -> int:
        """What should be free on the disk; of a very small one, a quarter."""
        size = self.disk_size or 0
        return min(max(RESERVE, min(size // RESERVE_SHARE, RESERVE_MAX)), size // 4)

    @property
    def low(self) -> bool:
        """Whether less than that is free."""
        return self.disk_free is not None and self.disk_free < self.reserve

    def told(self) -> str:
        """What is to be told of a disk that is low; it names nothing of the config."""
        return (
            f"the database's disk has {shown(self.disk_free or 0)} left, of the "
            f"{shown(self.reserve)} that should be free; once it is full, nothing is taken in"
        )
