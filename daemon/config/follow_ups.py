"""The ``on_failure`` and ``on_missing`` keys that both kinds of entry share: another dispatch, or
somebody to tell."""

from __future__ import annotations

import importlib.util
import re
from functools import cached_property

from daemon.config.dispatches import DispatchReader, warn_of_dollars
from daemon.config.keyring import Keyring, SecretError
from daemon.config.node import Node
from daemon.errors import ExpressionError
from daemon.expressions import Template, Tree, Vocabulary
from daemon.notice import NOTICES_MAX, NOTICES_PER, is_local, url_fault
from daemon.secret import Secret
from daemon.spec import FollowUpSpec, NoticeSpec

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class FollowUpReader:
    """Reads them. ``keyring`` follows the references to URLs."""

    def __init__(self, dispatches: DispatchReader, keyring: Keyring) -> None:
        self._dispatches = dispatches
        self._keyring = keyring

    def of_cron(self, entry: Node, key: str) -> FollowUpSpec | None:
        place = entry.child(key)
        return self._read(place, self._cron_vocabulary) if place else None

    def of_trigger(self, entry: Node, key: str) -> FollowUpSpec | None:
        place = entry.child(key)
        return self._read(place, self._trigger_vocabulary) if place else None

    # Made when an entry first has such a key: each takes 100 KB.

    @cached_property
    def _cron_vocabulary(self) -> Vocabulary:
        return Vocabulary.for_follow_up_of_cron()

    @cached_property
    def _trigger_vocabulary(self) -> Vocabulary:
        return Vocabulary.for_follow_up_of_trigger()

    def _read(self, place: Node, vocabulary: Vocabulary) -> FollowUpSpec | None:
        if not isinstance(place.value, dict) or place.misshapen():
            return None
        if place.child("notify") is None:
            return self._dispatches.read_one(place, vocabulary.with_dispatch())
        limit = place.at(("rate_limit",))
        return NoticeSpec(
            url=notice_url(place, self._keyring),
            text=_text(place, vocabulary),
            max=limit.whole("max", NOTICES_MAX),
            per=limit.span("per", NOTICES_PER),
        )


def notice_url(place: Node, keyring: Keyring) -> Secret | None:
    """Where the ``notify`` of an entry's follow-up, or of the settings, leads."""
    given, where = place.text("notify") or "", place.at(("notify",))
    if _URL.match(given):
        return _literal(given, where)
    try:
        found = keyring.resolve(given)
    except SecretError as error:
        where.unready(str(error), error.hint)
        return None
    for doubt in found.doubts:
        where.warn(doubt)
    url = found.secret.reveal().strip()
    if fault := url_fault(url):
        where.unready(f"what is at {given} {fault}")
        return None
    if not url.startswith(("http://", "https://")) and not _has_apprise():
        where.unready(
            f"what is at {given} is a URL for Apprise, which is not installed",
            "pip install 'dispatchd[notify]'",
        )
    return found.secret


def _literal(url: str, where: Node) -> Secret | None:
    """A URL that is written out, which only one may be that guards nothing."""
    hint = "set a variable to the URL, and write env:NAME here"
    if "@" in url or "?" in url or not is_local(url):
        where.fault(
            "a URL that leads out of this network is a secret: whoever knows it can write there",
            hint,
        )
    elif fault := url_fault(url):
        where.fault(fault, hint)
    else:
        return Secret(url, url)
    return None


def _text(place: Node, vocabulary: Vocabulary) -> Template | None:
    text = place.text("text")
    if text is None:
        return None
    where = place.at(("text",))
    try:
        template = vocabulary.template(text)
    except ExpressionError as error:
        where.miscompiled(error)
        return None
    warn_of_dollars(where, Tree(template))
    return template


def _has_apprise() -> bool:
    """Whether it is installed: to load it takes a tenth of a second, and is left to its use."""
    return importlib.util.find_spec("apprise") is not None
