"""Reads JSON a second time, for what the standard library does not tell: the place of every key
and value, and each slip in words that say how to mend it."""

from __future__ import annotations

import json
import math
import re

from daemon.positions import DEEPEST, Lines, Place, Slip, Unreadable

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = r'[^"\\\x00-\x1f]*'
_ESCAPE = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_STRING = re.compile(rf'"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*')  # its closing quote is looked for apart
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_SCALAR = re.compile(rf"(?:true|false|null|NaN|-?Infinity|{_NUMBER})(?![\w.+-])")
_CLOSER = {"{": "}", "[": "]"}

_COMMENT = (
    r"//|/\*|#",
    "JSON has no comments",
    'take it out: what is meant for people goes into "description"',
)
_QUOTES = (r"['‘’“”„`]", "only straight double quotes hold text", 'write "…"')
_AT_VALUE = (
    _COMMENT,
    _QUOTES,
    (r",", "a value is missing before this comma", "remove the comma"),
    (
        r"(?:True|TRUE|False|FALSE|None|Null|NULL|undefined)\b",
        "not a word of JSON",
        "write true, false or null",
    ),
    (
        r"[-+.]*[0-9]",
        "not a number of JSON",
        "write it plainly, as 7, -0.5 or 1e6: no zero in front, no plus, no 0x",
    ),
    (r"\w", "text stands in double quotes", 'write "…"'),
    (r"", "a value is missing here", ""),
)
"""What can stand where a value should begin: (how it looks, what is wrong, what to do)."""
_AT_KEY = (
    _COMMENT,
    _QUOTES,
    (r",", "a key and its value are missing before this comma", "remove the comma"),
    (r"", "a key is expected here", "a key stands in double quotes"),
)


def scan(text: str) -> tuple[Place | None, list[Slip]]:
    """The places of all values in ``text`` (None where it cannot be read to its end), and every
    slip. There is at least one where ``json.loads`` refuses the text; beyond those: repeated keys,
    NaN and Infinity, numbers too large for a float, halves of surrogate pairs, too deep a nest.
    """
    scanner = _Scanner(text)
    try:
        return scanner.document(), scanner.slips
    except Unreadable as end:
        return None, [*scanner.slips, end.slip]


def readable_number(text: str) -> bool:
    """Whether other readers of JSON, which hold numbers as floats, can hold this one."""
    return math.isfinite(float(text))


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = Lines(text)
        self.slips: list[Slip] = []
        self.open: list[int] = []  # where each array and object around us begins

    def document(self) -> Place:
        start = self.space(0)
        if start == len(self.text):
            raise Unreadable(0, "is empty: write [] for no entries")
        place, end = self.value(start)
        at = self.space(end)
        if at < len(self.text):
            if self.text[at] in "]}":
                raise Unreadable(at, f'nothing is open that this "{self.text[at]}" could close')
            self.known_slip(at, (_COMMENT,))
            raise Unreadable(
                at, "the text goes on after its end", "all entries stand in one array: [ … ]"
            )
        return place

    def value(self, at: int) -> tuple[Place, int]:
        """The value that begins at ``at``, and where it ends."""
        match self.text[at : at + 1]:
            case '"':
                return Place(at), self.string(at)[1]
            case "{":
                return self.object(at)
            case "[":
                return self.array(at)
            case "":
                raise self.unclosed(at)
        found = _SCALAR.match(self.text, at)
        if found is None:
            self.known_slip(at, _AT_VALUE)
            raise AssertionError("the last pattern of the table fits everything")
        word = found[0]
        if word[-1] in "Ny":
            self.slips.append(Slip(at, f"{word} is not JSON", "write a number, or null"))
        elif word[-1].isdigit() and not readable_number(word):
            self.slips.append(Slip(at, f"a number of {len(word)} characters is too large"))
        return Place(at), found.end()

    def object(self, start: int) -> tuple[Place, int]:
        children: dict[str | int, Place] = {}
        keys: dict[str, int] = {}
        at = self.enter(start)
        while self.text[at : at + 1] != "}":
            if self.text[at : at + 1] == "":
                raise self.unclosed(at)
            if self.text[at] != '"':
                self.known_slip(at, _AT_KEY)
            key, end = self.string(at)
            if key in keys:
                line, column = self.lines.at(keys[key])
                message = f"duplicate key {json.dumps(key, ensure_ascii=False)}"
                hint = f"first at {line}:{column}: keep one of the two"
                self.slips.append(Slip(at, message, hint))
            keys.setdefault(key, at)
            colon = self.space(end)
            if self.text[colon : colon + 1] != ":":
                if colon == len(self.text):
                    raise self.unclosed(colon)
                raise Unreadable(end, "a colon is missing after this key", 'write "key": value')
            children[key], end = self.value(self.space(colon + 1))
            at = self.comma(end)
        self.open.pop()
        return Place(start, children, keys), at + 1

    def array(self, start: int) -> tuple[Place, int]:
        children: dict[str | int, Place] = {}
        at = self.enter(start)
        while self.text[at : at + 1] != "]":
            children[len(children)], end = self.value(at)
            at = self.comma(end)
        self.open.pop()
        return Place(start, children), at + 1

    def enter(self, start: int) -> int:
        self.open.append(start)
        if len(self.open) > DEEPEST:
            raise Unreadable(start, f"nested deeper than the {DEEPEST} levels allowed")
        return self.space(start + 1)

    def comma(self, end: int) -> int:
        """Past the comma after a value that ends at ``end``, or at the closing bracket."""
        at = self.space(end)
        opener = self.text[self.open[-1]]
        match self.text[at : at + 1]:
            case "":
                raise self.unclosed(at)
            case ",":
                after = self.space(at + 1)
                if self.text[after : after + 1] in tuple("]}"):
                    what = f'trailing comma before the closing "{self.text[after]}"'
                    raise Unreadable(at, what, "remove the comma")
                return after
            case "]" | "}" as closer:
                if closer == _CLOSER[opener]:
                    return at
                line, column = self.lines.at(self.open[-1])
                message = f'"{closer}" cannot close the "{opener}" of {line}:{column}'
                raise Unreadable(at, message, f'write "{_CLOSER[opener]}"')
            case ":" if opener == "[":
                raise Unreadable(at, "a key and its value need braces", "write {…} around them")
        self.known_slip(at, (_COMMENT,))
        # Shown where the comma belongs, which may be lines before the text that surprises.
        raise Unreadable(end, "a comma is missing here", "values are separated by commas")

    def string(self, at: int) -> tuple[str, int]:
        """The text that begins at ``at``, decoded, and where it ends."""
        found = _STRING.match(self.text, at)
        stop = found.end() if found else at + 1
        match self.text[stop : stop + 1]:
            case '"':
                pass
            case "" | "\n" | "\r":
                hint = r'close it with ", or write a line break as \n'
                raise Unreadable(at, "this text does not end on its line", hint)
            case "\\":
                hint = r"write \\ for a backslash"
                raise Unreadable(stop, "a backslash that begins no escape", hint)
            case control:
                name = "tab" if control == "\t" else f"control character (U+{ord(control):04X})"
                what = f"a {name} inside of text"
                raise Unreadable(stop, what, f"write {json.dumps(control)[1:-1]}")
        raw = self.text[at : stop + 1]
        decoded: str = json.loads(raw) if "\\" in raw else raw[1:-1]
        if not decoded.isprintable() and not is_unicode(decoded):
            self.slips.append(Slip(at, "half a surrogate pair (\\ud800 to \\udfff) in text"))
        return decoded, stop + 1

    def space(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def unclosed(self, at: int) -> Unreadable:
        opener = self.text[self.open[-1]]
        line, column = self.lines.at(self.open[-1])
        message = f'the text ends before the "{opener}" of {line}:{column} is closed'
        return Unreadable(at, message, f'add "{_CLOSER[opener]}"')

    def known_slip(self, at: int, table: tuple[tuple[str, str, str], ...]) -> None:
        """Raises what the table has for the text at ``at``, if it has anything."""
        for pattern, message, hint in table:
            if re.compile(pattern).match(self.text, at):
                raise Unreadable(at, message, hint)


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
