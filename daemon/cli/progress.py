"""What is told while a command waits: lines that stay, and on a terminal one below them that says
what is waited for."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text


class Progress:
    """Lines go to standard output; where that is to hold JSON there are none, and the live line
    goes to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self._lines = not as_json
        self._console = Console(highlight=False, stderr=as_json)
        stream = sys.stderr if as_json else sys.stdout
        self._live: Live | None = None
        if stream.isatty() and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
        self._shown = ""

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def line(self, words: Text) -> None:
        """Tells this for good."""
        if self._lines:
            self._console.print(words, soft_wrap=True)

    def now(self, words: Text) -> None:
        """Tells this until something else is told. It is cut to the width of the terminal."""
        if self._live and words.plain != self._shown:
            self._shown = words.plain
            words.no_wrap, words.overflow = True, "ellipsis"
            self._live.update(words, refresh=True)
