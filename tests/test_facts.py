"""The stream of facts: who hears which, in which order, and until when."""

from __future__ import annotations

from daemon.facts import ConfigReloading, Fact, Facts, Stopping, Trouble

TROUBLE = Trouble("store", "the disk is full")


def test_who_names_kinds_hears_those_and_who_names_none_hears_all() -> None:
    facts = Facts()
    every: list[Fact] = []
    some: list[Fact] = []
    facts.subscribe(every.append)
    facts.subscribe(some.append, Trouble, ConfigReloading)
    for fact in (TROUBLE, Stopping(0), ConfigReloading("SIGHUP came")):
        facts.publish(fact)
    assert every == [TROUBLE, Stopping(0), ConfigReloading("SIGHUP came")]
    assert some == [TROUBLE, ConfigReloading("SIGHUP came")]


def test_they_hear_it_in_the_order_in_which_they_came_and_until_they_go() -> None:
    facts = Facts()
    heard: list[str] = []
    leave = facts.subscribe(lambda _: heard.append("first"), Trouble)
    facts.publish(TROUBLE)
    facts.subscribe(lambda _: heard.append("second"))
    facts.publish(TROUBLE)
    leave()
    facts.publish(TROUBLE)
    assert heard == ["first", "first", "second", "second"]


def test_who_comes_or_goes_amid_a_fact_makes_nobody_miss_it() -> None:
    facts = Facts()
    heard: list[str] = []

    def once(_: Fact) -> None:
        heard.append("once")
        leave()
        facts.subscribe(lambda _: heard.append("later"))

    leave = facts.subscribe(once)
    facts.subscribe(lambda _: heard.append("always"))
    facts.publish(TROUBLE)
    assert heard == ["once", "always"]
    facts.publish(TROUBLE)
    assert heard == ["once", "always", "always", "later"]
