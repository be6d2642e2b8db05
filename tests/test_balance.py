"""The harness's own measures: they have to see what is lost, skipped or doubled when it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.event import FiringOutcome
from daemon.simulator import ReceivedDispatch
from tests.harness import Balance
from tests.harness.reckoning import Booking, Reception, Reckoning, Tally, Wrong, instant_name

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


# The books of many lives

FIRED = Booking(FiringOutcome.FIRED, "")
MISSED = Booking(FiringOutcome.MISSED, "too late")


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def instant(seconds: int) -> str:
    return instant_name("tick", after(seconds))


def books(*lives: tuple[float, float]) -> Reckoning:
    """Those of one cron, ``tick``, and of lives that served between these seconds. Each was killed
    while it was sending ``dsp_sending``."""
    reckoning = Reckoning(["tick"])
    for number, (began, ended) in enumerate(lives, 1):
        reckoning.serves(after(began))
        reckoning.ended(after(ended), number, ["dsp_sending"])
    return reckoning


def taken(life: int, dispatch_id: str, subject: str) -> Reception:
    return Reception(AT + timedelta(days=1), life, dispatch_id, subject)


def found(reckoning: Reckoning) -> list[tuple[Wrong, str]]:
    return [(finding.wrong, finding.subject) for finding in reckoning.findings]


def with_deliveries(*receptions: Reception, lives: int = 3) -> Reckoning:
    """The books in which ``a`` was acknowledged and ``b`` was not, closed."""
    reckoning = books(*[(number * 10.0, number * 10.0 + 9) for number in range(lives)])
    for name in "ab":
        reckoning.sent(name)
    reckoning.acknowledged("a")
    for reception in receptions:
        reckoning.received(reception)
    reckoning.close_deliveries(reckoning.open_deliveries)
    return reckoning


def test_an_acknowledged_delivery_has_to_be_received() -> None:
    assert found(with_deliveries(taken(1, "dsp_a", "a"))) == []
    assert found(with_deliveries(taken(1, "dsp_b", "b"))) == [(Wrong.LOST, "a")]


def test_a_delivery_leads_to_one_dispatch() -> None:
    """Also where both were in flight at a kill: they are two events."""
    again = with_deliveries(taken(1, "dsp_sending", "a"), taken(2, "dsp_other", "a"))
    assert found(again) == [(Wrong.DOUBLED, "a")]


@pytest.mark.parametrize(
    ("receptions", "explained"),
    [
        ([(1, "dsp_sending"), (2, "dsp_sending")], 1),
        ([(1, "dsp_sending"), (2, "dsp_sending"), (3, "dsp_sending")], 2),
        ([(2, "dsp_sending"), (1, "dsp_sending")], 1),  # the witness was slow with the first
        ([(1, "dsp_a"), (2, "dsp_a")], None),  # it was not being sent at the kill
        ([(1, "dsp_sending"), (1, "dsp_sending")], None),  # no kill came between
        ([(1, "dsp_sending"), (2, "dsp_sending"), (2, "dsp_sending")], None),
        ([(9, "dsp_sending"), (10, "dsp_sending")], None),  # that life was not killed
    ],
)
def test_a_dispatch_is_sent_again_only_where_a_kill_fell_into_its_sending(
    receptions: list[tuple[int, str]], explained: int | None
) -> None:
    reckoning = with_deliveries(*(taken(life, id_, "a") for life, id_ in receptions))
    if explained is None:
        assert found(reckoning) == [(Wrong.SENT_AGAIN, "a")]
    else:
        assert found(reckoning) == []
        assert reckoning.tally.explained == explained


def test_what_was_never_sent_or_is_settled_may_not_be_received() -> None:
    reckoning = with_deliveries(taken(1, "dsp_a", "a"), taken(1, "dsp_x", "x"))
    assert found(reckoning) == [(Wrong.UNASKED, "x")]
    reckoning.received(taken(1, "dsp_a", "a"))
    assert found(reckoning)[1:] == [(Wrong.UNASKED, "a")]


def test_the_backlog_is_what_was_acknowledged_and_not_received_yet() -> None:
    reckoning = books((0, 9))
    for name in "abc":
        reckoning.sent(name)
    reckoning.received(taken(1, "dsp_a", "a"))
    reckoning.acknowledged("a")
    reckoning.acknowledged("b")
    assert reckoning.backlog == 1
    reckoning.received(taken(1, "dsp_b", "b"))
    assert reckoning.backlog == 0


def with_instants(
    bookings: Mapping[str, Booking],
    *receptions: Reception,
    lives: tuple[tuple[float, float], ...] = ((0.5, 9),),
    until: int = 3,
) -> Reckoning:
    """The books, closed up to the instant ``until``."""
    reckoning = books(*lives)
    for reception in receptions:
        reckoning.received(reception)
    reckoning.close_instants(after(until), bookings)
    return reckoning


ALL_FIRED = {instant(second): FIRED for second in (1, 2, 3)}
ALL_RECEIVED = [taken(1, f"dsp_{second}", instant(second)) for second in (1, 2, 3)]


def test_every_instant_since_the_first_life_served_has_to_fire() -> None:
    reckoning = with_instants(ALL_FIRED, *ALL_RECEIVED)
    assert found(reckoning) == []
    assert reckoning.tally == Tally(instants=3, fired=3)


@pytest.mark.parametrize(
    "bookings",
    [
        {**ALL_FIRED, instant(2): FIRED},  # booked as fired, but not received
        {instant(1): FIRED, instant(3): FIRED},
        {**ALL_FIRED, instant(2): Booking(FiringOutcome.MISSED, "")},
        {**ALL_FIRED, instant(2): MISSED},  # although the daemon was there
    ],
)
def test_an_instant_that_did_not_fire_is_skipped(bookings: Mapping[str, Booking]) -> None:
    one, _, three = ALL_RECEIVED
    assert found(with_instants(bookings, one, three)) == [(Wrong.SKIPPED, instant(2))]


def test_an_instant_may_be_missed_where_no_life_served_in_its_minute() -> None:
    bookings = {instant(second): MISSED for second in range(10, 39)}
    fires = [instant(second) for second in (*range(1, 10), *range(39, 100))]
    receptions = [taken(1, f"dsp_{name}", name) for name in fires]
    lives = ((0.0, 9.5), (99.0, 101.0))
    reckoning = with_instants(
        bookings | dict.fromkeys(fires, FIRED), *receptions, lives=lives, until=99
    )
    assert found(reckoning) == []
    assert reckoning.tally == Tally(instants=99, fired=70, missed=29)


def test_an_instant_fires_once() -> None:
    """Two dispatches for it are wrong whatever was killed; one that is received twice is judged
    like that of a delivery."""
    another = with_instants(ALL_FIRED, *ALL_RECEIVED, taken(2, "dsp_other", instant(2)))
    assert found(another) == [(Wrong.FIRED_TWICE, instant(2))]
    again = with_instants(ALL_FIRED, *ALL_RECEIVED, taken(2, "dsp_2", instant(2)))
    assert found(again) == [(Wrong.SENT_AGAIN, instant(2))]


def test_an_instant_fires_only_as_it_is_booked() -> None:
    missed = with_instants({**ALL_FIRED, instant(2): MISSED}, *ALL_RECEIVED)
    assert found(missed) == [(Wrong.UNASKED, instant(2))]
    without = with_instants({instant(1): FIRED, instant(2): FIRED}, *ALL_RECEIVED)
    assert found(without) == [(Wrong.UNASKED, instant(3))]
    stranger = with_instants(ALL_FIRED, *ALL_RECEIVED, taken(1, "dsp_x", "tock 2026"))
    assert found(stranger) == [(Wrong.UNASKED, "tock 2026")]


def test_an_instant_from_before_the_first_life_said_that_it_serves_may_fire_once() -> None:
    early = taken(1, "dsp_0", instant(0))
    booked = {**ALL_FIRED, instant(0): FIRED}
    assert found(with_instants(booked, early, *ALL_RECEIVED)) == []
    assert found(with_instants(ALL_FIRED, early, *ALL_RECEIVED)) == [(Wrong.UNASKED, instant(0))]


def test_no_instant_fires_before_its_time() -> None:
    one, two, three = ALL_RECEIVED
    early = replace(two, at=after(2) - timedelta(microseconds=1))
    assert found(with_instants(ALL_FIRED, one, early, three)) == [(Wrong.EARLY, instant(2))]
    sharp = replace(two, at=after(2))
    assert found(with_instants(ALL_FIRED, one, sharp, three)) == []


def test_settled_instants_stay_settled() -> None:
    reckoning = with_instants(ALL_FIRED, *ALL_RECEIVED)
    reckoning.received(ALL_RECEIVED[1])
    assert found(reckoning) == [(Wrong.UNASKED, instant(2))]
    reckoning.received(taken(1, "dsp_4", instant(4)))
    reckoning.close_instants(after(4), {instant(4): FIRED})
    assert len(found(reckoning)) == 1
    assert reckoning.tally == Tally(instants=4, fired=4)
