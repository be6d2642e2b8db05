"""An entry of TRIGGERS.json as a TriggerSpec."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from daemon.addresses import GITHUB, AllowList, Network, NetworkError, Networks, network
from daemon.config.auth import AuthReader
from daemon.config.dispatches import DispatchReader, warn_of_dollars
from daemon.config.entry import Entry
from daemon.config.follow_ups import FollowUpReader
from daemon.config.keyring import Keyring
from daemon.config.node import Node
from daemon.config.paths import PathError, path_template
from daemon.durations import written
from daemon.errors import ExpressionError
from daemon.expressions import JSON, Condition, Expression, Path, Vocabulary
from daemon.spec import (
    CoalesceSpec,
    DedupeSpec,
    DispatchSpec,
    RateLimitSpec,
    ResponseSpec,
    TriggerSpec,
)

DEFAULT_WINDOW = timedelta(hours=24)
DEFAULT_MAX_BODY = 5 * 1024 * 1024
LARGEST_MAX_BODY = 25 * 1024 * 1024
WINDOWS_WAITED = 10

_UNREADABLE = timedelta()
"""In place of a duration that is missing or wrong, of which something else was said already."""

_PARAMETER = re.compile(r'; *([^;= ]+)=("(?:[^"\\]|\\.)*"|[^; ]*)')
_WORD = re.compile(r"[A-Za-z_-]+")


class TriggerReader:
    """Reads trigger entries, and remembers the ``url_signers``: those whose senders sign the URL
    that they call."""

    def __init__(
        self, dispatches: DispatchReader, follow_ups: FollowUpReader, keyring: Keyring
    ) -> None:
        self._dispatches = dispatches
        self._follow_ups = follow_ups
        self._auths = AuthReader(keyring)
        self._vocabularies: dict[tuple[str, ...], Vocabulary] = {}
        self.url_signers: list[Node] = []

    def read(self, entry: Entry) -> TriggerSpec | None:
        """The spec, or None where the entry's findings say why there is none."""
        node = entry.node
        base = self._vocabulary(node)
        dedupe = _dedupe(node, base)
        variables, vocabulary = _variables(node, base)
        when = _condition(node, vocabulary)
        rendering = vocabulary.with_dispatch()
        dispatches = self._dispatches.read(node, rendering, lenient=entry.lenient)
        response = _response(node, rendering)
        auth = self._auths.read(node)
        if auth is not None and auth.scheme.signs_url:
            self.url_signers.append(node)
        max_body = _size(node, "max_body")
        allow_from = _allow_from(node)
        rate_limit = _rate_limit(node, vocabulary)
        coalesce = _coalesce(node, vocabulary, dispatches)
        parent = _expression(node.child("parent"), vocabulary)
        on_failure = self._follow_ups.of_trigger(node, "on_failure")
        on_missing = self._follow_ups.of_trigger(node, "on_missing")
        path = node.text("path")
        if entry.findings.spoiled or auth is None or path is None:
            return None
        return TriggerSpec(
            name=entry.name,
            description=node.text("description") or "",
            enabled=entry.enabled,
            path=path,
            methods=frozenset(node.texts("methods") or ("POST",)),
            auth=auth,
            max_body=max_body,
            variables=variables,
            when=when,
            dedupe=dedupe,
            response=response,
            dispatches=dispatches,
            allow_from=allow_from,
            rate_limit=rate_limit,
            coalesce=coalesce,
            parent=parent,
            on_failure=on_failure,
            on_missing=on_missing,
        )

    def _vocabulary(self, node: Node) -> Vocabulary:
        """What expressions may name before any variable; those of equal paths share one."""
        params: tuple[str, ...] = ()
        if path := node.text("path"):
            try:
                params = path_template(path).params
            except PathError as error:
                node.at(("path",)).fault(str(error), error.hint)
        if params not in self._vocabularies:
            self._vocabularies[params] = Vocabulary.for_trigger(params)
        return self._vocabularies[params]


def _variables(
    node: Node, vocabulary: Vocabulary
) -> tuple[tuple[tuple[str, Expression], ...], Vocabulary]:
    """The variables in order, and the vocabulary that knows them all."""
    variables: list[tuple[str, Expression]] = []
    place = node.child("variables")
    for name, member in place.members() if place else ():
        expression = _expression(member, vocabulary)
        if expression is not None:
            variables.append((name, expression))
            vocabulary = vocabulary.with_variable(name, expression)
        else:
            # Known, of any type: what is wrong with it is not reported once more at each use.
            vocabulary = vocabulary.with_variable(name, vocabulary.expression("dyn(null)"))
    return tuple(variables), vocabulary


def _expression(node: Node | None, vocabulary: Vocabulary) -> Expression | None:
    if node is None or not isinstance(node.value, str):
        return None
    try:
        return vocabulary.expression(node.value)
    except ExpressionError as error:
        _miscompiled(node, error)
        return None


def _condition(node: Node, vocabulary: Vocabulary) -> Condition | None:
    place = node.child("when")
    if place is None or not isinstance(place.value, str):
        return None
    try:
        return vocabulary.condition(place.value)
    except ExpressionError as error:
        _miscompiled(place, error)
        return None


def _miscompiled(place: Node, error: ExpressionError) -> None:
    """Reports what is wrong with an expression: first of all, that it was written as a template."""
    text = str(place.value).strip()
    if "}}" not in text.partition("{{")[2]:
        place.miscompiled(error)
        return
    whole = text.startswith("{{") and text.endswith("}}")
    place.fault(
        f"`{place.path[-1]}` is an expression: write it without {{{{ }}}}",
        "" if whole else "texts are joined by +, as in 'build-' + body.branch",
    )


def _dedupe(node: Node, vocabulary: Vocabulary) -> DedupeSpec | None:
    place = node.child("dedupe")
    if place is None:
        return DedupeSpec(None, DEFAULT_WINDOW)
    if place.value is False:
        return None
    key = _expression(place.child("key"), vocabulary)
    return DedupeSpec(key, place.span("window", DEFAULT_WINDOW))


def _allow_from(node: Node) -> AllowList | None:
    place = node.child("allow_from")
    if place is None or not isinstance(place.value, list):
        return None
    found: list[Network] = []
    for member in place.each():
        if not isinstance(member.value, str) or member.value == GITHUB:
            continue
        try:
            found.append(network(member.value))
        except NetworkError as error:
            hint = error.hint
            if _WORD.fullmatch(member.value):
                hint = f"only `{GITHUB}` is a name here: {hint[0].lower()}{hint[1:]}"
            member.fault(str(error), hint)
    return AllowList(Networks(tuple(found)), github=GITHUB in place.value)


def _rate_limit(node: Node, vocabulary: Vocabulary) -> RateLimitSpec | None:
    place = node.child("rate_limit")
    if place is None:
        return None
    return RateLimitSpec(
        max=place.whole("max", 1),
        per=place.span("per", timedelta(minutes=1)),
        key=_expression(place.child("key"), vocabulary),
    )


def _coalesce(
    node: Node, vocabulary: Vocabulary, dispatches: Sequence[DispatchSpec]
) -> CoalesceSpec | None:
    place = node.child("coalesce")
    if place is None:
        return None
    key = _expression(place.child("key"), vocabulary)
    given = place.child("max_wait")
    window = place.span("window", _UNREADABLE)
    max_wait = place.span("max_wait", _UNREADABLE) if given else WINDOWS_WAITED * window
    if _UNREADABLE in (window, max_wait):
        return None
    if max_wait < window:
        place.at(("max_wait",)).fault("is shorter than `window`", "the last would never be awaited")
    shortest = min((each.send_within for each in dispatches), default=None)
    if shortest is not None and max_wait >= shortest:
        unsaid = "" if given else f"{WINDOWS_WAITED} windows unless said: "
        place.at(("max_wait",)).fault(
            f"`max_wait` ({unsaid}{written(max_wait)}) is "
            f"{'longer than' if max_wait > shortest else 'as long as'} `send_within` "
            f"({written(shortest)}): a dispatch could be held back until it is too late",
            "shorten `max_wait`, or lengthen `send_within`",
        )
    return CoalesceSpec(key, window, max_wait)


def _response(node: Node, vocabulary: Vocabulary) -> ResponseSpec | None:
    place = node.child("response")
    if place is None:
        return None
    body = place.child("body")
    value: JSON = body.value if body else ""
    errors: list[tuple[Path, ExpressionError]] = []
    tree = vocabulary.tree(value, errors)
    for path, error in errors:
        place.at(("body", *path)).miscompiled(error)
    warn_of_dollars(place.at(("body",)), tree)
    usual = "text/plain; charset=utf-8" if isinstance(value, str) else "application/json"
    content_type = place.text("content_type") or usual
    if _charsets(content_type) - {"utf-8"}:
        place.at(("content_type",)).fault(
            "the answer is sent as UTF-8", "write charset=utf-8, or leave the charset out"
        )
    return ResponseSpec(
        status=place.whole("status", 200),
        body=tree,
        content_type=content_type,
    )


def _charsets(content_type: str) -> set[str]:
    """The character sets that a media type names, in lower case."""
    return {
        value.strip('"').lower()
        for name, value in _PARAMETER.findall(content_type)
        if name.lower() == "charset"
    }


def _size(node: Node, key: str) -> int:
    """A number of bytes, or text such as ``5 MiB``."""
    size = node.size(key) or DEFAULT_MAX_BODY
    if size > LARGEST_MAX_BODY:
        node.at((key,)).fault(
            f"is {size:,} bytes, {size - LARGEST_MAX_BODY:,} more than the largest", "25 MiB"
        )
    return size
