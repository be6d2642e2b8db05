"""An entry as the files give it: with the file's defaults under it, and in today's form where it
was written for the older event handler."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from daemon.config.findings import Findings, Secrets
from daemon.config.legacy import SLUG, Rewritten, inherited, is_older, slug, to_show
from daemon.config.node import Node
from daemon.document import Document
from daemon.errors import Fault
from daemon.expressions import JSON, Path, compact
from daemon.schemas import Name

OUTSIDE = -1
"""In place of an entry's index: a fault in no entry, but in the file as a whole."""

_INDEX = re.compile(r"(?:crons|triggers)\[([0-9]+)\]")
_DEFAULT = re.compile(r"defaults\.(\w+)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, ready to be read. The templates of ``lenient`` ones were written for the older
    event handler, where what failed came to nothing. ``name`` is empty where there is none that
    can be used."""

    name: str
    enabled: bool
    lenient: bool
    node: Node

    @property
    def findings(self) -> Findings:
        return self.node.findings


class EntrySource:
    """The entries of one file. ``key`` is what the object form calls them; ``rewrite`` puts an
    older entry into today's form; ``shape`` is what the schema found."""

    def __init__(
        self,
        document: Document,
        key: Name,
        rewrite: Callable[[Mapping[str, JSON]], Rewritten],
        shape: Iterable[Fault],
        secrets: Secrets,
    ) -> None:
        self._document = document
        self._key = key
        self._rewrite = rewrite
        self._secrets = secrets
        self._shape = _by_entry(shape)
        self._outside = self._shape.pop(OUTSIDE, [])
        self._broken_defaults = {
            found[1] for fault in self._outside if (found := _DEFAULT.match(fault.path))
        }
        self.findings = Findings(secrets, self._outside)

    def entries(self) -> Iterator[Entry]:
        """Every entry that is an object, in the order of the file."""
        data = self._document.data
        base: Path = ()
        defaults: dict[str, JSON] = {}
        if isinstance(data, dict):
            given = data.get("defaults")
            defaults = given if isinstance(given, dict) else {}
            data, base = data.get(self._key), (self._key,)
        for index, raw in enumerate(data if isinstance(data, list) else ()):
            shape = self._shape.get(index, ())
            if isinstance(raw, dict):
                yield self._entry(raw, defaults, (*base, index), shape)
            else:
                for fault in shape:
                    self.findings.fault(fault)

    def _entry(
        self,
        raw: dict[str, JSON],
        defaults: dict[str, JSON],
        path: Path,
        shape: Iterable[Fault],
    ) -> Entry:
        taken = inherited(defaults, raw)
        merged = {**taken, **raw} if taken else raw
        enabled = merged.get("enabled") is not False
        findings = Findings(
            self._secrets,
            shape,
            self._outside,
            disabled=not enabled,
            spoiled=not self._broken_defaults.isdisjoint(taken),
        )

        def home(key: str) -> Path:
            return ("defaults", key) if key in taken else (*path, key)

        def standing(value: JSON, key: str, *, pinned: bool = False) -> Node:
            return Node(value, home(key), self._document, self._key, findings, pinned=pinned)

        elsewhere = {key: standing(value, key) for key, value in taken.items()}
        older, lenient = is_older(merged), False
        if older:
            rewritten = self._rewrite(merged)
            for key, origin in rewritten.origins.items():
                elsewhere[key] = standing(rewritten.entry[key], origin, pinned=True)
            for problem in rewritten.problems:
                standing(None, problem.key).fault(problem.message, problem.hint)
            merged = rewritten.entry
            lenient = "dispatch" in rewritten.origins
        node = Node(merged, path, self._document, self._key, findings, elsewhere)
        if older and not findings.spoiled:
            own = {key: value for key, value in merged.items() if home(key)[0] != "defaults"}
            node.warn(
                "an entry of the older event handler",
                f"write instead: {compact(to_show(own))}",
            )
        return Entry(_name(node), enabled, lenient, node)


def refuse_repeated_names(entries: Iterable[Entry]) -> None:
    """Adds a fault to every entry whose name another one has; disabled ones give way."""
    first: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: not entry.enabled):
        if not entry.name:
            continue
        taken = first.setdefault(entry.name, entry)
        if taken is not entry:
            line, column = taken.node.at(("name",)).place()
            entry.node.at(("name",)).fault(
                f"the name {entry.name!r} is taken at {taken.node.document.file}:{line}:{column}",
                "names are unique across both files",
            )


def _name(node: Node) -> str:
    name = node.text("name")
    if name is None:
        return ""
    if not SLUG.fullmatch(name):
        node.at(("name",)).fault(
            f"{name!r} is not a name: use lower-case letters, digits, dots, dashes and underscores",
            f'for example "{slug(name)}"',
        )
        return ""
    return name


def _by_entry(faults: Iterable[Fault]) -> dict[int, list[Fault]]:
    """The schema's faults by the index of the entry that they are in."""
    found: dict[int, list[Fault]] = defaultdict(list)
    for fault in faults:
        index = _INDEX.match(fault.path)
        found[int(index[1]) if index else OUTSIDE].append(fault)
    return dict(found)
