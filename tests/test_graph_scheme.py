"""Microsoft Graph, whose notifications repeat a secret and prove nothing else."""

from __future__ import annotations

from daemon.secret import Secret
from daemon.signatures.handshakes import GraphValidation
from daemon.signatures.request import Mismatch
from tests.odd_senders import CLIENT_STATE, NOW, microsoft_graph


def refusal(answer: object) -> Mismatch:
    assert isinstance(answer, Mismatch)
    assert answer.hint
    return answer


def test_every_notification_of_graph_must_hold_the_client_state() -> None:
    """One that does not, holds another one, or is no object, and the batch is refused."""
    state = CLIENT_STATE.reveal()
    assert microsoft_graph(state, state).verify() is None
    for states in (
        [state, "other"],
        ["other"],
        [state, None],
        [state, 5],
        [state + " "],
        ["a", "b"],
    ):
        assert refusal(microsoft_graph(*states).verify()).hint
    assert "give the subscription one" in refusal(microsoft_graph(None).verify()).hint
    for body in (b"", b"[]", b'{"value": []}', b'{"value": {}}', b'{"value": ["x"]}', b"\xff"):
        assert refusal(microsoft_graph().verify(body=body)).hint


def test_each_notification_of_graph_may_hold_another_of_several_secrets() -> None:
    sent = microsoft_graph(CLIENT_STATE.reveal(), "the next one")
    both = [*sent.secrets, Secret("the next one", "env:NEXT")]
    assert sent.scheme.verify(sent.request, both, NOW) is None


def test_a_batch_of_graph_is_told_by_the_ids_of_all_its_notifications() -> None:
    sent = microsoft_graph()
    ids = [[{"id": "a"}, {"id": "b"}], [{"id": "b"}, {"id": "a"}], [{"id": "ab"}], [{"id": "a,b"}]]
    found = {sent.scheme.delivery_id(sent.request, {"value": value}) for value in ids}
    assert None not in found
    assert len(found) == len(ids)
    assert sent.scheme.delivery_id(sent.request, {"value": [{"id": "a"}, {}]}) is None


def test_graph_gets_the_status_that_it_asks_for_and_asks_first() -> None:
    scheme = microsoft_graph().scheme
    assert scheme.acknowledgement.status == 202
    assert scheme.handshake == GraphValidation()
