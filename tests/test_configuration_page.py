"""The configuration reference says what the schemas say, and its examples are valid."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any, get_args

from daemon.document import Document
from daemon.schemas import Name, check, schema

NAMES: tuple[Name, ...] = get_args(Name)
DOCS = Path(__file__).parents[1] / "docs"


def page_generator() -> Any:
    spec = importlib.util.spec_from_file_location("page", DOCS / "generate_configuration.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configuration_page_is_what_the_schemas_say() -> None:
    page = (DOCS / "configuration.md").read_text("utf-8")
    assert page == page_generator().page(), "run: python docs/generate_configuration.py"


def test_the_configuration_page_offers_all_that_is_supported_and_nothing_else() -> None:
    page = (DOCS / "configuration.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    crons, triggers, daemon = map(schema, NAMES)
    described = [crons["$defs"]["entry"], triggers["$defs"]["entry"], daemon]
    described += [crons["$defs"]["dispatch"], crons["$defs"]["follow_up"]["then"]]
    keys = {key: one for part in described for key, one in part["properties"].items()}
    later = {key for key, one in keys.items() if one.get("x-not-yet")}
    assert keys.keys() & rows == keys.keys() - later


def test_the_examples_of_the_configuration_page_are_valid() -> None:
    page = (DOCS / "configuration.md").read_text("utf-8")
    crons, triggers = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert check(Document("page", crons, json.loads(crons)), "crons") == []
    assert check(Document("page", triggers, json.loads(triggers)), "triggers") == []
