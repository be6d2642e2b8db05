"""Any value under any key, in an entry or in the defaults: it loads, or is refused in its place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from daemon.config import load
from daemon.document import Document
from daemon.errors import ConfigError, Fault
from daemon.schemas import check, schema

pytestmark = pytest.mark.no_cover

Kind = Literal["crons", "triggers"]

SECRET = "0123456789abcdef0123456789abcdef"
ENVIRON = {"GH_REPO": "acme/site", "API_KEY": SECRET, "HOOK": SECRET}
FILES = {"crons": "CRONS.json", "triggers": "TRIGGERS.json"}

DISPATCH = {"event_type": "e"}
CRON = {"name": "a", "schedule": "@daily", "dispatch": DISPATCH}
TRIGGER = {"name": "a", "path": "/a", "auth": {"scheme": "none"}, "dispatch": DISPATCH}
OLDER_TRIGGER = {"name": "a", "watch_path": "/a", "actions": [{"job": "x"}]}

VALUES: list[Any] = [
    *(None, True, False, 5, -1, 1.5, "", "x", "all", "{{ nope }}", "a\nb"),
    *([], [None], [5], ["x", "x"], {}, {"x": 1}, [{}], [[]]),
]
"""Right for few keys and wrong for most."""

AUTHS: list[dict[str, Any]] = [
    {"scheme": "github", "secret": "env:HOOK"},
    {"scheme": "hmac", "secret": "env:HOOK", "header": "x-signature"},
    {"scheme": "token", "secret": "env:HOOK", "header": "x-token"},
    {"scheme": "api_key", "secret": "env:HOOK"},
    {"scheme": "bearer", "secret": "env:HOOK"},
    {"scheme": "basic", "secret": "env:HOOK", "username": "ann"},
    {"scheme": "none"},
]

WITHIN = [
    *(("dedupe", "key"), ("dedupe", "window"), ("variables", "a"), ("variables", "1a")),
    *(("response", "status"), ("response", "content_type")),
    *(("on_failure", "notify"), ("on_failure", "text"), ("on_missing", "rate_limit")),
]


def places() -> Iterator[Any]:
    """Every key that an entry takes, and those within it: the base, the key around it (or nothing),
    the key."""
    for kind, base in (("crons", CRON), ("triggers", TRIGGER)):
        described = schema("crons" if kind == "crons" else "triggers")["$defs"]
        keys = described["entry"]["properties"]
        for key in keys:
            yield pytest.param(kind, base, (key,), id=f"{kind}.{key}")
        for key in described["dispatch"]["properties"]:
            yield pytest.param(kind, base, ("dispatch", key), id=f"{kind}.dispatch.{key}")
        if kind == "crons":
            continue
        for around, key in WITHIN:
            yield pytest.param(kind, base, (around, key), id=f"triggers.{around}.{key}")
        for auth in AUTHS:
            for key in keys["auth"]["properties"]:
                name = f"triggers.auth.{auth['scheme']}.{key}"
                yield pytest.param(kind, base | {"auth": auth}, ("auth", key), id=name)
    for key in schema("triggers")["$defs"]["entry"]["properties"]:
        yield pytest.param("triggers", OLDER_TRIGGER, (key,), id=f"triggers.older.{key}")


PLACES = list(places())
OF_DEFAULTS = [place for place in PLACES if place.values[2][0] != "auth" or "hmac" in str(place.id)]
"""The defaults hold no ``auth``: one kind of it stands for all."""


def changed(base: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """``base`` with ``value`` at ``path``."""
    key, *rest = path
    inner = base.get(key, {})
    return base | {key: changed(inner, tuple(rest), value) if rest else value}


def spots(faults: Iterable[Fault]) -> set[tuple[int, int, str]]:
    return {(fault.line, fault.column, fault.path) for fault in faults}


def shape(directory: Path, kind: Kind, data: Any) -> list[Fault]:
    """Writes the file, and tells what its schema forbids."""
    file = directory / FILES[kind]
    file.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return check(Document(str(file), file.read_text("utf-8"), data), kind)


@pytest.mark.parametrize(("kind", "base", "path"), PLACES)
def test_a_misshapen_value_in_an_entry_is_refused_in_its_place(
    tmp_path: Path, kind: Kind, base: dict[str, Any], path: tuple[str, ...]
) -> None:
    """And disabled, the entry is left out with a warning: no value makes the loader stumble."""
    entries = [changed(base, path, value) for value in VALUES]
    wrong = [entry for entry in entries if shape(tmp_path, kind, [entry])]
    assert wrong
    for index, entry in enumerate(wrong):
        wrong[index] = entry | {"name": entry["name"] if path == ("name",) else f"e{index}"}
    expected = shape(tmp_path, kind, wrong)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, ENVIRON)
    assert spots(expected) <= spots(caught.value.faults)

    if path == ("enabled",):
        return
    expected = shape(tmp_path, kind, [entry | {"enabled": False} for entry in wrong])
    config = load(tmp_path, ENVIRON)
    assert (config.crons, config.triggers) == ((), ())
    for line, column, where in spots(expected):
        told = f":{line}:{column}: {where}: "
        assert any(told in warning for warning in config.warnings)


@pytest.mark.parametrize(("kind", "base", "path"), OF_DEFAULTS)
def test_a_misshapen_default_is_refused_in_its_place(
    tmp_path: Path, kind: Kind, base: dict[str, Any], path: tuple[str, ...]
) -> None:
    """Whether the entries that take it are enabled or not, and whether any does."""
    key = path[0]
    without = {name: value for name, value in base.items() if name != key}
    own = changed(base, ("name",), "b") | {"enabled": False}
    refused = 0
    for value in VALUES:
        defaults = {key: changed(base, path, value)[key]}
        entries = [without, without | {"name": "c", "enabled": False}, own]
        found = shape(tmp_path, kind, {"defaults": defaults, kind: entries})
        expected = {fault for fault in found if fault.path.startswith("defaults")}
        if expected:
            refused += 1
            with pytest.raises(ConfigError) as caught:
                load(tmp_path, ENVIRON)
            assert spots(expected) <= spots(caught.value.faults)
    assert refused
