"""The page on webhooks is true: what it shows is typed, and its table is the catalogue's."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from daemon.document import Document
from daemon.schemas import check, schema
from daemon.signatures import ALIASES, PARAMETERS, SCHEMES, parse
from tests.test_docs import read

pytestmark = pytest.mark.no_cover

PAGE = Path(__file__).parents[1] / "docs" / "webhooks.md"
TEXT = PAGE.read_text(encoding="utf-8")
AUTHS = [json.loads(auth) for auth in re.findall(r'`(\{"scheme": .*?\})`', TEXT)]


async def test_the_page_can_be_followed_from_the_top_to_the_bottom(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    await read([PAGE], tmp_path_factory.mktemp("home"))


def test_the_table_is_what_the_catalogue_says() -> None:
    spec = importlib.util.spec_from_file_location("table", PAGE.with_name("generate_webhooks.py"))
    assert spec is not None
    assert spec.loader is not None
    generator: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.page(TEXT) == TEXT, "run: python docs/generate_webhooks.py"


def test_every_auth_that_it_shows_is_valid() -> None:
    assert {auth["scheme"] for auth in AUTHS} == set(SCHEMES)
    for auth in AUTHS:
        entry = {"name": "a", "path": "/a", "auth": auth, "dispatch": {"event_type": "x"}}
        text = json.dumps([entry])
        assert check(Document("page", text, [entry]), "triggers") == []
        parse({key: auth[key] for key in auth if key not in ("secret", "verify_token")})


def test_it_names_every_parameter_of_the_general_scheme_and_every_other_spelling() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert rows - {"auth"} == set(PARAMETERS["hmac"])
    others = {alias for alias in ALIASES if "-" not in alias}
    assert set(re.findall(r"`(\w+)`", TEXT.partition("understood as well:")[2][:100])) == others


# The schema of TRIGGERS.json


def test_the_schema_offers_every_scheme_with_the_keys_that_it_takes() -> None:
    auth = schema("triggers")["$defs"]["entry"]["properties"]["auth"]
    assert auth["properties"]["scheme"]["enum"] == [*SCHEMES, *ALIASES]
    for name, parameters in PARAMETERS.items():
        [family] = [
            each["then"]["propertyNames"]["enum"]
            for each in auth["allOf"]
            if name in each["if"]["properties"]["scheme"]["enum"]
        ]
        taken = set(family) - {"scheme", "secret", "verify_token"}
        assert taken == set(parameters), name


@pytest.mark.parametrize("name", SCHEMES)
def test_the_schema_and_the_scheme_take_and_refuse_the_same_keys(name: str) -> None:
    auth = next(auth for auth in AUTHS if auth["scheme"] == name)
    known = schema("triggers")["$defs"]["entry"]["properties"]["auth"]["properties"]
    for key in known.keys() - {"scheme", "secret", "verify_token"} - auth.keys():
        entry = {"name": "a", "path": "/a", "auth": {**auth, key: known[key]["examples"][0]}}
        data = [{**entry, "dispatch": {"event_type": "x"}}]
        told = [str(fault) for fault in check(Document("F", json.dumps(data), data), "triggers")]
        unknown = [fault for fault in told if "left out with this scheme" in fault]
        assert bool(unknown) == (key not in PARAMETERS[name]), key
        assert len(told) < 2
