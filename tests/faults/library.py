"""The library that is loaded before the C library into a process under test, and the page of memory
through which a test tells it what goes wrong from now on."""

from __future__ import annotations

import ctypes
import mmap
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

HERE = Path(__file__).parent
SOURCES = ("control.c", "clock.c", "disk.c")
MICROSECOND = timedelta(microseconds=1)


def compiled(directory: Path) -> Path:
    """Compiles the library into ``directory``. Skips the test where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("faults of disk and clock need a C compiler: there is no `cc` on the PATH")
    library = directory / "faults.so"
    sources = [str(HERE / source) for source in SOURCES]
    options = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(
        [compiler, *options, "-o", str(library), *sources, "-ldl", "-lpthread"], check=True
    )
    return library


class Control(ctypes.Structure):
    """The memory that is shared with the library: ``struct control`` of control.h."""

    wall_offset: int
    monotonic_offset: int
    suspended: int
    sync_delay: int
    syncs_to_fail: int
    syncs: int
    write_error: int
    early: int
    files: bytes
    platter: bytes

    _fields_ = [
        ("wall_offset", ctypes.c_int64),
        ("monotonic_offset", ctypes.c_int64),
        ("suspended", ctypes.c_int64),
        ("sync_delay", ctypes.c_int64),
        ("syncs_to_fail", ctypes.c_int64),
        ("syncs", ctypes.c_int64),
        ("write_error", ctypes.c_int64),
        ("early", ctypes.c_int64),
        ("files", ctypes.c_char * 512),
        ("platter", ctypes.c_char * 512),
    ]


class Faults:
    """What goes wrong for the processes that are started with ``environ``, until the end of the
    context. ``directory`` holds the file that is shared with them, and their ``home``, an empty
    directory. The faults of the disk concern the files there, shared memory and locks excepted.
    """

    def __init__(self, library: Path, directory: Path) -> None:
        self.home = directory / "home"
        self.home.mkdir()
        control = directory / "control"
        control.write_bytes(bytes(ctypes.sizeof(Control)))
        with control.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._control = Control.from_buffer(self._memory)
        self._control.files = f"{self.home}/".encode()
        self.environ = {"LD_PRELOAD": str(library), "FAULTS_CONTROL": str(control)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self._control  # it points into the memory
        self._memory.close()

    @property
    def syncs(self) -> int:
        """How many syncs of the database's files were asked for."""
        return self._control.syncs

    @contextmanager
    def slow_syncs(self, delay: timedelta) -> Iterator[None]:
        """Every sync takes ``delay`` longer."""
        self._control.sync_delay = delay // MICROSECOND * 1000
        yield
        self._control.sync_delay = 0

    @contextmanager
    def failing_writes(self, number: int) -> Iterator[None]:
        """Every write fails with this ``errno``; nothing of it is done."""
        self._control.write_error = number
        yield
        self._control.write_error = 0

    def fail_syncs(self, count: int) -> None:
        """The next ``count`` syncs fail with EIO."""
        self._control.syncs_to_fail = count

    @property
    def syncs_to_fail(self) -> int:
        return self._control.syncs_to_fail

    def keep_platter(self, directory: Path, *, early: float = 0.0) -> None:
        """From now on ``directory`` gets what a power cut would leave: what was synced, and a share
        ``early`` (0 to 1) of the writes already before."""
        self._control.early = round(early * 256)
        self._control.platter = str(directory).encode()

    def step(self, by: timedelta) -> None:
        """Sets the wall clock on by so much, or back."""
        self._control.wall_offset += by // MICROSECOND * 1000

    def suspend(self, time: timedelta) -> None:
        """The machine sleeps for so long: by the clock that waits go by, no time at all."""
        self.step(time)
        self._control.suspended += time // MICROSECOND * 1000

    def pass_over(self, time: timedelta) -> None:
        """So much time goes by, by every clock, in no time."""
        self.step(time)
        self._control.monotonic_offset += time // MICROSECOND * 1000
