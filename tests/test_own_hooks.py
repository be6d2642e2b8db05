"""Which webhooks come here, by which URL, for which events, and where they may be set up."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from daemon.event import Delivery
from daemon.own_hooks import (
    OwnUrls,
    apps_of,
    credential_at,
    events_named,
    own_url,
    place_of,
    repositories_named,
)
from tests.github_caller import T0
from tests.rsa import key_pair
from tests.specs import ENVIRON, OPEN, SIGNED, config, trigger, trigger_entry

PUBLIC = "https://hooks.example.com/in"
HEADER = "headers['x-github-event']"
TOKEN = {"token": "env:GH_TOKEN"}
MAYBE = "headers[?'x-github-event'].orValue('')"


@pytest.mark.parametrize(
    ("when", "variables", "events"),
    [
        (f"{HEADER} == 'push'", {}, {"push"}),
        (f"'push' == {MAYBE} && body.ref == 'release'", {}, {"push"}),
        (f"{HEADER} in ['push', 'release']", {}, {"push", "release"}),
        (f"{HEADER} == 'push' || {HEADER} == 'create'", {}, {"push", "create"}),
        ("headers[?'x-github-event'] == optional.of('push')", {}, {"push"}),
        ("variables.e == 'push'", {"e": MAYBE}, {"push"}),
        (
            "variables.merged",
            {"merged": f"{MAYBE} == 'pull_request' && body.merged"},
            {"pull_request"},
        ),
        (f"{HEADER} != 'ping'", {}, set()),
        (f"!({HEADER} == 'push')", {}, set()),
        (f"{HEADER} == 'ping' || {HEADER} == 'push'", {}, {"push"}),
        (f"{HEADER}.startsWith('pull_request')", {}, set()),
        ("body.action == 'opened'", {}, set()),
        ("['push'].exists(e, e == 'x')", {}, set()),
    ],
)
def test_the_events_are_those_that_the_expressions_name(
    when: str, variables: Mapping[str, str], events: set[str]
) -> None:
    assert events_named(trigger(when=when, variables=dict(variables))) == events


def test_a_trigger_without_a_condition_names_no_event() -> None:
    assert events_named(trigger()) == frozenset()


def urls(**keys: object) -> OwnUrls:
    return OwnUrls([trigger("one", **{"auth": SIGNED, "path": "/hooks/github", **keys})], PUBLIC)


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        (f"{PUBLIC}/hooks/github", True),
        ("https://HOOKS.example.com:443/in/hooks/github?x=1", True),
        ("http://hooks.example.com/in/hooks/github", False),
        ("https://hooks.example.com/hooks/github", False),
        ("https://hooks.example.com/inn/hooks/github", False),
        ("https://hooks.example.com.evil.example/in/hooks/github", False),
        (f"{PUBLIC}/hooks/github/", False),
        (f"{PUBLIC}/other", False),
        ("https://hooks.example.com:x/in/hooks/github", False),
        ("", False),
    ],
)
def test_a_url_is_ours_where_it_leads_to_a_trigger_from_behind_the_public_url(
    url: str, ours: bool
) -> None:
    assert bool(urls().behind(url)) is ours


@pytest.mark.parametrize(
    "keys", [{"enabled": False}, {"auth": OPEN}, {"methods": ["PUT"]}], ids=["off", "open", "put"]
)
def test_what_github_cannot_deliver_to_has_no_url(keys: dict[str, object]) -> None:
    assert not urls(**keys).any
    assert urls(**keys).behind(f"{PUBLIC}/hooks/github") == ()


def test_without_a_public_url_nothing_is_known_as_ours() -> None:
    assert not OwnUrls([trigger(auth=SIGNED)], "").any


def test_the_url_of_a_trigger_has_its_parameters_filled_in_and_leads_back_to_it() -> None:
    one = trigger("one", auth=SIGNED, path="/hooks/{team}/github")
    url = own_url(one, PUBLIC, {"team": "a b/ü"})
    assert url == f"{PUBLIC}/hooks/a%20b%2F%C3%BC/github"
    assert OwnUrls([one], PUBLIC).behind(url) == (one,)


@pytest.mark.parametrize(
    ("public", "params", "says"),
    [
        ("", {}, "set `public_url`"),
        (PUBLIC, {}, "give --param team=VALUE"),
        (PUBLIC, {"team": ""}, "give --param team=VALUE"),
        (PUBLIC, {"team": "a", "x": "b"}, "has no {x}"),
    ],
)
def test_what_is_missing_for_a_url_is_said(public: str, params: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("{", r"\{")):
        own_url(trigger(auth=SIGNED, path="/hooks/{team}"), public, params)


def test_the_repositories_of_the_config_are_named_once_each() -> None:
    entry = trigger_entry(dispatch={"event_type": "x", "repository": "Acme/Site"})
    off = trigger_entry("off", enabled=False, dispatch={"event_type": "x", "repository": "a/off"})
    settings = {
        "repositories": ["acme/site", "acme/tools"],
        "credentials": {"acme/own": {"token": "env:GH_TOKEN"}, "acme": {"token": "env:GH_TOKEN"}},
    }
    found = repositories_named(config([entry, off], (), ENVIRON, settings))
    assert found == ["Acme/Site", "acme/own", "acme/tools", "octo-org/octo-repo"]


def test_each_github_app_is_a_place_of_its_own_once() -> None:
    def app(number: int, **more: str) -> dict[str, object]:
        return {"app_id": number, "private_key": "env:APP_KEY", **more}

    other = {"api_url": "https://github.example.com/api/v3"}
    credentials = {"Acme": app(7), "b": app(7), "c": app(8), "d": app(7, **other), "e/f": TOKEN}
    environ = {**ENVIRON, "APP_KEY": key_pair().private}
    settings = config((), (), environ, {"credentials": credentials}).settings
    assert apps_of(settings) == ["app:Acme", "app:c", "app:d"]
    found = [credential_at(settings, place) for place in ("app:Acme", "app:x", "Acme/x", "z")]
    assert [each and each.name for each in found] == ["Acme", None, "Acme", "GH_TOKEN"]


@pytest.mark.parametrize(
    ("kind", "body", "place"),
    [
        ("repository", {"repository": {"full_name": "acme/shop"}}, "acme/shop"),
        ("organization", {"organization": {"login": "acme"}}, "acme"),
        ("integration", {"repository": {"full_name": "acme/shop"}}, ""),
        ("repository", {"repository": {"full_name": "acme/../x"}}, ""),
        ("repository", {"repository": "acme/shop"}, ""),
        ("repository", {"repository": {"full_name": 1}}, ""),
        ("repository", [], ""),
        ("", {"repository": {"full_name": "acme/shop"}}, ""),
    ],
)
def test_where_a_webhook_is_set_up_is_told_by_its_headers_and_its_body(
    kind: str, body: object, place: str
) -> None:
    headers = {"x-github-hook-installation-target-type": kind}
    delivery = Delivery("/h", "POST", "/h", headers, {}, {}, b"", "", T0)
    assert place_of(delivery, body) == place
