"""The few forms of man(7) that the man pages are made of, with every character of the text shown as
itself."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

WIDTH = 78


def text(words: str) -> str:
    """A paragraph's lines: `code` and **strong** as in Markdown are bold, a link is its words."""
    words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(words.split()))
    parts = re.split(r"\*\*(.+?)\*\*|`([^`]+)`", words)
    out = ""
    for index in range(0, len(parts), 3):
        out += escaped(parts[index])
        if index + 1 < len(parts):
            out += bold(parts[index + 1] or parts[index + 2])
    lines = textwrap.wrap(out, WIDTH, break_long_words=False, break_on_hyphens=False)
    # A line that begins so would be an instruction.
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in lines)


def bold(words: str) -> str:
    return rf"\fB{escaped(words, code=True)}\fR"


def italic(words: str) -> str:
    return rf"\fI{escaped(words, code=True)}\fR"


def escaped(words: str, *, code: bool = False) -> str:
    """Nothing in it is an instruction. In code, `-`, `'`, `` ` ``, `^` and `~` are what a shell
    reads, and not the characters that a typesetter puts there (groff_char(7))."""
    shown = words.replace("\\", r"\e")
    if code:
        signs = {"-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
        shown = "".join(signs.get(each, each) for each in shown)
    return "".join(each if ord(each) < 128 else rf"\[u{ord(each):04X}]" for each in shown)


def section(title: str, *blocks: str) -> str:
    # The first paragraph begins by itself.
    return "\n".join([f".SH {title}", *blocks]).replace(f".SH {title}\n.PP\n", f".SH {title}\n", 1)


def subsection(title: str, *blocks: str) -> str:
    return "\n".join([f'.SS "{escaped(title)}"', *blocks])


def paragraph(words: str) -> str:
    return f".PP\n{text(words)}"


def item(head: str, words: str) -> str:
    """``head`` as it is made of `bold` and `italic`; the words stand indented below."""
    return f".TP\n{head}\n{text(words)}"


def deeper(blocks: Sequence[str]) -> str:
    """The same, indented."""
    return "\n".join([".RS", *blocks, ".RE"])


def example(code: str) -> str:
    lines = [escaped(line, code=True) for line in code.splitlines()]
    shown = [f"\\&{line}" if line.startswith((".", "\\(aq")) else line for line in lines]
    return "\n".join([".PP", ".nf", ".RS", *shown, ".RE", ".fi"])
