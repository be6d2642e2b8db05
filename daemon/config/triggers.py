"""An entry of TRIGGERS.json as a TriggerSpec."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from daemon.addresses import GITHUB, AllowList, Network, NetworkError, Networks, network
from daemon.config.dispatches import DispatchReader
from daemon.config.entry import Entry
from daemon.config.keyring import Keyring, SecretError
from daemon.config.node import Node
from daemon.config.paths import PathError, path_template
from daemon.errors import ExpressionError
from daemon.expressions import JSON, Condition, Expression, Path, Vocabulary
from daemon.secret import Secret
from daemon.signatures import PARAMETERS, SchemeError, parse
from daemon.spec import (
    Auth,
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

_PARAMETER = re.compile(r'; *([^;= ]+)=("(?:[^"\\]|\\.)*"|[^; ]*)')
_SIZE = re.compile(r"([0-9]{1,9}) ?(B|KiB|MiB)")
_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024 * 1024}


class TriggerReader:
    """Reads trigger entries."""

    def __init__(self, dispatches: DispatchReader, keyring: Keyring) -> None:
        self._dispatches = dispatches
        self._keyring = keyring
        self._vocabularies: dict[tuple[str, ...], Vocabulary] = {}

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
        auth = self._auth(node)
        max_body = _size(node, "max_body")
        allow_from = _allow_from(node)
        rate_limit = _rate_limit(node, vocabulary)
        coalesce = _coalesce(node, vocabulary, dispatches)
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

    def _auth(self, node: Node) -> Auth | None:
        place = node.child("auth")
        if place is None or not isinstance(place.value, dict) or place.misshapen():
            return None
        parameters: dict[str, object] = dict(place.value)
        given = parameters.pop("secret", None)
        token = parameters.pop("verify_token", None)
        if "tolerance" in parameters:
            parameters["tolerance"] = place.span("tolerance", timedelta(minutes=5))
        try:
            scheme = parse(parameters)
        except SchemeError as error:
            # An unknown key is faulted at the key, as the schema does: it is reported once.
            taken = ("scheme", *PARAMETERS.get(str(parameters.get("scheme")), ()))
            place.at((error.key,)).fault(error.message, key=error.key not in taken)
            return None
        if token is not None and not (scheme.handshake and scheme.handshake.takes_token):
            place.at(("verify_token",)).fault(
                f"the scheme {scheme.name} takes no verify_token", key=True
            )
        if scheme.handshake and scheme.handshake.takes_token and token is None:
            place.warn(
                f"without a `verify_token` no check of the address by {scheme.name} is answered",
                'for example "verify_token": "env:META_VERIFY_TOKEN"',
            )
        if scheme.needs_secret and given is None and not scheme.learns_secret:
            place.fault(
                f"the scheme {scheme.name} needs a `secret`", 'for example "secret": "env:NAME"'
            )
        elif not scheme.needs_secret and given is not None:
            place.at(("secret",)).fault(f"the scheme {scheme.name} takes no secret", key=True)
        return Auth(
            scheme,
            tuple(self._secrets(place, "secret") if scheme.needs_secret else ()),
            tuple(self._secrets(place, "verify_token")),
        )

    def _secrets(self, auth: Node, key: str) -> list[Secret]:
        secret = auth.child(key)
        if secret is None:
            return []
        resolved: list[Secret] = []
        for place in secret.each():
            if not isinstance(place.value, str):
                continue
            try:
                found = self._keyring.resolve(place.value)
            except SecretError as error:
                place.unready(str(error), error.hint)
                continue
            for doubt in found.doubts:
                place.warn(doubt)
            resolved.append(found.secret)
        return resolved


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
        node.miscompiled(error)
        return None


def _condition(node: Node, vocabulary: Vocabulary) -> Condition | None:
    place = node.child("when")
    if place is None or not isinstance(place.value, str):
        return None
    try:
        return vocabulary.condition(place.value)
    except ExpressionError as error:
        place.miscompiled(error)
        return None


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
            member.fault(str(error), error.hint)
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
    window = place.span("window", timedelta(seconds=30))
    max_wait = place.span("max_wait", WINDOWS_WAITED * window)
    if max_wait < window:
        place.at(("max_wait",)).fault("is shorter than `window`", "the last would never be awaited")
    shortest = min((each.send_within for each in dispatches), default=None)
    if shortest is not None and max_wait >= shortest:
        place.fault(
            "may hold a dispatch back for longer than its `send_within` allows it to wait",
            "shorten `max_wait`, or lengthen `send_within`",
        )
    return CoalesceSpec(_expression(place.child("key"), vocabulary), window, max_wait)


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
    text = node.text(key)
    size = node.whole(key, DEFAULT_MAX_BODY)
    if text is not None and (found := _SIZE.fullmatch(text)):
        size = int(found[1]) * _UNITS[found[2]]
    if size > LARGEST_MAX_BODY:
        node.at((key,)).fault(
            f"is {size:,} bytes, {size - LARGEST_MAX_BODY:,} more than the largest", "25 MiB"
        )
    return size
