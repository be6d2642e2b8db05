"""Run names are evaluated by the stand-in as by GitHub Actions."""

from __future__ import annotations

import pytest

from daemon.simulator.run_names import TITLE_MAX, evaluated

CONTEXTS = {
    "github": {
        "event": {"action": "build", "client_payload": {"n": 1.5, "o": {"K": True}, "l": [1]}},
        "ref_name": "main",
    },
    "inputs": {"dispatchd": "dsp_7", "dry-run": "true", "empty": ""},
}


@pytest.mark.parametrize(
    ("run_name", "title"),
    [
        ("Build [${{ github.event.client_payload.n }}]", "Build [1.5]"),
        ("${{github.event.action}} on ${{ github.ref_name }}", "build on main"),
        ("${{ github.event.client_payload.o.k }}", "true"),
        ("${{ github.event.client_payload['o'].K }}", "true"),
        ("<${{ github.event.client_payload.n.no.such }}>", "<>"),
        ("${{ github.event.client_payload.o }}", "Object"),
        ("${{ github.event.client_payload.l }}", "Array"),
        ("${{ inputs.dispatchd }} ${{ inputs.dry-run }}", "dsp_7 true"),
        ("${{ inputs.empty || 'it''s by hand' }}", "it's by hand"),
        ("${{ inputs.dispatchd || 'by hand' }}", "dsp_7"),
        ("${{ inputs.empty || inputs.none }}", ""),
    ],
)
def test_fields_are_printed_as_an_actions_expression_prints_them(run_name: str, title: str) -> None:
    assert evaluated(run_name, CONTEXTS) == title


@pytest.mark.parametrize(
    "run_name", ["${{ secrets.X }}", "${{ format('{0}', inputs.x) }}", "${{ }}", "${{ 'a' || }}"]
)
def test_what_the_stand_in_does_not_know_stays_as_it_is_written(run_name: str) -> None:
    assert evaluated(run_name, CONTEXTS) == run_name


def test_a_long_title_is_cut() -> None:
    assert len(evaluated("x" * 300, CONTEXTS)) == TITLE_MAX
