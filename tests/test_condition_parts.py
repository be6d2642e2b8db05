"""A condition taken apart: what each part comes to, as its author wrote it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.expressions import Bindings, Vocabulary
from daemon.expressions.parts import PARTS_MAX, Join, Part, take_apart

VOCABULARY = Vocabulary.for_trigger()
BODY = {"yes": True, "no": False, "ref": "refs/heads/dev", "labels": ["a", "b"]}


def taken_apart(source: str, body: Any = BODY) -> Part:
    condition = VOCABULARY.condition(source)
    return take_apart(condition, Bindings({"body": body, "headers": {"x-event": "push"}}))


def leaves(part: Part) -> list[Part]:
    return [leaf for inner in part.parts for leaf in leaves(inner)] if part.parts else [part]


def shape(part: Part) -> Any:
    """``(join, shapes of the parts)``, or the source where there are none."""
    return (part.join.value, [shape(each) for each in part.parts]) if part.parts else part.source


def test_one_sees_which_part_said_no() -> None:
    whole = taken_apart("headers['x-event'] == 'push' && body.ref == 'refs/heads/main' && body.yes")
    assert (whole.join, whole.value) == (Join.ALL, False)
    assert [(part.source, part.value) for part in whole.parts] == [
        ("headers['x-event'] == 'push'", True),
        ("body.ref == 'refs/heads/main'", False),
        ("body.yes", True),
    ]
    (looked_at,) = whole.parts[1].operands
    assert (looked_at.path, looked_at.value) == ("body.ref", "refs/heads/dev")
    assert whole.parts[0].operands[0].path == "headers['x-event']"


def test_a_part_that_fails_says_why_and_hides_no_other() -> None:
    whole = taken_apart("body.no && body.nope == 1 && body.yes")
    assert [part.value for part in whole.parts] == [False, None, True]
    assert (whole.value, whole.error) == (False, "")
    failed = whole.parts[1]
    assert "there is no key 'nope'" in failed.error
    assert [(each.path, each.present) for each in failed.operands] == [("body.nope", False)]


def test_a_part_that_is_neither_true_nor_false_fails() -> None:
    """In ``&&`` the engine would say no more than that no overload fits."""
    assert "but came to 'refs/heads/dev'" in taken_apart("body.yes && body.ref").parts[1].error


YES, NO = "body.yes", "body.no"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("body.yes", YES),
        ("!body.yes", "!body.yes"),
        ("body.yes ? body.no || body.no : body.yes", "body.yes ? body.no || body.no : body.yes"),
        ("body.yes || body.no && body.yes", ("any", [YES, ("all", [NO, YES])])),
        ("(body.yes || body.no) && body.yes", ("all", [("any", [YES, NO]), YES])),
        ("((body.yes)) && ((body.no || body.no))", ("all", ["((body.yes))", ("any", [NO, NO])])),
        ("(body.no || body.yes) || body.no", ("any", [("any", [NO, YES]), NO])),
        (
            "!(body.no || !(body.yes && body.no))",
            ("not", [("any", [NO, ("not", [("all", [YES, NO])])])]),
        ),
        ("!!(body.no || body.yes)", ("any", [NO, YES])),
        (
            "body.labels.exists(l, l == 'a' || l == 'c') && body.yes",
            ("all", ["body.labels.exists(l, l == 'a' || l == 'c')", YES]),
        ),
        ("body.ref == ') && (' || body.no", ("any", ["body.ref == ') && ('", NO])),
        (
            r"body.ref.matches(r'\(') || body.ref == '\')'",
            ("any", [r"body.ref.matches(r'\(')", r"body.ref == '\')'"]),
        ),
        ('(body.ref == """a"(""" || body.no)', ("any", ['body.ref == """a"("""', NO])),
        (
            "body.yes && // not (this\n  body.ref  ==\n 'a  b'",
            ("all", [YES, "body.ref == 'a  b'"]),
        ),
        ("'😀' == body.ref && body.yes", ("all", ["'😀' == body.ref", YES])),
    ],
)
def test_it_is_cut_where_its_author_would_cut_it(source: str, expected: Any) -> None:
    assert shape(taken_apart(source)) == expected


def test_the_name_of_a_loop_is_no_value_of_the_request() -> None:
    (labels,) = taken_apart("body.labels.exists(body_, body_ == 'z')").operands
    assert (labels.path, labels.value) == ("body.labels", ["a", "b"])
    (asked,) = taken_apart("has(body.nope)").operands
    assert (asked.path, asked.present) == ("body.nope", False)
    (kind,) = taken_apart("type(body) == map").operands
    assert kind.path == "body"
    (bound,) = taken_apart("cel.bind(r, body.ref, r == 'a' || r == 'b')").operands
    assert bound.path == "body.ref"


def test_each_part_is_held_to_the_bounds_of_any_expression() -> None:
    endless = "body.exists(a, body.exists(b, (a + b).contains('z')))"
    slow, quick = taken_apart(f"{endless} || size(body) == 90", ["y" * 100_000] * 90).parts
    assert slow.value is None
    assert "could take" in slow.error
    assert quick.value is True


def test_what_no_person_wrote_is_left_whole() -> None:
    source = " || ".join(["body.no"] * (PARTS_MAX + 2))
    assert taken_apart(source).parts == ()
    assert len(taken_apart(source.removeprefix("body.no || ")).parts) == PARTS_MAX + 1


ATOMS = {"body.yes": True, "!body.yes": False, "body.no": False, "(body.yes)": True,
         "'&& (' != body.ref": True, r"r'\(' == body.ref": False, "size(body.labels) == 2": True,
         "[body.yes, (body.no || body.yes)][1]": True}  # fmt: skip
SPACES = st.sampled_from(["", " ", "\n", " // a && (b\n", "\t//'\n "])


@st.composite
def conditions(draw: st.DrawFn, depth: int = 3) -> tuple[str, bool, list[str]]:
    """A condition's text, its value, and the texts of its leaves in order."""
    kind = draw(st.sampled_from(["atom", "&&", "||", "!"])) if depth else "atom"
    if kind == "atom":
        text = draw(st.sampled_from(sorted(ATOMS)))
        return text, ATOMS[text], [text]
    space, other = draw(SPACES), draw(SPACES)
    inner = [
        draw(conditions(depth - 1)) for _ in range(1 if kind == "!" else draw(st.integers(2, 4)))
    ]
    values = [value for _, value, _ in inner]
    texts = [f"({other}{text}{space})" for text, _, _ in inner]
    found = [leaf for _, _, within in inner for leaf in within]
    if kind == "!":
        # Of a mere atom it is a leaf itself, and the parentheses are its author's.
        return f"!{space}{texts[0]}", not values[0], found
    value = all(values) if kind == "&&" else any(values)
    return f"{space}{kind}{other}".join(texts), value, found


@given(conditions())
def test_however_it_is_written_its_parts_add_up(condition: tuple[str, bool, list[str]]) -> None:
    """Each part comes to what its own parts come to together, and the leaves are those of the
    text, in order."""
    text, value, atoms = condition
    whole = taken_apart(text)
    assert whole.value is value
    found = leaves(whole)
    assert len(found) == len(atoms)
    for leaf, atom in zip(found, atoms, strict=True):
        assert atom in leaf.source
        assert leaf.value is taken_apart(leaf.source).value
    assert_adding_up(whole)


def assert_adding_up(part: Part) -> None:
    values = [inner.value for inner in part.parts]
    together = {Join.ALL: all(values), Join.ANY: any(values), Join.NOT: values == [False]}
    if part.parts:
        assert part.value is together[part.join]
    for inner in part.parts:
        assert_adding_up(inner)
