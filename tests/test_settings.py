"""Settings by their four sources, how each is written, and the references to secrets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import platformdirs
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from daemon.addresses import Networks
from daemon.chain import Breaker, Guards
from daemon.config import Flags, Secrets, config_directory, load, load_settings
from daemon.config.keyring import Keyring, SecretError
from daemon.config.setting_forms import (
    api_url,
    count,
    database_url,
    listen_address,
    public_url,
    rate,
)
from daemon.durations import duration
from daemon.errors import ConfigError
from daemon.spec import Config, Pace, Settings

LONG = "0123456789abcdef0123456789abcdef"
DURATION = re.compile(r"[0-9]{1,9}[smhd]")


def config(
    directory: Path,
    environ: Mapping[str, str],
    yaml: str = "",
    flags: Flags | None = None,
    secrets: Secrets = Secrets.REQUIRED,
    crons: str = "[]",
) -> Config:
    (directory / "CRONS.json").write_text(crons, encoding="utf-8")
    (directory / "DAEMON.yaml").write_text(yaml, encoding="utf-8")
    return load(directory, environ, flags=flags or Flags(), secrets=secrets)


def settings(directory: Path, environ: Mapping[str, str], yaml: str = "") -> Settings:
    return config(directory, environ, yaml).settings


def only_fault(directory: Path, environ: Mapping[str, str], yaml: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        config(directory, environ, yaml)
    assert len(caught.value.faults) == 1, caught.value
    return str(caught.value).replace(f"{directory}/", "")


class TestSources:
    def test_with_nothing_set_every_setting_has_its_default(self, tmp_path: Path) -> None:
        found = settings(tmp_path, {})
        assert found == Settings(
            gh_token=None,
            gh_api_url="https://api.github.com",
            api_key=None,
            default_repository="",
            repositories=frozenset(),
            listen=("127.0.0.1", 8080),
            database_url="sqlite:///"
            + platformdirs.user_state_dir("dispatchd", appauthor=False)
            + "/dispatchd.sqlite",
            retention=timedelta(days=30),
            pace=Pace(1.0, 10, 500),
            trusted_proxies=Networks(),
            public_url="",
        )

    def test_a_flag_wins_over_all_and_the_file_comes_last(self, tmp_path: Path) -> None:
        """Flag, environment, credential, DAEMON.yaml: each in turn is taken away."""
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        (credentials / "DISPATCHD_LISTEN").write_text("credential:3\n")
        environ = {"DISPATCHD_LISTEN": "environment:2", "CREDENTIALS_DIRECTORY": str(credentials)}
        yaml = "dispatchd_listen: file:4\n"

        def listen(environ: Mapping[str, str], flag: str | None = None) -> tuple[str, int]:
            return config(tmp_path, environ, yaml, Flags(listen=flag)).settings.listen

        assert listen(environ, "flag:1") == ("flag", 1)
        assert listen(environ) == ("environment", 2)
        assert listen(environ | {"DISPATCHD_LISTEN": ""}) == ("credential", 3)
        (credentials / "DISPATCHD_LISTEN").write_text("")
        assert listen(environ | {"DISPATCHD_LISTEN": " "}) == ("file", 4)

    def test_every_setting_can_come_from_the_environment(self, tmp_path: Path) -> None:
        environ = {
            "GH_TOKEN": "ghp_x",
            "GH_OWNER": "acme",
            "GH_REPO": "site",
            "GH_API_URL": "https://github.example.com/api/v3/",
            "API_KEY": LONG,
            "DISPATCHD_LISTEN": "[::1]:9",
            "DISPATCHD_DATABASE_URL": "sqlite:////var/lib/x.sqlite",
            "GH_WRITES_PER_SECOND": "0.5",
            "GH_WRITE_BURST": "0",
            "GH_WRITES_PER_HOUR": "20",
        }
        found = settings(tmp_path, environ)
        assert found.gh_token is not None
        assert found.gh_token.reveal() == "ghp_x"
        assert found.api_key is not None
        assert found.api_key.reveal() == LONG
        assert found.gh_api_url == "https://github.example.com/api/v3"
        assert found.default_repository == "acme/site"
        assert found.listen == ("::1", 9)
        assert found.database_url == "sqlite:////var/lib/x.sqlite"
        assert found.pace == Pace(0.5, 0, 20)

    def test_every_setting_can_come_from_the_file(self, tmp_path: Path) -> None:
        yaml = (
            "gh_token: env:TOKEN\ngh_owner: acme\ngh_repo: site\n"
            "gh_api_url: http://127.0.0.1:9/\napi_key: env:KEY\ndispatchd_listen: '[::1]:9'\n"
            "dispatchd_database_url: sqlite:///x.sqlite\ngh_writes_per_second: 0.5\n"
            "gh_write_burst: 0\ngh_writes_per_hour: 20\nretention: 7d\nrepositories: [acme/x]\n"
            "trusted_proxies: [10.0.0.0/8, '::1']\npublic_url: https://a.example/in/\n"
        )
        found = settings(tmp_path, {"TOKEN": "ghp_x", "KEY": LONG}, yaml)
        assert found.gh_token is not None
        assert found.gh_token.reveal() == "ghp_x"
        assert found.api_key is not None
        assert found.api_key.reveal() == LONG
        assert found.gh_api_url == "http://127.0.0.1:9"
        assert found.default_repository == "acme/site"
        assert found.repositories == {"acme/x"}
        assert found.listen == ("::1", 9)
        assert found.database_url == "sqlite:///x.sqlite"
        assert found.retention == timedelta(days=7)
        assert found.pace == Pace(0.5, 0, 20)
        assert found.trusted_proxies == Networks.parse(["10.0.0.0/8", "::1"])
        assert found.public_url == "https://a.example/in"

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            *(("GH_REPO", text) for text in ("acme/site", "Acme-1/.github", "a_b/x.y")),
            *(("DISPATCHD_LISTEN", text) for text in (":8080", ":0", "0.0.0.0:80", "[::]:8080")),
            ("DISPATCHD_LISTEN", "my-host.example:65535"),
        ],
    )
    def test_the_file_takes_the_forms_that_the_environment_takes(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        written = f"{name.lower()}: {text if text[0] != '[' else repr(text)}\n"
        assert settings(tmp_path, {}, written) == settings(tmp_path, {name: text})

    @given(
        name=st.sampled_from(["GH_REPO", "DISPATCHD_LISTEN", "GH_API_URL"]),
        text=st.from_regex(r"(https?://)?[\[\]a-c0-9:./_@# \t\n-]{1,12}", fullmatch=True)
        .map(str.strip)
        .filter(bool),
    )
    @hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_what_the_environment_refuses_the_file_refuses_and_the_reverse(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        def taken(environ: Mapping[str, str], yaml: str) -> Settings | None:
            try:
                return settings(tmp_path, environ, yaml)
            except ConfigError:
                return None

        given_in_file = f"{name.lower()}: {json.dumps(text)}\n"
        assert taken({name: text}, "") == taken({}, given_in_file)

    def test_a_number_that_cannot_be_read_names_its_variable(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, {"GH_WRITE_BURST": "ten"})
        assert found.startswith("environment: GH_WRITE_BURST: 'ten' is not a whole number")

    def test_what_may_run_away_is_held_unless_the_file_allows_more(self, tmp_path: Path) -> None:
        usual = settings(tmp_path, {}).guards
        assert usual == Guards(10, Breaker(500, timedelta(hours=1)))
        text = "max_chain_depth: 3\nbreaker: {max: 7, per: 10m}\n"
        assert settings(tmp_path, {}, text).guards == Guards(3, Breaker(7, timedelta(minutes=10)))

    def test_a_breaker_counts_no_longer_than_anything_is_kept(self, tmp_path: Path) -> None:
        text = "retention: 2d\nbreaker: {max: 7, per: 3d}\n"
        found = only_fault(tmp_path, {}, text)
        assert found.startswith("DAEMON.yaml:2:24: breaker.per: is longer than `retention` (2d)")

    @pytest.mark.parametrize(
        "text",
        ["breaker: {max: 0, per: 1h}", "breaker: {max: 5}", "breaker: 5", "max_chain_depth: 0"],
    )
    def test_a_guard_that_would_hold_everything_is_refused(self, tmp_path: Path, text: str) -> None:
        assert only_fault(tmp_path, {}, text + "\n")

    @pytest.mark.parametrize(
        ("text", "size"),
        [("2 GiB", 2**31), ("500MiB", 500 * 2**20), ("16777216", 2**24), ("null", None)],
    )
    def test_the_database_may_be_limited_in_size(
        self, tmp_path: Path, text: str, size: int | None
    ) -> None:
        if text == "null":
            assert settings(tmp_path, {}).max_database_size is None
        else:
            found = settings(tmp_path, {}, f"max_database_size: {text}\n")
            assert found.max_database_size == size

    @pytest.mark.parametrize("text", ["1000", "8 MiB", "2GB", "-1", "much", "0 MiB", "[]"])
    def test_a_size_that_no_database_fits_into_is_refused(self, tmp_path: Path, text: str) -> None:
        fault = only_fault(tmp_path, {}, f"max_database_size: {text}\n")
        assert fault.startswith("DAEMON.yaml:1:20: max_database_size: ")

    def test_the_heartbeat_goes_where_a_reference_leads(self, tmp_path: Path) -> None:
        found = settings(
            tmp_path, {"BEAT": "https://hc.example.com/1\n"}, "heartbeat_url: env:BEAT\n"
        )
        assert found.heartbeat_url is not None
        assert found.heartbeat_url.reveal().strip() == "https://hc.example.com/1"
        assert "hc.example" not in repr(found)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("env:BEAT", "is not set"),
            ("env:FTP", "what is at env:FTP is no http or https URL"),
            ("http://hc.example.com/1", "is not https"),
            ("https://?x", "is no URL"),
            ("hc.example.com", "must be an http or https URL, or a reference to one"),
        ],
    )
    def test_a_heartbeat_that_could_not_be_made_is_refused(
        self, tmp_path: Path, text: str, said: str
    ) -> None:
        fault = only_fault(tmp_path, {"FTP": "ftp://x.example/"}, f"heartbeat_url: {text}\n")
        assert fault.startswith("DAEMON.yaml:1:16: heartbeat_url: ")
        assert said in fault

    def test_a_url_that_notify_tells_is_a_secret_unless_it_stays_here(self, tmp_path: Path) -> None:
        assert "is a secret" in only_fault(tmp_path, {}, "notify: https://x.example\n")
        here = settings(tmp_path, {}, "notify: http://localhost:2586/builds\n").notify
        hook = settings(tmp_path, {"HOOK": "https://x.example/1"}, "notify: env:HOOK\n").notify
        assert here is not None
        assert hook is not None
        assert (here.reveal(), hook.reference) == ("http://localhost:2586/builds", "env:HOOK")
        assert "HOOK is not set" in only_fault(tmp_path, {}, "notify: env:HOOK\n")

    def test_the_settings_alone_load_whatever_is_wrong_with_the_entries(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "CRONS.json").write_text("[{]")
        assert load_settings(tmp_path, {"GH_REPO": "a/b"}).default_repository == "a/b"
        with pytest.raises(ConfigError, match="GH_WRITE_BURST"):
            load_settings(tmp_path, {"GH_WRITE_BURST": "x"})

    def test_the_config_directory_is_a_flag_a_variable_or_config(self) -> None:
        environ = {"DISPATCHD_CONFIG_DIR": "/etc/dispatchd"}
        assert config_directory(Path("here"), environ) == Path("here")
        assert config_directory(None, environ) == Path("/etc/dispatchd")
        assert config_directory(None, {"DISPATCHD_CONFIG_DIR": ""}) == Path("config")

    def test_under_systemd_the_database_is_in_the_state_directory(self, tmp_path: Path) -> None:
        found = settings(tmp_path, {"STATE_DIRECTORY": "/var/lib/dispatchd:/var/lib/other"})
        assert found.database_url == "sqlite:////var/lib/dispatchd/dispatchd.sqlite"


class TestRepositories:
    @pytest.mark.parametrize(
        ("environ", "repository"),
        [
            ({"GH_OWNER": "acme", "GH_REPO": "site"}, "acme/site"),
            ({"GH_REPO": "acme/site"}, "acme/site"),
            ({"GH_OWNER": "Acme", "GH_REPO": "acme/site"}, "acme/site"),
            ({"GH_OWNER": "acme"}, ""),
            ({"GH_OWNER": "acme", "GH_REPO": ""}, ""),
        ],
    )
    def test_the_default_one_is_named_in_one_variable_or_two(
        self, tmp_path: Path, environ: dict[str, str], repository: str
    ) -> None:
        assert settings(tmp_path, environ).default_repository == repository

    @pytest.mark.parametrize(
        "environ",
        [
            {"GH_REPO": "site"},
            {"GH_OWNER": "other", "GH_REPO": "acme/site"},
            {"GH_OWNER": "acme", "GH_REPO": "a b"},
            {"GH_REPO": "github.com/acme/site"},
            {"GH_REPO": "https://github.com/acme/site"},
        ],
    )
    def test_what_names_no_repository_is_refused(
        self, tmp_path: Path, environ: dict[str, str]
    ) -> None:
        assert only_fault(tmp_path, environ).startswith("environment: GH_REPO: ")

    def test_dispatch_may_reach_those_that_the_config_names(self, tmp_path: Path) -> None:
        """The default one and those of the entries, unless DAEMON.yaml lists others, or none."""
        crons = (
            '[{"name": "a", "schedule": "@daily",'
            ' "dispatch": {"event_type": "e", "repository": "acme/tools"}}]'
        )
        environ = {"GH_REPO": "acme/site"}
        named = config(tmp_path, environ, crons=crons).settings.repositories
        assert named == {"acme/site", "acme/tools"}
        listed = config(tmp_path, environ, "repositories: [acme/x]", crons=crons)
        assert listed.settings.repositories == {"acme/x"}
        none = config(tmp_path, environ, "repositories: []", crons=crons)
        assert none.settings.repositories == frozenset()


class TestForms:
    @pytest.mark.parametrize(
        "url",
        [
            "https://api.github.com",
            "https://github.example.com:8443/api/v3",
            "http://localhost:9",
            "http://127.8.8.8",
            "http://[::1]:9/x",
        ],
    )
    def test_an_api_url_is_https_or_stays_on_this_machine(self, url: str) -> None:
        assert api_url(url + "/") == url

    @pytest.mark.parametrize(
        "url",
        [
            "api.github.com",
            "ftp://api.github.com",
            "http://api.github.com",
            "http://localhost.example.com",
            "https://",
            "https://x?y=1",
            "https://x#y",
            "https://host:port",
            "https://[::1",
            "https://exam\nple.com",
            "https://example.com/a b",
        ],
    )
    def test_any_other_api_url_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"URL|https|query"):
            api_url(url)

    def test_a_password_in_an_api_url_is_refused_and_not_repeated(self, tmp_path: Path) -> None:
        for url in ("https://me:hunter2@example.com", "https://hunter2@example.com"):
            found = only_fault(tmp_path, {"GH_API_URL": url})
            assert "GH_TOKEN" in found
            assert "hunter2" not in found

    @pytest.mark.parametrize(
        "url",
        ["https://hooks.example.com", "http://hooks.example.com:8080/in", "http://[2001:db8::1]/a"],
    )
    def test_a_public_url_is_http_or_https_and_ends_without_a_slash(self, url: str) -> None:
        assert public_url(url) == public_url(url + "/") == url

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("ftp://hooks.example.com", "must be an http or https URL"),
            ("hooks.example.com", "must be an http or https URL"),
            ("https://", "must be an http or https URL"),
            ("https://host:port", "is not a URL"),
            ("https://exam\nple.com", "is not a URL"),
            ("https://hooks.example.com/?", "must not hold a query"),
            ("https://hooks.example.com/#a", "must not hold a query or a fragment"),
        ],
    )
    def test_any_other_public_url_is_refused(self, url: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            public_url(url)

    def test_a_password_in_a_public_url_is_refused_and_not_repeated(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, {}, "public_url: https://me:hunter2@example.com\n")
        assert found.startswith("DAEMON.yaml:1:13: public_url: must not hold a user name")
        assert "hunter2" not in found

    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("127.0.0.1:8080", ("127.0.0.1", 8080)),
            ("[::1]:8080", ("::1", 8080)),
            (":8080", ("", 8080)),
            ("localhost:0", ("localhost", 0)),
        ],
    )
    def test_an_address_is_a_host_and_a_port(self, text: str, address: tuple[str, int]) -> None:
        assert listen_address(text) == address

    @pytest.mark.parametrize(
        "text",
        [
            "8080",
            "localhost",
            "localhost:",
            "::1:8080",
            "x:65536",
            "x:-1",
            "x:٣",
            "http://x:1",
            "a\tb:1",
        ],
    )
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=re.escape(repr(text))):
            listen_address(text)

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("/var/lib/x.sqlite", "sqlite:///PATH"),
            ("postgresql+psycopg://me:hunter2@db/x", "not supported yet"),
            ("mysql://me:hunter2@db/x", "'mysql' is no database"),
        ],
    )
    def test_a_database_is_sqlite_and_others_are_refused_without_their_password(
        self, url: str, words: str
    ) -> None:
        with pytest.raises(ValueError, match=words) as caught:
            database_url(url)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("text", ["-1", "nan", "inf", "many", "1e9", ""])
    def test_a_rate_is_a_number_from_zero_on(self, text: str) -> None:
        with pytest.raises(ValueError, match="not a number"):
            rate(text)

    @pytest.mark.parametrize("text", ["-1", "1.5", "many", "10000000", ""])
    def test_a_count_is_a_whole_number_from_zero_on(self, text: str) -> None:
        with pytest.raises(ValueError, match="not a whole number"):
            count(text)

    @given(number=st.integers(1, 3000), unit=st.sampled_from("smhd"))
    def test_a_duration_is_a_number_and_a_unit(self, number: int, unit: str) -> None:
        seconds = number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
        assert duration(f"{number}{unit}") == timedelta(seconds=seconds)

    @given(text=st.text(max_size=12).filter(lambda text: not DURATION.fullmatch(text)))
    def test_any_other_text_is_refused_in_words(self, text: str) -> None:
        with pytest.raises(ValueError, match=re.escape(f"{text!r} is not a duration")):
            duration(text)

    @pytest.mark.parametrize(("text", "words"), [("0s", "at least 1s"), ("3651d", "3650d")])
    def test_a_duration_is_some_time_but_not_for_ever(self, text: str, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            duration(text)


class TestProxies:
    def test_what_is_no_network_is_a_fault_at_its_own_place(self, tmp_path: Path) -> None:
        yaml = "trusted_proxies:\n  - 10.0.0.0/8\n  - 192.0.2.1/24\n"
        assert only_fault(tmp_path, {}, yaml) == (
            "DAEMON.yaml:3:5: trusted_proxies[1]: '192.0.2.1/24' is an address within a network "
            "(write 192.0.2.0/24 for the network, or 192.0.2.1 for the address alone)"
        )

    @pytest.mark.parametrize("yaml", ["trusted_proxies: 10.0.0.0/8", "trusted_proxies: [10, '']"])
    def test_what_is_no_list_of_texts_is_told_by_the_schema(
        self, tmp_path: Path, yaml: str
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            config(tmp_path, {}, yaml)
        assert all("must" in fault.message for fault in caught.value.faults)

    @pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
    def test_to_trust_everybody_is_warned_about(self, tmp_path: Path, everybody: str) -> None:
        found = config(tmp_path, {}, f"trusted_proxies: ['{everybody}']\n")
        (warning,) = found.warnings
        assert "every sender can make up the address" in warning
        assert found.settings.trusted_proxies == Networks.parse([everybody])

    def test_one_network_behind_another_is_not_everybody(self, tmp_path: Path) -> None:
        assert config(tmp_path, {}, "trusted_proxies: [10.0.0.0/8, '::1']\n").warnings == ()


class TestSecrets:
    def test_a_token_in_the_file_is_a_reference(self, tmp_path: Path) -> None:
        found = only_fault(tmp_path, {}, "gh_token: ghp_secretsecret\n")
        assert "ghp_" not in found
        assert "DAEMON.yaml:1:11" in found

    def test_one_that_leads_nowhere_is_a_fault_only_where_it_is_required(
        self, tmp_path: Path
    ) -> None:
        yaml = "api_key: env:NOT_SET\n"
        assert "NOT_SET is not set" in only_fault(tmp_path, {}, yaml)
        lax = config(tmp_path, {}, yaml, secrets=Secrets.OPTIONAL)
        assert lax.settings.api_key is None
        assert "NOT_SET is not set" in lax.warnings[0]

    def test_a_short_api_key_warns_but_a_token_is_githubs_business(self, tmp_path: Path) -> None:
        found = config(tmp_path, {"API_KEY": "hunter2", "GH_TOKEN": "short"})
        assert len(found.warnings) == 1
        assert found.warnings[0].startswith("environment: API_KEY: is shorter than 16")
        assert "hunter2" not in found.warnings[0]

    def test_white_space_around_a_value_is_not_part_of_it(self, tmp_path: Path) -> None:
        found = settings(tmp_path, {"GH_TOKEN": " ghp_x\n"})
        assert found.gh_token is not None
        assert found.gh_token.reveal() == "ghp_x"

    @pytest.mark.parametrize("name", ["gh_token", "api_key"])
    def test_it_is_doubtful_where_a_reference_leads_to_it(self, tmp_path: Path, name: str) -> None:
        found = config(tmp_path, {"REFERRED": f"{LONG}\n"}, f"{name}: env:REFERRED\n")
        (warning,) = found.warnings
        assert f"{name}: the secret at env:REFERRED ends in a newline" in warning

    def test_no_value_shows_in_a_repr(self, tmp_path: Path) -> None:
        assert LONG not in repr(settings(tmp_path, {"API_KEY": LONG, "GH_TOKEN": LONG}))

    def test_a_file_ends_before_its_newline(self, tmp_path: Path) -> None:
        path = secret_file(tmp_path, f"{LONG}\n")
        assert Keyring({}).resolve(f"file:{path}").secret.reveal() == LONG
        assert Keyring({}).resolve(f"file:{path}").doubts == ()

    def test_a_credential_is_a_file_of_systemds(self, tmp_path: Path) -> None:
        secret_file(tmp_path, LONG)
        keyring = Keyring({"CREDENTIALS_DIRECTORY": str(tmp_path)})
        assert keyring.resolve("credential:secret").secret.reveal() == LONG

    def test_a_file_that_everybody_can_read_is_doubtful(self, tmp_path: Path) -> None:
        path = secret_file(tmp_path, LONG, mode=0o644)
        assert "every user" in Keyring({}).resolve(f"file:{path}").doubts[0]

    def test_a_file_is_at_most_64_kib(self, tmp_path: Path) -> None:
        path = secret_file(tmp_path, "x" * 65536)
        assert len(Keyring({}).resolve(f"file:{path}").secret.reveal()) == 65536
        path = secret_file(tmp_path, "x" * 65537)
        with pytest.raises(SecretError, match="larger than 65536 bytes"):
            Keyring({}).resolve(f"file:{path}")

    @pytest.mark.parametrize(
        ("content", "words"), [(b"", "is empty"), (b" \n", "is empty"), (b"\xff", "not UTF-8")]
    )
    def test_a_file_without_a_secret_in_it_is_refused(
        self, tmp_path: Path, content: bytes, words: str
    ) -> None:
        path = tmp_path / "secret"
        path.write_bytes(content)
        with pytest.raises(SecretError, match=words):
            Keyring({}).resolve(f"file:{path}")

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for name in ("pipe", ""):
            with pytest.raises(SecretError, match="not a regular file"):
                Keyring({}).resolve(f"file:{tmp_path / name}")

    @pytest.mark.parametrize(
        ("reference", "words"),
        [
            ("env:NOT_SET", "NOT_SET is not set"),
            ("env:EMPTY", "EMPTY is set, but empty"),
            ("env:BLANK", "BLANK is set, but empty"),
            ("file:/no/such/file", "there is no file /no/such/file"),
            ("file:/no\0file", "is not a path"),
            ("credential:x", "CREDENTIALS_DIRECTORY is not set"),
        ],
    )
    def test_a_reference_that_leads_nowhere_says_why(self, reference: str, words: str) -> None:
        with pytest.raises(SecretError, match=re.escape(words)):
            Keyring({"EMPTY": "", "BLANK": " \n"}).resolve(reference)

    @given(text=st.text(min_size=4))
    def test_what_is_no_reference_is_never_repeated(self, text: str) -> None:
        """It may be the secret itself."""
        if text.startswith(("env:", "file:/", "credential:")):
            return
        with pytest.raises(SecretError) as caught:
            Keyring({}).resolve(text)
        assert str(caught.value) == "a secret is a reference, never the value itself"

    def test_of_a_directory_that_is_not_shown_to_us_nothing_was_handed_over(
        self, tmp_path: Path
    ) -> None:
        """As systemd does it with what reloads the daemon."""
        keyring = Keyring({"CREDENTIALS_DIRECTORY": str(tmp_path / "hidden")})
        assert keyring.credential("GH_TOKEN") is None

    def test_a_credential_cannot_be_looked_for_elsewhere(self, tmp_path: Path) -> None:
        keyring = Keyring({"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})
        secret_file(tmp_path, LONG)
        with pytest.raises(SecretError, match="a secret is a reference"):
            keyring.resolve("credential:../secret")


def secret_file(directory: Path, content: str, mode: int = 0o600) -> Path:
    path = directory / "secret"
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    return path
