"""What people write who come from elsewhere, or mistook what a key does, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.durations import LONGEST, duration, written
from daemon.errors import ConfigError
from tests.specs import ENVIRON, config, cron_entry, trigger_entry

HMAC_OF_URL = {
    "scheme": "hmac",
    "secret": "env:GH_WEBHOOK_SECRET",
    "header": "x-signature",
    "signed": "{url}{body}",
}
TWILIO = {"scheme": "twilio", "secret": "env:GH_WEBHOOK_SECRET"}
HUBSPOT = {"scheme": "hubspot", "secret": "env:GH_WEBHOOK_SECRET"}


def faults(**keys: Any) -> list[str]:
    """What is wrong with a trigger, without the file's name, line and column."""
    with pytest.raises(ConfigError) as caught:
        config([trigger_entry(**keys)])
    return [str(fault).split(" ", 1)[1] for fault in caught.value.faults]


def warnings(settings: Mapping[str, Any] | None = None, **keys: Any) -> list[str]:
    """What is doubtful about a trigger, likewise."""
    found = config([trigger_entry(**keys)], settings=settings).warnings
    return [warning.split(" ", 1)[1] for warning in found]


class TestCalledUrl:
    @pytest.mark.parametrize("auth", [TWILIO, HUBSPOT, HMAC_OF_URL])
    def test_a_url_that_is_signed_is_not_known_without_public_url(
        self, auth: dict[str, str]
    ) -> None:
        (said,) = warnings(auth=auth)
        assert said.startswith("triggers[0].auth: the sender signs the URL that it calls")
        assert "(set `public_url` in DAEMON.yaml)" in said
        assert warnings({"public_url": "https://hooks.example.com"}, auth=auth) == []

    def test_where_no_url_is_signed_nothing_is_said(self) -> None:
        auth = {"scheme": "github", "secret": "env:GH_WEBHOOK_SECRET"}
        assert warnings(auth=auth) == []

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("https://hooks.example.com/hooks/sms", "/hooks/sms"),
            ("https://hooks.example.com/in/hooks/sms/", "/hooks/sms"),
            ("https://hooks.example.com/hooks/sms", "/hooks/sms/"),
            ("https://hooks.example.com/hooks/red", "/hooks/{team}"),
        ],
    )
    def test_a_public_url_with_the_path_in_it_would_name_it_twice(
        self, url: str, path: str
    ) -> None:
        (said,) = warnings({"public_url": url}, auth=TWILIO, path=path)
        assert said.startswith("triggers[0].path: `public_url` in DAEMON.yaml ends in this path")

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("https://hooks.example.com/in", "/hooks/sms"),
            ("https://hooks.example.com", "/hooks.example.com"),
            ("https://hooks.example.com/sms", "/hooks/sms"),
            ("https://hooks.example.com/xsms", "/sms"),
            ("https://hooks.example.com/in", "/{team}"),
        ],
    )
    def test_a_public_url_that_ends_otherwise_is_as_it_should_be(self, url: str, path: str) -> None:
        assert warnings({"public_url": url}, auth=TWILIO, path=path) == []


class TestDollars:
    SAID = "the `$` before {{ is sent as it is (write {{ … }} without it, if that is meant)"

    def test_an_expression_as_github_actions_writes_it_is_warned_of_in_its_place(self) -> None:
        payload = {"id": "${{ body.id }}", "all": [{"of": "a ${{ body.id }}"}, "{{ body.id }}"]}
        dispatch = {"event_type": "x", "client_payload": payload}
        within = "triggers[0].dispatch.client_payload"
        assert warnings(dispatch=dispatch) == [
            f"{within}.id: {self.SAID}",
            f"{within}.all[0].of: {self.SAID}",
        ]

    def test_so_it_is_in_an_event_type_and_in_an_answer(self) -> None:
        dispatch = {"event_type": "${{ body.a }}", "event_types": ["a"]}
        response = {"body": {"id": "${{ dispatch_id }}"}}
        assert warnings(dispatch=dispatch, response=response) == [
            f"triggers[0].dispatch.event_type: {self.SAID}",
            f"triggers[0].response.body.id: {self.SAID}",
        ]

    def test_so_it_is_in_a_cron_entry(self) -> None:
        dispatch = {"event_type": "x", "client_payload": {"id": "${{ dispatch_id }}"}}
        (warning,) = config(crons=[cron_entry(dispatch=dispatch)]).warnings
        assert self.SAID in warning

    @pytest.mark.parametrize(
        "text", ["$5", "$ {{ body.id }}", "{{ '$' }}{{ body.id }}", "{{ body.id }}$", "{{ '${{' }}"]
    )
    def test_a_dollar_elsewhere_is_a_dollar(self, text: str) -> None:
        dispatch = {"event_type": "x", "client_payload": {"id": text}}
        assert warnings(dispatch=dispatch) == []


class TestCoalesce:
    @pytest.mark.parametrize(
        ("coalesce", "said"),
        [
            ({"window": "5h"}, "triggers[0].coalesce: `max_wait` (10 windows unless said: 50h) is"
             " longer than `send_within` (24h)"),
            ({"window": "5h", "max_wait": "3d"}, "triggers[0].coalesce.max_wait: `max_wait` (3d)"
             " is longer than `send_within` (24h)"),
            ({"window": "5s", "max_wait": "24h"}, "triggers[0].coalesce.max_wait: `max_wait` (24h)"
             " is as long as `send_within` (24h)"),
        ],
    )  # fmt: skip
    def test_a_burst_that_outlasts_its_dispatch_is_told_with_both_numbers(
        self, coalesce: dict[str, str], said: str
    ) -> None:
        (fault,) = faults(coalesce=coalesce)
        assert fault.startswith(said)

    @pytest.mark.parametrize(
        ("coalesce", "key"),
        [
            ({"window": "5 hours", "max_wait": "10s"}, "window"),
            ({"window": "5000d"}, "window"),
            ({"window": 5, "max_wait": "10s"}, "window"),
            ({"window": "5h", "max_wait": "long"}, "max_wait"),
        ],
    )
    def test_a_duration_that_cannot_be_read_is_the_only_fault(
        self, coalesce: dict[str, Any], key: str
    ) -> None:
        (fault,) = faults(coalesce=coalesce)
        assert fault.startswith(f"triggers[0].coalesce.{key}: ")

    def test_that_the_window_is_missing_is_the_only_fault(self) -> None:
        (fault,) = faults(coalesce={"max_wait": "10s"})
        assert 'missing key "window"' in fault


class TestTemplatesForExpressions:
    @pytest.mark.parametrize(
        ("keys", "place"),
        [
            ({"when": "{{ body.ok }}"}, "when"),
            ({"variables": {"ref": "{{ body.ref }}"}}, "variables.ref"),
            ({"dedupe": {"key": " {{ body.id }} "}}, "dedupe.key"),
            ({"rate_limit": {"max": 1, "per": "1m", "key": "{{ body.id }}"}}, "rate_limit.key"),
            ({"coalesce": {"window": "1m", "key": "{{ body.id }}"}}, "coalesce.key"),
        ],
    )
    def test_an_expression_is_written_without_braces(
        self, keys: dict[str, Any], place: str
    ) -> None:
        name = place.rpartition(".")[2]
        said = f"triggers[0].{place}: `{name}` is an expression: write it without {{{{ }}}}"
        assert faults(**keys) == [said]

    def test_text_around_the_braces_becomes_a_sum(self) -> None:
        (fault,) = faults(variables={"label": "v-{{ body.ref }}"})
        assert fault.endswith("without {{ }} (texts are joined by +, as in 'build-' + body.branch)")

    def test_other_mistakes_are_told_as_they_are(self) -> None:
        (fault,) = faults(when="{'a': {'b': bdy}}.a.b")
        assert "unknown name 'bdy'" in fault

    def test_braces_in_a_text_are_no_mistake(self) -> None:
        assert warnings(when="body.text == '{{ x }}'") == []


@pytest.mark.parametrize("name", ["stripe", "GitHub", "my-office"])
def test_a_name_in_allow_from_is_told_that_only_github_is_one(name: str) -> None:
    (fault,) = faults(allow_from=[name])
    assert fault == (
        f"triggers[0].allow_from[0]: {name!r} is not a network (only `github` is a name here: "
        "write it as CIDR: 192.0.2.0/24 or 2001:db8::/32)"
    )


def test_a_mistyped_network_is_told_of_networks_alone() -> None:
    (fault,) = faults(allow_from=["192.0.2"])
    assert "github" not in fault


def test_in_trusted_proxies_no_name_is_offered() -> None:
    with pytest.raises(ConfigError) as caught:
        config(environ=ENVIRON, settings={"trusted_proxies": ["stripe"]})
    assert "github" not in str(caught.value)


@given(st.integers(1, LONGEST // timedelta(seconds=1)))
def test_a_span_is_written_as_it_is_read(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert duration(written(span)) == span
