"""The page on follow-ups is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

from daemon.client.telling import TOLD_WITHIN
from daemon.expressions import Vocabulary
from daemon.follow_up import Cause, Standing
from daemon.following_up import GIVE_UP_AFTER, SIMULATED
from daemon.notice import NOTICES_MAX, NOTICES_PER, TEXT_MAX, body, notice
from daemon.telling_pace import BASE, CAP
from tests.examples import examples
from tests.follow_ups import DISPATCH, follow_up
from tests.test_config import HOME, read

PAGE = Path(__file__).parents[1] / "docs" / "follow-ups.md"
EXAMPLES = {example.name: example.text for example in examples(PAGE) if example.name}


def words(heading: str, column: int = 0) -> list[str]:
    """The names in the tables under a heading."""
    text = PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    _, *rows = [row.split("|")[1 + column] for row in text.splitlines() if row.startswith("| ")]
    return [name for row in rows for name in re.findall(r"`([\w.]+)`", row)]


def test_its_entries_load(tmp_path: Path) -> None:
    environ = {**HOME, "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/x"}
    config = read(tmp_path, crons=EXAMPLES["entries"], environ=environ)
    assert config.warnings == ()


def test_the_body_is_the_one_that_is_sent() -> None:
    assert json.loads(EXAMPLES["body"]) == json.loads(body(notice(follow_up(), DISPATCH)))


def test_it_lists_every_cause_every_state_and_every_name() -> None:
    assert words("When", 1) == [*Cause]
    assert words("Where it is shown") == [*Standing]
    for_trigger, for_cron = (
        Vocabulary.for_follow_up_of_trigger(),
        Vocabulary.for_follow_up_of_cron(),
    )
    known = {*for_trigger.with_dispatch().names, *for_cron.with_dispatch().names}
    assert set(words("What templates know")) == known


def test_its_figures_are_those_of_the_code() -> None:
    text = " ".join(PAGE.read_text("utf-8").split())
    assert NOTICES_PER.total_seconds() == 60
    assert CAP.total_seconds() == 3600
    for figure in (
        f"At most {NOTICES_MAX} messages a minute",
        f"{TEXT_MAX:,} characters are told",
        f"not at all within {TOLD_WITHIN:.0f} s",
        f"after {BASE.seconds} s, then later each time, up to an hour apart",
        f"given up {GIVE_UP_AFTER // CAP} hours after",
        f"begins with `{SIMULATED.strip()}`",
        "`failure`, `timed_out` or `startup_failure`",
    ):
        assert figure in text, figure
