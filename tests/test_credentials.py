"""``credentials`` in DAEMON.yaml: which of them writes to which repository, what is wrong with one,
and what a daemon does with several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.app import wall_clock
from daemon.client import Sessions
from daemon.config import Flags, Secrets, load, read_anew
from daemon.errors import ConfigError
from daemon.facts import AttemptMade, DispatchSettled, Fact
from daemon.github import Accepted, Failed, Unreachable
from daemon.github_app import AppKey
from daemon.secret import Secret
from daemon.simulator import App, Simulator
from daemon.spec import Config, Pace
from tests.inprocess import serving
from tests.rsa import key_pair
from tests.specs import trigger_entry
from tests.tls import Authority, tls_front
from tests.wires import a_dispatch

ENVIRON = {"ACME": "ghp_acme", "SITE": "ghp_site", "PEM": key_pair().private}


def loaded(
    directory: Path,
    yaml: str,
    environ: Mapping[str, str] = ENVIRON,
    repositories: tuple[str, ...] = (),
    secrets: Secrets = Secrets.REQUIRED,
) -> Config:
    crons = [
        {"name": f"c{number}", "schedule": "@daily", "dispatch": {"event_type": "x"} | to}
        for number, to in enumerate({"repository": name} for name in repositories)
    ]
    (directory / "CRONS.json").write_text(json.dumps(crons))
    (directory / "DAEMON.yaml").write_text(yaml)
    return load(directory, environ, flags=Flags(), secrets=secrets)


def faults(directory: Path, yaml: str, environ: Mapping[str, str] = ENVIRON, **given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(directory, yaml, environ, **given)
    return str(caught.value).replace(f"{directory}/", "")


class TestChoice:
    YAML = """credentials:
  acme: {token: "env:ACME"}
  Acme/Site: {token: "env:SITE"}
"""

    @pytest.mark.parametrize(
        ("repository", "name"),
        [("acme/site", "Acme/Site"), ("ACME/other", "acme"), ("octo/site", "GH_TOKEN")],
    )
    def test_a_repositorys_own_wins_over_its_owners_and_both_over_the_default(
        self, tmp_path: Path, repository: str, name: str
    ) -> None:
        settings = loaded(tmp_path, self.YAML, ENVIRON | {"GH_TOKEN": "ghp_all"}).settings
        found = settings.credential_for(repository)
        assert found is not None
        assert found.name == name

    def test_without_a_default_there_is_none_for_all_others(self, tmp_path: Path) -> None:
        assert loaded(tmp_path, self.YAML).settings.credential_for("octo/site") is None

    def test_one_token_in_several_places_is_one_credential(self, tmp_path: Path) -> None:
        yaml = 'credentials: {acme: {token: "env:ACME"}, octo: {token: "env:AGAIN"}}'
        settings = loaded(tmp_path, yaml, ENVIRON | {"AGAIN": "ghp_acme"}).settings
        assert settings.credential_for("octo/x") is settings.credential_for("acme/x")
        assert len(settings.all_credentials) == 1

    def test_an_app_has_an_installation_for_each_owner(self, tmp_path: Path) -> None:
        yaml = """credentials:
  acme: &app {app_id: 7, private_key: "env:PEM"}
  octo: *app
"""
        acme, octo = loaded(tmp_path, yaml).settings.all_credentials
        assert acme.key == octo.key == AppKey("7", Secret(key_pair().private, "env:PEM"))
        assert (acme.name, octo.name) == ("acme", "octo")

    def test_each_may_have_its_own_api_and_pace(self, tmp_path: Path) -> None:
        yaml = """gh_writes_per_hour: 100
credentials:
  acme:
    token: "env:ACME"
    api_url: https://ghe.example.com/api/v3/
    writes_per_second: 2.5
    write_burst: 0
"""
        (found,) = loaded(tmp_path, yaml).settings.all_credentials
        assert found.api_url == "https://ghe.example.com/api/v3"
        assert found.pace == Pace(2.5, 0, 100)


class TestFaults:
    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ("acme: {}", "2:9: credentials.acme: needs a `token`, or `app_id` and `private_key`"),
            ("acme: {app_id: 7}", "2:9: credentials.acme: needs a `token`, or `app_id`"),
            (
                'acme: {token: "env:ACME", app_id: 7}',
                "2:29: credentials.acme.app_id: is for a GitHub App, and there is a `token` too",
            ),
            ("acme: {tokn: x}", 'unknown key "tokn" (did you mean "token"?)'),
            ("acme: {token: ghp_written_out}", "must be a reference to a secret, never the secret"),
            ('acme: {token: "env:NOPE"}', "the environment variable NOPE is not set"),
            ('acme: {token: "env:PEM"}', "what is at env:PEM is empty, or holds a space"),
            (
                'acme: {app_id: 7, private_key: "env:ACME"}',
                "what is at env:ACME is no private key in PEM form",
            ),
            ('a cme: {token: "env:ACME"}', "must be an owner or a repository, as acme or"),
            (
                'acme: {token: "env:ACME"}\n  ACME: {token: "env:SITE"}',
                "'ACME' stands here twice, in other letters",
            ),
            (
                'acme: {token: "env:ACME", api_url: "http://ghe.example.com"}',
                "credentials.acme.api_url: must be https",
            ),
            (
                'acme: {token: "env:ACME"}\n  octo: {token: "env:ACME", write_burst: 3}',
                "credentials.octo: the same token is at acme with another pace",
            ),
        ],
    )
    def test_each_mistake_is_told_with_its_place(
        self, tmp_path: Path, written: str, said: str
    ) -> None:
        text = faults(tmp_path, f"credentials:\n  {written}\n")
        assert said in text
        assert text.startswith("DAEMON.yaml:")
        assert "\n" not in text
        assert not any(value in text for value in ENVIRON.values())
        assert "ghp_written_out" not in text

    def test_a_repository_that_no_credential_is_for_is_told_where_an_entry_names_it(
        self, tmp_path: Path
    ) -> None:
        yaml = 'credentials: {acme: {token: "env:ACME"}}'
        named = ("acme/site", "octo/site", "octo/site")
        text = faults(tmp_path, yaml, repositories=named)
        assert text.startswith("CRONS.json:1:")
        assert "crons[1].dispatch: no credential is for octo/site, here and in 1 more" in text
        assert "(add octo to `credentials` in DAEMON.yaml, or set GH_TOKEN" in text
        assert "\n" not in text
        (warning,) = loaded(tmp_path, yaml, repositories=named, secrets=Secrets.OPTIONAL).warnings
        assert "no credential is for octo/site" in warning

    def test_and_where_the_allow_list_of_dispatch_names_it(self, tmp_path: Path) -> None:
        yaml = 'credentials: {acme: {token: "env:ACME"}}\nrepositories: [acme/a, octo/b]'
        text = faults(tmp_path, yaml)
        assert "DAEMON.yaml:2:24: repositories[1]: no credential is for octo/b" in text

    @pytest.mark.parametrize("written", ["2022-11", "latest"])
    def test_a_version_of_the_api_is_a_day(self, tmp_path: Path, written: str) -> None:
        text = faults(tmp_path, "", {"GH_API_VERSION": written})
        assert "is no version of GitHub's API: write it as 2022-11-28" in text

    def test_a_file_of_authorities_must_hold_some(self, tmp_path: Path) -> None:
        empty = tmp_path / "none.pem"
        empty.write_text("nothing")
        assert "holds no certificate" in faults(tmp_path, f"ca_file: {empty}")
        assert "cannot be read" in faults(tmp_path, f"ca_file: {empty}.not")
        root = Authority(tmp_path).root
        assert loaded(tmp_path, f"ca_file: {root}").settings.ca_file == str(root)


class TestReadingAnew:
    def test_a_file_is_read_as_it_is_now(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("ghp_new\n")
        old = Secret("ghp_old", f"file:{file}")
        assert read_anew(old, {}).reveal() == "ghp_new"
        file.unlink()
        assert read_anew(old, {}) is old

    def test_a_credential_of_systemds_is_too(self, tmp_path: Path) -> None:
        (tmp_path / "GH_TOKEN").write_text("ghp_new")
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        old = Secret("ghp_old", "credential:GH_TOKEN")
        assert read_anew(old, environ).reveal() == "ghp_new"

    def test_a_variable_of_the_environment_stays(self) -> None:
        old = Secret("ghp_old", "environment:GH_TOKEN")
        assert read_anew(old, {"GH_TOKEN": "ghp_new"}) is old


def accepted(fact: Fact) -> bool:
    return isinstance(fact, DispatchSettled) and fact.dispatch.state.value == "accepted"


class TestTrust:
    async def test_authorities_of_a_file_are_trusted_beside_the_systems(
        self, tmp_path: Path
    ) -> None:
        """Of a GitHub Enterprise Server, whose certificate is of a company's own authority."""
        authority = Authority(tmp_path)
        async with (
            Simulator(wall_clock) as github,
            tls_front(github, authority.certificate("localhost")) as front,
        ):
            environ = {
                "GH_TOKEN": "ghp_x",
                "GH_API_URL": f"https://localhost:{front.port}",
            }
            answers = []
            for yaml in ("", f"ca_file: {authority.root}"):
                settings = loaded(tmp_path, yaml, environ).settings
                async with Sessions(settings, wall_clock, lambda secret: secret) as sessions:
                    answers.append((await sessions.send(a_dispatch())).answer)
            # Other connections of theirs have ended: the front waits for nobody.
        assert isinstance(answers[0], Unreachable)
        assert "is not trusted" in answers[0].reason
        assert answers[1] == Accepted()

    async def test_a_dispatch_that_no_credential_is_for_is_refused_without_a_request(
        self, tmp_path: Path
    ) -> None:
        """As one that was recorded before the config was changed."""
        settings = loaded(tmp_path, 'credentials: {octo: {token: "env:ACME"}}').settings
        async with Sessions(settings, wall_clock, lambda secret: secret) as sessions:
            answer, attempt, _ = await sessions.send(a_dispatch())
        assert isinstance(answer, Failed)
        assert answer.reason.startswith("no credential is for acme/shop: ")
        assert (attempt.outcome, attempt.message) == ("failed", answer.reason)


class TestDaemon:
    async def test_each_repository_is_written_to_under_its_own_credential(
        self, tmp_path: Path
    ) -> None:
        acme = App(7, key_pair().public, {"acme": 41})
        theirs = Simulator(wall_clock, tokens={"ghp_theirs"})
        ours = Simulator(wall_clock, tokens={"ghp_ours"}, apps=[acme])
        async with theirs:
            await ours.start()
            settings = {
                "credentials": {
                    "acme": {"app_id": 7, "private_key": "env:PEM"},
                    "octo": {"token": "env:THEIRS", "api_url": theirs.url},
                }
            }
            dispatch = [
                {"event_type": "x", "repository": name}
                for name in ("acme/site", "octo/site", "mine/site")
            ]
            environ = {
                "PEM": key_pair().private,
                "THEIRS": "ghp_theirs",
                "GH_TOKEN": "ghp_ours",
                "GH_API_VERSION": "2026-03-10",
            }
            async with serving(
                tmp_path,
                triggers=[trigger_entry(dispatch=dispatch)],
                settings=settings,
                environ=environ,
                simulator=ours,
            ) as daemon:
                await daemon.deliver("/hook", {})
                await daemon.until(lambda _: sum(map(accepted, daemon.seen)) == 3)
            assert {each.repository for each in ours.received} == {"acme/site", "mine/site"}
            assert [each.repository for each in theirs.received] == ["octo/site"]
            assert ours.apps.issued == 1

    async def test_a_token_is_revoked_and_replaced_without_a_restart_and_nothing_is_lost(
        self, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        file.write_text("ghp_old")
        github = Simulator(wall_clock, tokens={"ghp_old"})
        async with serving(
            tmp_path,
            triggers=[trigger_entry()],
            settings={"gh_token": f"file:{file}"},
            environ={"GH_TOKEN": ""},
            simulator=github,
        ) as daemon:
            await daemon.deliver("/hook", {})
            await daemon.until(accepted)
            github.allow("ghp_new")
            for _ in range(3):
                await daemon.deliver("/hook", {})
            await daemon.until(
                lambda fact: isinstance(fact, AttemptMade) and fact.attempt.status == 401
            )
            assert len(github.received) == 1
            file.write_text("ghp_new")
            await daemon.until(lambda _: sum(map(accepted, daemon.seen)) == 4)
        assert len(github.received) == 4
        dead = [each for each in daemon.seen if isinstance(each, DispatchSettled)]
        assert {each.dispatch.state.value for each in dead} == {"accepted"}
