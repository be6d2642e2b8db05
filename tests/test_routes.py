"""Which triggers a path concerns."""

from __future__ import annotations

import pytest

from daemon.routes import Routes
from tests.specs import trigger

ROUTES = Routes(
    [
        trigger("a", path="/hooks/github"),
        trigger("b", path="/hooks/github", methods=("PUT",)),
        trigger("c", path="/hooks/{team}"),
        trigger("d", path="/hooks/{team}/{kind}"),
        trigger("e", path="/hooks/{team}/push"),
        trigger("f", path="/hooks/core/{kind}"),
    ]
)


@pytest.mark.parametrize(
    ("path", "names", "params"),
    [
        ("/hooks/github", "ab", {}),
        ("/hooks/other", "c", {"team": "other"}),
        ("/hooks/a%2Fb", "c", {"team": "a/b"}),
        ("/hooks/h%C3%A9", "c", {"team": "hé"}),
        ("/hooks/x/push", "e", {"team": "x"}),
        ("/hooks/core/push", "f", {"kind": "push"}),
        ("/hooks/x/y", "d", {"team": "x", "kind": "y"}),
    ],
)
def test_the_most_literal_path_wins(path: str, names: str, params: dict[str, str]) -> None:
    match = ROUTES.match(path)
    assert match is not None
    assert "".join(each.name for each in match.route.triggers) == names
    assert match.params == params


@pytest.mark.parametrize(
    "path", ["/", "/hooks", "/hooks/", "/hooks/x/", "/hooks/github/", "//hooks/github", "/HOOKS/x"]
)
def test_a_param_is_one_segment_that_is_not_empty(path: str) -> None:
    assert ROUTES.match(path) is None


def test_a_route_has_the_methods_of_its_triggers_and_of_their_handshakes() -> None:
    match = ROUTES.match("/hooks/github")
    assert match is not None
    assert match.route.methods == ("POST", "PUT")
    assert list(match.route.panels) == ["OPTIONS", "POST", "PUT"]
    asking = match.route.panels["OPTIONS"]
    assert (asking.triggers, bool(asking.greeting)) == ((), True)
