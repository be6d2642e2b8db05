"""The harness's own measure: it has to see a loss when there is one."""

from __future__ import annotations

from datetime import UTC, datetime

from daemon.simulator import ReceivedDispatch
from tests.harness import Balance

AT = datetime(2026, 3, 1, tzinfo=UTC)


def received(*names: str) -> list[ReceivedDispatch]:
    return [ReceivedDispatch(AT, "acme/shop", "push", {"delivery": name}, "1") for name in names]


def test_a_balance_names_what_is_lost_doubled_and_unasked() -> None:
    balance = Balance.of(
        sent=["a", "b", "c", "d"],
        acknowledged=["a", "b", "c"],
        received=received("a", "c", "c", "x"),
    )
    assert balance == Balance(lost=("b",), doubled=("c",), unasked=("x",))
    assert not balance.even


def test_a_delivery_that_was_not_acknowledged_may_be_received_or_not() -> None:
    for got in (received("a"), received("a", "b")):
        assert Balance.of(sent=["a", "b"], acknowledged=["a"], received=got).even
