"""Run names are evaluated as by GitHub Actions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.run_names import TITLE_MAX, Partial, evaluated

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
    ("expression", "value"),
    [
        ("format('{0}-{1} {{x}}', inputs.dispatchd, github.ref_name)", "dsp_7-main {x}"),
        ("toJSON(github.event.client_payload.o)", '{\n  "K": true\n}'),
        ("ToJson(github.event.client_payload.l)", "[\n  1\n]"),
        ("fromJSON('{\"a\": [3]}').a[0]", "3"),
        ("join(github.event.client_payload.l, ', ')", "1"),
        ("join(github.event.client_payload.*, ' ')", "1.5 Object Array"),
        ("contains(github.ref_name, 'AI')", "true"),
        ("contains(github.event.client_payload.l, 1)", "true"),
        ("startsWith(github.ref_name, 'Ma') && 'yes' || 'no'", "yes"),
        ("endsWith(github.ref_name, 'x')", "false"),
        ("github.event_name == 'push' && 'a' || inputs.dispatchd", "dsp_7"),
        ("!inputs.empty", "true"),
        ("!!inputs.empty", "false"),
        ("(inputs.empty || 'A') == 'a'", "true"),
        ("github.event.client_payload.n >= 1.5", "true"),
        ("'2' > 10", "false"),
        ("null == 0 && true != false", "true"),
        ("0x10", "16"),
        ("'}}'", "}}"),
        ("GitHub['ref_name']", "main"),
    ],
)
def test_operators_and_functions_mean_what_they_mean_in_actions(
    expression: str, value: str
) -> None:
    assert evaluated(f"<${{{{ {expression} }}}}>", CONTEXTS) == f"<{value}>"


@pytest.mark.parametrize(
    "run_name",
    [
        "${{ secrets.X }}",
        "${{ hashFiles('x') }}",
        "${{ }}",
        "${{ 'a' || }}",
        "${{ format('{1}', 'x') }}",
        "${{ format() }}",
        "${{ (inputs.x }}",
        "${{ inputs. }}",
        "${{ fromJSON('{') }}",
        "${{ 'open }}",
        "${{ " + "(" * 60 + "1" + ")" * 60 + " }}",
    ],
)
def test_what_is_not_known_stays_as_it_is_written(run_name: str) -> None:
    assert evaluated(run_name, CONTEXTS) == run_name


@pytest.mark.parametrize(
    ("expression", "title"),
    [
        ("github.run_number", "…"),
        ("format('{0} {1}', github.run_number, github.event.id)", "… dsp_1"),
        ("github.event.id || github.run_number", "dsp_1"),
        ("github.event.title || github.event.id", None),
        ("github.actor == 'me' && github.event.id || 'x'", None),
        ("contains(github.actor, 'me') && github.event.id", None),
        ("vars.PREFIX || github.event.id", None),
    ],
)
def test_nothing_is_concluded_from_what_a_partial_context_does_not_hold(
    expression: str, title: str | None
) -> None:
    contexts = {"github": Partial({"event": Partial({"id": "dsp_1"})})}
    run_name = f"${{{{ {expression} }}}}"
    assert evaluated(run_name, contexts) == (title or run_name)


def test_what_multiplies_itself_is_not_printed() -> None:
    bomb = "'" + "x" * 200 + "'"
    for _ in range(12):
        bomb = f"format('{'{0}' * 8}', {bomb})"
    run_name = f"${{{{ {bomb} }}}}"
    assert evaluated(run_name, CONTEXTS) == run_name[:TITLE_MAX]


@given(st.text(alphabet="${}'()[].,|&!<>=* abz019", max_size=60))
def test_any_text_has_a_title(text: str) -> None:
    assert isinstance(evaluated("${{" + text + "}}", CONTEXTS), str)


def test_a_long_title_is_cut() -> None:
    assert len(evaluated("x" * 300, CONTEXTS)) == TITLE_MAX
