"""Writes docs/configuration.md from the JSON Schemas, so that the page cannot fall behind them.

Run it from a checkout with dispatchd installed: ``python docs/generate_configuration.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.document import Document
from daemon.schemas import check, schema

PAGE = Path(__file__).with_name("configuration.md")

MISTAKEN = """[
  {
    "name": "github-push",
    "path": "/github/webhook",
    "auth": {"scheme": "github", "secrets": "env:GH_WEBHOOK_SECRET"},
    "dispatch": {"event_type": "push-build"}
  }
]
"""

INTRODUCTION = """\
# Configuration

<!-- Written by docs/generate_configuration.py from daemon/schemas/*.json: change those. -->

dispatchd reads three files from one directory, which `--config-dir` or the variable
`DISPATCHD_CONFIG_DIR` names (else `config`):

| file | says |
|---|---|
| `CRONS.json` | when to send what: the schedules |
| `TRIGGERS.json` | which webhook sends what |
| `DAEMON.yaml` | settings of the daemon itself |

Each entry of the two JSON files has a [`dispatch`](#dispatch): the `repository_dispatch` event
that GitHub is sent, and that starts your workflow.

## The two forms of the JSON files

A file is a plain array of entries:

```json
[
  {
    "name": "nightly-build",
    "schedule": "0 3 * * *",
    "timezone": "Europe/Berlin",
    "dispatch": {
      "event_type": "wat-factory",
      "client_payload": {"system": "web-scraper"}
    }
  }
]
```

or an object, where `defaults` gives every entry the keys that it does not have itself. A key is
taken as a whole: an entry's own `dispatch` is not mixed with the one of the defaults. `name` and
`auth` cannot be defaults.

```json
{
  "$schema": "../daemon/schemas/triggers.json",
  "defaults": {
    "dispatch": {"event_type": "push-build", "client_payload": {"commit": "{{ body.after }}"}}
  },
  "triggers": [
    {
      "name": "site-push",
      "path": "/hooks/site",
      "auth": {"scheme": "github", "secret": "env:SITE_WEBHOOK_SECRET"}
    },
    {
      "name": "tools-push",
      "path": "/hooks/tools",
      "auth": {"scheme": "github", "secret": "env:TOOLS_WEBHOOK_SECRET"}
    }
  ]
}
```

## Completion in your editor

The files are described by JSON Schemas (draft 2020-12) that come with dispatchd. Point the key
`"$schema"` of the object form at one, and an editor such as Visual Studio Code completes keys,
explains them and marks mistakes while you type. In a checkout that is, seen from `config/`,
`"../daemon/schemas/crons.json"` or `"../daemon/schemas/triggers.json"`; elsewhere this prints the
directory:

```sh
python -c "from importlib.resources import files; print(files('daemon.schemas'))"
```

For `DAEMON.yaml`, editors with the YAML language server read a first line
`# yaml-language-server: $schema=../daemon/schemas/daemon.json`.

## When something is wrong

`dispatchd validate` checks all files and reports every mistake at once, with its line and column.
It exits with 0 when all is well, else with 2. A misspelt key is never passed over:

```text
$FAULT
```

JSON has no comments: what is meant for people goes into `description`. A key may stand only once in
its object.

## Secrets

Secrets are never written into these files, only where to find them:

| written | found in |
|---|---|
| `env:NAME` | the environment variable `NAME` |
| `file:/path` | that file, without the newline at its end |
| `credential:NAME` | `NAME` of what systemd [hands over](service.md#secrets) |

A list of them in `auth.secret` holds several secrets that are all valid, so that one can be
replaced without a gap: `["env:SECRET_NEW", "env:SECRET_OLD"]`.

## Durations

A duration is a string of a whole number and a unit: `"90s"`, `"5m"`, `"24h"`, `"7d"`.

## Expressions and templates

An *expression* in the tables below is one of CEL, the Common Expression Language. A *template* is
text with expressions in it, each within `{{ }}`.
"""

OLDER = """\
Entries of the older event handler are understood where they mean the same. Each of them is warned
about, with what to write in its place; `name` may be free text there and is made a slug.
"""


NESTED = ("auth", "dedupe", "coalesce", "rate_limit", "response")
"""Keys of a trigger that are objects, with a table of their own."""

REQUIRED = "**required**"

LISTED_MAX = 20
"""Values of a key that are named in its row."""


def page() -> str:
    """The whole page, as it should stand in docs/configuration.md."""
    crons, triggers, daemon = schema("crons"), schema("triggers"), schema("daemon")
    cron, trigger = crons["$defs"]["entry"], triggers["$defs"]["entry"]
    fault = check(Document("config/TRIGGERS.json", MISTAKEN, json.loads(MISTAKEN)), "triggers")[0]
    parts = [
        INTRODUCTION.replace("$FAULT", str(fault)),
        section("CRONS.json", cron, required=_always(crons)),
        section("TRIGGERS.json", trigger, required=_always(triggers)),
        *(section(key, trigger["properties"][key], 3) for key in NESTED),
        section("dispatch", crons["$defs"]["dispatch"], required={"event_type": REQUIRED}),
        section("Follow-ups", _notice(crons), required={"notify": REQUIRED}),
        "## Older entries\n\n" + OLDER,
        older("In CRONS.json", cron["properties"]),
        older("In TRIGGERS.json", trigger["properties"]),
        older("Each of `actions`", trigger["properties"]["actions"]["items"]["properties"]),
        section("DAEMON.yaml", daemon),
        section("credentials", _each(daemon["properties"]["credentials"]), 3),
        section("api_keys", _each(daemon["properties"]["api_keys"]), 3),
    ]
    return "\n".join(parts)


def section(
    title: str,
    described: Mapping[str, Any],
    level: int = 2,
    *,
    required: Mapping[str, str] | None = None,
) -> str:
    """A heading, what the schema says of the whole, and a table of its keys."""
    needed = {**(required or {}), **dict.fromkeys(described.get("required", ()), REQUIRED)}
    keys = {key: one for key, one in described["properties"].items() if "deprecated" not in one}
    return f"{'#' * level} {title}\n\n{described['description']}\n\n{_table(keys, needed)}"


def _notice(crons: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a follow-up has of its own; the rest is a dispatch's."""
    follow_up = crons["$defs"]["follow_up"]
    return {**follow_up["then"], "description": follow_up["description"]}


def _each(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an object, or an array, says of all its values alike, under its own description."""
    each = described.get("items") or described["additionalProperties"]
    return {**each, "description": described["description"]}


def older(title: str, keys: Mapping[str, Any]) -> str:
    deprecated = {key: one for key, one in keys.items() if "deprecated" in one}
    return f"{title}:\n\n{_table(deprecated, {})}"


def _table(keys: Mapping[str, Any], required: Mapping[str, str]) -> str:
    rows = ["| key | type | default | meaning | example |", "|---|---|---|---|---|"]
    for key, one in keys.items():
        default = required.get(key, "")
        if "default" in one:
            default = _code(one["default"])
        cells = [f"`{key}`", _type(one), default, one["description"], _code(one["examples"][0])]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _type(one: Mapping[str, Any]) -> str:
    if "enum" in one:
        if len(one["enum"]) > LISTED_MAX:
            return "one of those that `dispatchd schemes` lists ([webhooks](webhooks.md))"
        return ", ".join(map(_code, one["enum"]))
    form = one.get("x-form", "")
    for kind in ("duration", "reference"):
        if form.startswith(f"a {kind}"):
            return f"{kind} or array" if "array" in one["type"] else kind
    kinds = one.get("type", ["object", "array"] if "$ref" in one else "any")
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _always(described: Mapping[str, Any]) -> dict[str, str]:
    """What the table says of the keys that every entry needs, unless the defaults or an older key
    stand in for them."""
    needed: dict[str, str] = {}
    for name, rule in described["$defs"].items():
        if not name.startswith("has_"):
            continue
        while "required" not in rule and "oneOf" not in rule:
            rule = rule["else"]
        choices = [key for choice in rule.get("oneOf", [rule]) for key in choice["required"]]
        choices = [key for key in choices if not _hidden(described, key)]
        said = "**one of these**" if len(choices) > 1 else REQUIRED
        needed.update(dict.fromkeys(choices, said))
    return needed


def _hidden(described: Mapping[str, Any], key: str) -> bool:
    one = described["$defs"]["entry"]["properties"][key]
    return "deprecated" in one


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
