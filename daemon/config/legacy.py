"""Entries of the older event handler, rewritten as entries of this one. They load where they mean
the same; the rewritten entry is also what the user is told to write instead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from daemon.expressions import JSON

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""What an entry may be called today."""

OLDER_KEYS: Mapping[str, str] = MappingProxyType(
    {"watch_path": "path", "type": "dispatch", "job": "dispatch", "actions": "dispatch"}
)
"""An entry that holds any of these is one of the older event handler. Each with the key that takes
its place today; ``type`` only told what to make of the job."""

AGENT_EVENT = "wat-factory"
GITHUB_PATH = "/github/webhook"
LEGACY_SCHEME = "github_legacy"
SLUG_LENGTH = 100

REFUSED_TYPES = {
    "command": "type `command` is refused: this daemon runs no shell",
    "http": "type `http` is refused: this daemon calls only GitHub",
}
FORMS = frozenset({"schedule", "every", "at"})
"""An entry says in one of these ways when it fires."""

_INSTEAD = "let a workflow do it, and dispatch an event to that workflow"

_TEMPLATE = re.compile(r"\{\{\s*(body|query|headers)((?:\.[\w-]+)*)\s*\}\}")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"false", "in", "null", "true"})
"""What CEL never reads as a field's name, not even after a dot."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps an older entry from being rewritten, and the key that it stands under."""

    key: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """An entry in today's form. ``origins`` tells under which older key each new one stood."""

    entry: dict[str, JSON]
    origins: Mapping[str, str]
    problems: tuple[Problem, ...] = ()


def is_older(entry: Mapping[str, JSON]) -> bool:
    """Whether ``entry`` is written for the older event handler."""
    return not OLDER_KEYS.keys().isdisjoint(entry)


def inherited(defaults: Mapping[str, JSON], own: Mapping[str, JSON]) -> dict[str, JSON]:
    """What an entry takes from its file's ``defaults``: the keys that it does not have of its
    ``own``, under either name. So no default makes an older entry of one that says it in today's
    words; nor does a ``type`` beside a ``dispatch``, where it means nothing. One that says when it
    fires takes no other way to say it."""
    if not defaults:
        return {}
    said = own.keys() | {older for older, newer in OLDER_KEYS.items() if newer in own}
    if "dispatch" in defaults:
        said.add("type")
    if FORMS & own.keys():
        said |= FORMS
    if said & FORMS and "every" not in own:
        said.add("offset")
    return {key: value for key, value in defaults.items() if key not in said}


def rewrite_cron(entry: Mapping[str, JSON]) -> Rewritten:
    """``{"type": "agent", "job": text}`` as a dispatch. The text was never a template."""
    rest = {key: value for key, value in entry.items() if key not in OLDER_KEYS}
    origins = _slugged(rest)
    problems = _conflict(entry, "job", "dispatch") + _refusal(entry, "type")
    job = entry.get("job")
    if isinstance(job, str):
        rest["dispatch"] = agent_dispatch(literal(job))
        origins["dispatch"] = "job"
    return Rewritten(rest, origins, tuple(problems))


def rewrite_trigger(entry: Mapping[str, JSON]) -> Rewritten:
    """``watch_path`` as ``path``, ``actions`` as dispatches, and the auth that was built in. A
    ``type`` was said of each action; beside them ``agent`` changes nothing."""
    rest = {key: value for key, value in entry.items() if key not in OLDER_KEYS}
    origins = _slugged(rest)
    problems = _conflict(entry, "watch_path", "path") + _conflict(entry, "actions", "dispatch")
    problems += _refusal(entry, "type")
    if "watch_path" in entry:
        rest["path"], origins["path"] = entry["watch_path"], "watch_path"
    if "auth" not in entry:
        rest["auth"] = built_in_auth(rest.get("path"))
        origins["auth"] = "watch_path" if "watch_path" in entry else "path"
    actions = entry.get("actions")
    if isinstance(actions, list):
        dispatches: list[JSON] = []
        for action in actions:
            if isinstance(action, dict):
                problems += _refusal(action, "actions")
                if isinstance(job := action.get("job"), str):
                    dispatches.append(agent_dispatch(modern_template(job)))
        rest["dispatch"] = dispatches[0] if len(dispatches) == 1 else dispatches
        origins["dispatch"] = "actions"
    return Rewritten(rest, origins, tuple(problems))


def to_show(entry: Mapping[str, JSON]) -> JSON:
    """The rewritten entry as the user is told to write it: with a scheme that has a future."""
    auth = entry.get("auth")
    if isinstance(auth, dict) and auth.get("scheme") == LEGACY_SCHEME:
        return {**entry, "auth": {**auth, "scheme": "github"}}
    return dict(entry)


def agent_dispatch(description: str) -> dict[str, JSON]:
    """What the older handler did for an agent job."""
    return {
        "event_type": AGENT_EVENT,
        "client_payload": {"job_id": "{{ dispatch_id }}", "job_description": description},
    }


def built_in_auth(path: JSON) -> dict[str, JSON]:
    """How the older handler authenticated the senders of a path."""
    if isinstance(path, str) and path.rstrip("/") == GITHUB_PATH:
        return {"scheme": LEGACY_SCHEME, "secret": "env:GH_WEBHOOK_SECRET"}
    return {"scheme": "api_key", "secret": "env:API_KEY"}


def literal(text: str) -> str:
    """``text`` as a template that renders as just that."""
    return text.replace("{{", '{{ "{{" }}')


def modern_template(text: str) -> str:
    """Older templates such as ``{{body.a.b}}`` in CEL. What is none of them stays as it is."""
    whole = _TEMPLATE.fullmatch(text)
    if whole and whole[1] == "body":
        # One template alone keeps its JSON type today; the older handler always made text of it.
        source = _source(whole)
        return f"{{{{ cel.bind(v, {source}, type(v) == string ? v : json.encode(v)) }}}}"
    return _TEMPLATE.sub(lambda found: f"{{{{ {_source(found)} }}}}", text)


def slug(name: str) -> str:
    """A free-text name as the slug that entries are called by."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:SLUG_LENGTH].rstrip("-") or "entry"


def _source(template: re.Match[str]) -> str:
    """The CEL of one older template; a field that is absent comes to an empty text."""
    root, fields = template[1], template[2].split(".")[1:]
    if not fields:
        return root if root == "body" else f"json.encode({root})"
    if root == "body":
        steps = "".join(map(_step, fields))
    else:
        # Flat, and the names of HTTP's headers know no case: in scope they are in lower case.
        name = ".".join(fields)
        steps = _field(name.lower() if root == "headers" else name)
    return f'{root}{steps}.orValue("")'


def _step(name: str) -> str:
    """One step into the body: an index where it can be one, as it was there."""
    return f"[?{int(name)}]" if re.fullmatch("[0-9]{1,9}", name) else _field(name)


def _field(name: str) -> str:
    if _IDENTIFIER.fullmatch(name) and name not in _WORDS:
        return f".?{name}"
    return f'[?"{name}"]'


def _refusal(holder: Mapping[str, JSON], key: str) -> list[Problem]:
    refusal = REFUSED_TYPES.get(str(holder.get("type")))
    return [Problem(key, refusal, _INSTEAD)] if refusal else []


def _conflict(entry: Mapping[str, JSON], older: str, newer: str) -> list[Problem]:
    if older in entry and newer in entry:
        return [Problem(older, f"`{older}` is the older form of `{newer}`: keep one of them")]
    return []


def _slugged(entry: dict[str, JSON]) -> dict[str, str]:
    """Makes the name of ``entry`` a slug, and tells what that changed, as ``Rewritten.origins``."""
    name = entry.get("name")
    if not isinstance(name, str) or SLUG.fullmatch(name):
        return {}
    entry["name"] = slug(name)
    return {"name": "name"}
