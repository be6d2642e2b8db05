"""From a spec and an event's values to the request, or to a dead dispatch that says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.dispatch import Dispatch, State
from daemon.errors import RenderError
from daemon.event import Event, Firing
from daemon.expressions import Bindings
from daemon.github import PAYLOAD_BYTES_MAX
from daemon.render import again, encode, render, with_metadata
from tests.specs import ENVIRON, config, trigger_entry

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
EVENT = Event("evt_1", Firing("cron", NOW, NOW))


def rendered(dispatch: dict[str, Any], body: object = None) -> Dispatch:
    (trigger,) = config([trigger_entry(dispatch={"event_type": "build", **dispatch})]).triggers
    values = Bindings({"body": body, "event.received_at": NOW})
    return render(trigger.dispatches[0], values, dispatch_id="dsp_1", event=EVENT, entry="push")


def test_a_dispatch_is_due_at_once_and_expires_after_its_send_within() -> None:
    dispatch = rendered({"send_within": "6h"})
    assert (dispatch.state, dispatch.due_at) == (State.PENDING, NOW)
    assert dispatch.expires_at == NOW + timedelta(hours=6)
    assert dispatch.repository == f"{ENVIRON['GH_OWNER']}/{ENVIRON['GH_REPO']}"
    assert json.loads(dispatch.client_payload) == {
        "dispatchd": {"id": "dsp_1", "entry": "push", "depth": 0}
    }


def test_the_reserved_key_can_be_left_out() -> None:
    dispatch = rendered({"client_payload": {"a": "é"}, "inject_metadata": False})
    assert dispatch.client_payload == '{"a":"é"}'


def test_an_event_type_may_be_chosen_among_those_that_are_listed() -> None:
    choice = {"event_type": "{{ body.kind }}", "event_types": ["build", "deploy"]}
    assert rendered(choice, {"kind": "deploy"}).event_type == "deploy"
    other = rendered(choice, {"kind": "drop-tables"})
    assert other.state is State.DEAD
    assert other.reason == "event_type came to 'drop-tables', not one of: build, deploy"
    assert rendered(choice, {"kind": 7}).reason == "event_type came to 7, not to a string"
    assert rendered(choice, {}).reason.startswith("event_type: there is no key 'kind'")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "a: there is no key 'x'"),
        ({"x": "y" * 66_000}, f"more than GitHub's {PAYLOAD_BYTES_MAX:,}"),
        ({"x": float("inf")}, "JSON cannot hold"),
    ],
)
def test_what_cannot_be_sent_is_dead_with_the_reason_and_without_a_payload(
    body: object, words: str
) -> None:
    dead = rendered({"client_payload": {"a": "{{ body.x }}"}}, body)
    assert (dead.state, dead.client_payload, dead.settled_at) == (State.DEAD, "", NOW)
    assert words in dead.reason


def test_the_reserved_key_belongs_to_us() -> None:
    with pytest.raises(RenderError, match="reserved"):
        with_metadata({"dispatchd": 1}, "dsp_1", "push")


def test_what_is_no_json_is_no_payload() -> None:
    with pytest.raises(RenderError, match="cannot be written as JSON"):
        encode("build", {"a": "\ud800"})
    with pytest.raises(RenderError, match="cannot be written as JSON"):
        encode("build", {"a": float("nan")})


def test_a_replay_is_the_same_request_under_a_new_id_with_its_time_anew() -> None:
    original = rendered({"client_payload": {"a": 1}, "send_within": "6h"})
    later = NOW + timedelta(days=3)
    replay = again(original, "dsp_2", later)
    assert json.loads(replay.client_payload) == {
        "a": 1,
        "dispatchd": {"id": "dsp_2", "entry": "push", "depth": 0},
    }
    assert (replay.replay_of, replay.state, replay.attempts) == ("dsp_1", State.PENDING, 0)
    assert replay.expires_at == later + timedelta(hours=6)
    plain = rendered({"client_payload": {"a": 1}, "inject_metadata": False})
    assert again(plain, "dsp_2", later).client_payload == '{"a":1}'
