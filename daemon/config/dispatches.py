"""The ``dispatch`` key that both kinds of entry share: one object or several become DispatchSpecs,
held against GitHub's limits as far as that can be done before anything is rendered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from daemon.config.node import Node
from daemon.dispatch import EXPECTED_WITHIN, ExpectedRun, OnAmbiguous
from daemon.errors import ExpressionError
from daemon.expressions import JSON, Path, Template, Tree, Vocabulary, compact
from daemon.github import INPUTS_MAX, PAYLOAD_KEYS_MAX, input_faults, payload_faults
from daemon.render import METADATA_KEY
from daemon.spec import DispatchSpec

DEFAULT_SEND_WITHIN = timedelta(hours=24)


class DispatchReader:
    """Reads the dispatches of entries, and remembers which of them go to which of
    ``repositories``, and which are ``homeless``, since nothing names a repository for them."""

    def __init__(self, default_repository: str) -> None:
        self.repositories: dict[str, list[Node]] = {}
        self.homeless: list[Node] = []
        self._default_repository = default_repository

    def read(
        self, entry: Node, vocabulary: Vocabulary, *, lenient: bool
    ) -> tuple[DispatchSpec, ...]:
        """What ``entry`` dispatches; ``vocabulary`` knows the names of a dispatch. Faults go to
        the entry's findings, and what they concern is left out."""
        node = entry.child("dispatch")
        if node is None:
            return ()
        specs = (
            self._read(each, vocabulary, lenient)
            for each in node.each()
            if isinstance(each.value, dict)
        )
        return tuple(spec for spec in specs if spec is not None)

    def read_one(self, node: Node, vocabulary: Vocabulary) -> DispatchSpec | None:
        """The one dispatch that ``node`` is; likewise."""
        return self._read(node, vocabulary, lenient=False)

    def _read(self, node: Node, vocabulary: Vocabulary, lenient: bool) -> DispatchSpec | None:
        repository = node.text("repository") or self._default_repository
        if repository:
            self.repositories.setdefault(repository, []).append(node)
        else:
            self.homeless.append(node)
        send_within = node.span("send_within", DEFAULT_SEND_WITHIN)
        inject_metadata = node.flag("inject_metadata", True)
        expected = _expected(node)
        words = {each.value: each for each in OnAmbiguous}  # what is none of them was told before
        on_ambiguous = words.get(node.text("on_ambiguous") or "", OnAmbiguous.VERIFY)
        if node.text("via"):
            spec = self._read_by_name(node, vocabulary, repository, send_within, inject_metadata)
            return spec and replace(spec, expected=expected, on_ambiguous=on_ambiguous)
        payload = _payload(node, "client_payload", vocabulary, lenient)
        event_type, event_types = _event_type(node, vocabulary)
        if payload is None or event_type is None:
            return None
        _check_limits(node, payload, inject_metadata)
        return DispatchSpec(
            event_type=event_type,
            event_types=event_types,
            client_payload=payload,
            repository=repository,
            send_within=send_within,
            inject_metadata=inject_metadata,
            expected=expected,
            on_ambiguous=on_ambiguous,
        )

    def _read_by_name(
        self,
        node: Node,
        vocabulary: Vocabulary,
        repository: str,
        send_within: timedelta,
        inject_metadata: bool,
    ) -> DispatchSpec | None:
        """A ``workflow_dispatch``."""
        inputs = _payload(node, "inputs", vocabulary, lenient=False)
        workflow, ref = node.text("workflow"), node.text("ref")
        if inputs is None or not workflow or not ref:
            return None
        _check_inputs(node, inputs, inject_metadata)
        return DispatchSpec(
            event_type=vocabulary.template(""),
            event_types=frozenset(),
            client_payload=inputs,
            repository=repository,
            send_within=send_within,
            inject_metadata=inject_metadata,
            workflow=workflow,
            ref=ref,
        )


def _expected(node: Node) -> ExpectedRun | None:
    """The run that is to follow; None where none is."""
    expect = node.child("expect_run")
    if expect is None or not isinstance(expect.value, dict):
        return ExpectedRun() if node.flag("expect_run", True) else None
    workflow = expect.text("workflow") or ""
    if "/" in workflow:
        expect.at(("workflow",)).fault(
            "is not the name of a file", f"write {workflow.rpartition('/')[2]!r}"
        )
    return ExpectedRun(expect.span("within", EXPECTED_WITHIN), workflow)


def _event_type(node: Node, vocabulary: Vocabulary) -> tuple[Template | None, frozenset[str]]:
    event_types = frozenset(node.texts("event_types") or ())
    text = node.text("event_type")
    if text is None:
        return None, event_types
    place = node.at(("event_type",))
    try:
        template = vocabulary.template(text)
    except ExpressionError as error:
        place.miscompiled(error)
        return None, event_types
    warn_of_dollars(place, Tree(template))
    if template.literal is None and not event_types:
        place.fault(
            "a template needs the list of values that it may come to",
            'add "event_types": ["…"] beside it',
        )
    elif template.literal is not None and node.child("event_types"):
        node.at(("event_types",)).fault(
            "is for an event_type that is a template, and this one is not", "leave it out", key=True
        )
    return template, event_types


def _payload(node: Node, key: str, vocabulary: Vocabulary, lenient: bool) -> Tree | None:
    place = node.child(key)
    errors: list[tuple[Path, ExpressionError]] = []
    tree = vocabulary.tree(place.value if place else {}, errors, lenient=lenient)
    if place is not None:
        for path, error in errors:
            place.at(path).miscompiled(error)
        warn_of_dollars(place, tree)
    return None if errors else tree


def warn_of_dollars(place: Node, tree: Tree) -> None:
    """Warns of each template in ``tree``, which was read at ``place``, that is written as GitHub
    Actions writes expressions: what is sent would begin with a `$`."""
    for path, template in tree.templates():
        if template.has_dollar:
            place.at(path).warn(
                "the `$` before {{ is sent as it is", "write {{ … }} without it, if that is meant"
            )


def _check_limits(node: Node, payload: Tree, inject_metadata: bool) -> None:
    """What is wrong with the payload whatever its templates come to."""
    place = node.child("client_payload")
    least = _least(payload.root)
    if place is None or not isinstance(least, dict):
        return
    _check_reserved(place, least)
    if inject_metadata:
        least.setdefault(METADATA_KEY, {})
    for fault in payload_faults("-", least, compact(least).encode()):
        spare = PAYLOAD_KEYS_MAX - 1 if inject_metadata else PAYLOAD_KEYS_MAX
        place.fault(fault, f"an entry has {spare} keys of its own" if "keys" in fault else "")


def _check_inputs(node: Node, inputs: Tree, inject_metadata: bool) -> None:
    """What is wrong with the inputs whatever their templates come to."""
    place = node.child("inputs")
    least = _least(inputs.root)
    if place is None or not isinstance(least, dict):
        return
    _check_reserved(place, least)
    if inject_metadata:
        least.setdefault(METADATA_KEY, "")
    spare = INPUTS_MAX - 1 if inject_metadata else INPUTS_MAX
    for fault in input_faults(least, compact(least).encode()):
        hint = f"an entry has {spare} inputs of its own" if "inputs," in fault else ""
        place.fault(fault, hint)


def _check_reserved(place: Node, least: dict[str, JSON]) -> None:
    if METADATA_KEY in least:
        place.at((METADATA_KEY,)).fault(
            f"the key {METADATA_KEY!r} is reserved for the dispatch's own id",
            "use another name",
            key=True,
        )


def _least(root: object) -> JSON:
    """A rendered tree at its smallest: each template with its literal parts only."""
    match root:
        case Template():
            literal = "".join(part for part in root.parts if isinstance(part, str))
            return literal or 0
        case list():
            return [_least(item) for item in root]
        case dict():
            return {key: _least(value) for key, value in root.items()}
        case None | bool() | int() | float() | str():
            return root
    raise TypeError(f"a tree holds no {type(root).__name__}")
