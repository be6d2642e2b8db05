"""The man pages, made of what the commands and the JSON Schemas say of themselves: dispatchd(1),
and dispatchd(5) of the config files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from daemon import __version__
from daemon.cli.commands import app
from packages.roff import (
    bold,
    deeper,
    example,
    italic,
    item,
    paragraph,
    section,
    subsection,
    text,
)

SCHEMAS = Path(__file__).parents[1] / "daemon" / "schemas"
SHARED = ("config_dir", "database", "url", "as_json")
"""Options that most commands have: they are explained once."""

FILES = {
    "CRONS.json": "The schedules.",
    "TRIGGERS.json": "Which webhook sends what.",
    "DAEMON.yaml": "Settings of the daemon. See dispatchd(5) for all three.",
    "/etc/dispatchd": "Where the service of systemd has these files.",
    "/etc/dispatchd/secrets": "The service's secrets, one a file, which only root can read: "
    "`credential:NAME` in the config is the file of that name.",
    "/var/lib/dispatchd/dispatchd.sqlite": "The service's database. Without systemd it is "
    "~/.local/state/dispatchd/dispatchd.sqlite.",
    "/run/dispatchd/admin.sock": "The socket by which the commands reach the service; who is in "
    "the group dispatchd may open it.",
}

EXAMPLES = {
    "Try everything without GitHub:": "dispatchd init --config-dir config\n"
    "dispatchd init cron --config-dir config\ndispatchd run --config-dir config --simulate",
    "See what the config would do:": "dispatchd validate\ndispatchd next",
    "A build did not start. Why?": "dispatchd status\ndispatchd events --refused\n"
    "dispatchd dispatches --state dead",
}


def write_pages(man: Path) -> None:
    """Below a ``man`` directory."""
    for number, page in (("1", commands_page()), ("5", config_page())):
        directory = man / f"man{number}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"dispatchd.{number}").write_text(page, "ascii")


def commands_page() -> str:
    """dispatchd(1)."""
    program = get_command(app)
    assert isinstance(program, TyperGroup)  # noqa: S101 - it has commands
    panels: dict[str, list[str]] = {}
    for name, command in program.commands.items():
        panels.setdefault(getattr(command, "rich_help_panel", None) or "Others", []).extend(
            _command(name, command)
        )
    settings = _schema("daemon")["properties"]
    blocks = [
        _head("1", "User Commands"),
        section("NAME", f"dispatchd \\-\n{text(_lower(str(program.help)))}"),
        section(
            "SYNOPSIS",
            f".B dispatchd\n{italic('COMMAND')} [{italic('OPTIONS')}] [{italic('ARGUMENTS')}]\n.br",
            f".B dispatchd\n{bold('--help')} | {bold('--version')}",
        ),
        section(
            "DESCRIPTION",
            paragraph(
                "dispatchd is a daemon that turns cron schedules and third-party webhooks into "
                "GitHub Actions runs. It records every firing and every delivery before it "
                "acknowledges it, sends each to GitHub as a repository_dispatch event at least "
                "once, and follows it to the workflow run that it starts, or says why there is "
                "none."
            ),
            paragraph(
                "`dispatchd run` is the daemon. The commands that act ask it over its Unix socket, "
                "or at `--url` with the key in `API_KEY`. Those that only read look into its "
                "database where no daemon answers."
            ),
        ),
        section("COMMANDS", *(subsection(title, *each) for title, each in panels.items())),
        section(
            "OPTIONS",
            paragraph("Most commands have these."),
            *(_option(each) for each in _shared(program)),
            *(_option(each) for each in program.params),
            item(f"{bold('-h')}, {bold('--help')}", "Show the help of the program or a command."),
        ),
        section(
            "EXIT STATUS",
            item(bold("0"), "Done."),
            item(
                bold("1"),
                "It failed: GitHub refused, no daemon answers, or the request would not be "
                "dispatched.",
            ),
            item(bold("2"), "The usage or the config is wrong."),
        ),
        section(
            "ENVIRONMENT",
            item(bold("DISPATCHD_CONFIG_DIR"), "Where the config files are (default: ./config)."),
            *(item(bold(key.upper()), _said(settings[key])) for key in settings if _settable(key)),
            paragraph(
                "Each is also a key of DAEMON.yaml, in lower case, and a systemd credential. A "
                "flag wins over a variable, that over a credential, and that over the file."
            ),
        ),
        section("FILES", *(item(italic(name), said) for name, said in FILES.items())),
        section(
            "EXAMPLES",
            *(f"{paragraph(said)}\n{example(code)}" for said, code in EXAMPLES.items()),
        ),
        section("SEE ALSO", ".BR dispatchd (5),\n.BR systemctl (1),\n.BR journalctl (1)"),
    ]
    return "\n".join(blocks) + "\n"


def config_page() -> str:
    """dispatchd(5)."""
    crons, triggers, daemon = _schema("crons"), _schema("triggers"), _schema("daemon")
    cron, trigger = crons["$defs"]["entry"], triggers["$defs"]["entry"]
    blocks = [
        _head("5", "File Formats"),
        section("NAME", "dispatchd \\- the config files of dispatchd"),
        section(
            "DESCRIPTION",
            paragraph(
                "The three files are in one directory, which `--config-dir` or the variable "
                "DISPATCHD_CONFIG_DIR names (else ./config). The two JSON files hold an array of "
                "entries, or an object with `defaults` and the entries under `crons` or "
                "`triggers`. `dispatchd validate` reports every fault of all files at once, with "
                "its line and a hint."
            ),
            paragraph(
                "Secrets are references: `env:NAME`, `file:/path`, or `credential:NAME` of what "
                "systemd hands over. Durations are written as 90s, 5m, 24h, 7d. Conditions are "
                "expressions of CEL, the Common Expression Language; a template is text with such "
                "expressions in {{ }}."
            ),
        ),
        section("CRONS.JSON", paragraph(cron["description"]), *_keys(cron)),
        section("TRIGGERS.JSON", paragraph(trigger["description"]), *_keys(trigger)),
        section("DISPATCH", *_whole(crons["$defs"]["dispatch"])),
        section("DAEMON.YAML", paragraph(daemon["description"]), *_keys(daemon)),
        section("SEE ALSO", ".BR dispatchd (1)"),
    ]
    return "\n".join(blocks) + "\n"


def _head(number: str, title: str) -> str:
    day = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())), UTC)
    return f'.TH DISPATCHD {number} {day:%Y-%m-%d} "dispatchd {__version__}" "{title}"'


def _command(name: str, command: Any) -> Iterator[str]:
    """It with its options, or, of a group, each of its commands."""
    below: Mapping[str, Any] = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        own = [each for each in command.params if each.param_type_name == "option"]
        given = [each for each in command.params if each.param_type_name == "argument"]
        words = [bold(name), *(_argument(each) for each in given)]
        said = [f".TP\n{' '.join(words)}", text(command.help.split("\n\n")[0])]
        told = [_option(each) for each in own if each.name not in SHARED]
        yield "\n".join([*said, deeper(told)] if told else said)
    for each, inner in below.items():
        yield from _command(f"{name} {each}", inner)


def _argument(given: Any) -> str:
    words: str = given.metavar or given.name.upper()
    return italic(words if given.required or words.startswith("[") else f"[{words}]")


def _option(option: Any) -> str:
    names = ", ".join(bold(each) for each in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag or option.is_eager else option.metavar or option.name.upper()
    head = f"{names} {italic(value)}" if value else names
    return item(head, option.help or "")


def _shared(program: Any) -> list[Any]:
    """From a command that has them all."""
    return [each for each in program.commands["fire"].params if each.name in SHARED]


def _schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))


def _whole(described: Mapping[str, Any]) -> list[str]:
    return [paragraph(described["description"]), *_keys(described)]


def _keys(described: Mapping[str, Any]) -> list[str]:
    """Each key with what the schema says of it, and those of an object below it."""
    blocks = []
    for key, one in described["properties"].items():
        if "deprecated" in one or one.get("x-not-yet"):
            continue
        blocks.append(item(bold(key), _said(one)))
        if inner := one.get("properties"):
            known = {name: each for name, each in inner.items() if "description" in each}
            blocks.append(deeper(_keys({"properties": known})))
    return blocks


def _said(one: Mapping[str, Any]) -> str:
    """With its default, or an example where it has none."""
    if "default" in one:
        return f"{one['description']} Default: `{_json(one['default'])}`."
    if one.get("examples"):
        return f"{one['description']} For example: `{_json(one['examples'][0])}`."
    return str(one["description"])


def _settable(key: str) -> bool:
    """Whether a setting has a variable too, as these have; the others are in DAEMON.yaml alone."""
    return key.startswith(("gh_", "dispatchd_")) or key == "api_key"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence.removesuffix(".")[1:]
