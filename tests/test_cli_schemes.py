"""`dispatchd schemes` tells all that is to know of a sender, and what it tells can be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.schemes import explanation
from daemon.config import Secrets, load
from daemon.signatures import ALIASES, PARAMETERS, SCHEMES
from tests.shell import Shell
from tests.specs import ENVIRON


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def test_all_are_listed_with_what_they_check(shell: Shell) -> None:
    listed = (await shell.run("schemes", "--json")).json["schemes"]
    assert [one["name"] for one in listed] == list(SCHEMES)
    table = (await shell.run("schemes")).out
    for one in listed:
        assert one["name"] in table
        assert one["description"] in table


async def test_one_is_explained_in_full(shell: Shell) -> None:
    told = (await shell.run("schemes", "linear")).out
    for part in (
        "Linear-Signature",
        "Signing secret",
        "the header linear-delivery",
        'timestamp_field: "webhookTimestamp"',
        'tolerance: "1m"',
        "timestamp_header: none",
        "success is       200",
        "https://linear.app/developers/webhooks",
        '"secret": "env:LINEAR_WEBHOOK_SECRET"',
    ):
        assert part in told
    assert "env:DISCORD_PUBLIC_KEY" in (await shell.run("schemes", "discord")).out
    asked = (await shell.run("schemes", "slack")).out
    assert "the challenge of url_verification is repeated" in asked


async def test_json_and_text_tell_the_same(shell: Shell) -> None:
    found: dict[str, Any] = (await shell.run("schemes", "zoom", "--json")).json
    assert found["success_status"] == 200
    assert found["parameters"]["signed"] == "v0:{timestamp}:{body}"
    assert found["dedupe"] == "the body's hash, since no id is signed"
    text = (await shell.run("schemes", "zoom")).out
    assert json.dumps(found["example"], indent=2) in text


@pytest.mark.parametrize("name", [*SCHEMES, *ALIASES])
def test_each_can_be_explained_by_all_of_its_names(name: str) -> None:
    found = explanation(name)
    assert found.name == ALIASES.get(name, name)
    assert found.also == tuple(alias for alias in ALIASES if ALIASES[alias] == found.name)
    assert set(found.parameters) == set(PARAMETERS[name])
    assert found.secret
    assert found.dedupe
    general = ("hmac", "token", "api_key", "none")
    assert found.sources or found.name in general


@pytest.mark.parametrize("name", SCHEMES)
def test_its_example_is_a_trigger_that_loads(name: str, tmp_path: Path) -> None:
    (tmp_path / "TRIGGERS.json").write_text(json.dumps([explanation(name).example]))
    (tmp_path / "CRONS.json").write_text("[]")
    found = load(tmp_path, ENVIRON, secrets=Secrets.OPTIONAL)
    [trigger] = found.triggers
    assert trigger.auth.scheme.name == name


async def test_a_misspelt_name_is_met_with_the_right_one(shell: Shell) -> None:
    asked = await shell.run("schemes", "strip")
    assert (asked.code, "did you mean 'stripe'" in asked.err) == (2, True)
    unknown = await shell.run("schemes", "xyzzy")
    assert (unknown.code, "`dispatchd schemes` lists them" in unknown.err) == (2, True)
