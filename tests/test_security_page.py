"""The page on security is true."""

from __future__ import annotations

from pathlib import Path

from daemon.admission import UNGUESSABLE
from daemon.api_keys import RANDOM_BYTES, Scope
from daemon.throttle import ADDRESSES_MAX, FAILURES, PER
from tests.examples import examples
from tests.test_config import HOME, read

PAGE = Path(__file__).parents[1] / "docs" / "security.md"
TEXT = PAGE.read_text("utf-8")
EXAMPLES = {example.name: example.text for example in examples(PAGE) if example.name}


def test_its_keys_load(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "PROMETHEUS_KEY").write_text("0123456789abcdef0123456789abcdef")
    environ = {**HOME, "API_KEY": "", "CREDENTIALS_DIRECTORY": str(credentials)}
    config = read(tmp_path, crons=[], yaml=EXAMPLES["settings"], environ=environ)
    assert config.warnings == ()
    ci, prometheus = config.settings.every_api_key
    assert ci.scopes == {Scope.DISPATCH}
    assert prometheus.scopes == {Scope.READ}


def test_its_figures_are_those_of_the_code() -> None:
    assert f"{RANDOM_BYTES * 8} random bits" in TEXT
    assert (FAILURES, PER) == (10, 60.0)
    assert f"Up to {ADDRESSES_MAX:,} of them" in TEXT
    assert f"A right key of {UNGUESSABLE} characters or more" in TEXT
