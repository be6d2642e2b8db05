"""Networks, allow-lists, and how far the word of proxies is taken: what an untrusted client writes
into a header never changes who it is."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.addresses import (
    HOPS_MAX,
    AllowList,
    NetworkError,
    Networks,
    called_url,
    client_address,
    network,
)

PROXIES = Networks.parse(["10.0.0.0/8", "fd00::/8"])
CLIENT = "203.0.113.9"

ADDRESSES = st.ip_addresses().map(str)
NODES = st.one_of(
    ADDRESSES,
    st.sampled_from(["10.0.0.2", "fd00::2", "unknown", "_hidden", "unix:", "", '"', "::ffff:10.1"]),
    st.text(max_size=12),
)
ELEMENTS = st.one_of(
    NODES,
    NODES.map(lambda node: f"for={node}"),
    NODES.map(lambda node: f'for="[{node}]:1";proto=https;host=a.example'),
    st.text(alphabet='for=",;[]:_.\\ \t1a', max_size=20),
)
LISTS = st.lists(ELEMENTS, max_size=5).map(", ".join)
HEADERS = st.dictionaries(
    st.sampled_from(["x-forwarded-for", "forwarded", "x-forwarded-proto", "x-forwarded-host"]),
    LISTS,
)


def xff(*nodes: str) -> dict[str, str]:
    return {"x-forwarded-for": ", ".join(nodes)}


def forwarded(*elements: str) -> dict[str, str]:
    return {"forwarded": ", ".join(elements)}


def client(headers: Mapping[str, str], peer: str = "10.0.0.1") -> str:
    return client_address(peer, headers, PROXIES)


class TestNetworks:
    @pytest.mark.parametrize(
        ("cidr", "inside", "outside"),
        [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.0/23", "192.0.3.255", "192.0.4.0"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("fe80::/10", "fe80::1%eth0", "fec0::1%eth0"),
        ],
    )
    def test_a_network_holds_its_addresses_and_no_others(
        self, cidr: str, inside: str, outside: str
    ) -> None:
        assert Networks.parse([cidr]).contains(inside)
        assert not Networks.parse([cidr]).contains(outside)

    def test_an_ipv4_address_is_the_same_in_its_ipv6_form(self) -> None:
        """A socket that listens on both gives IPv4 peers as ``::ffff:192.0.2.1``."""
        assert network("::ffff:10.0.0.0/104") == network("10.0.0.0/8")
        assert network("::ffff:a00:1") == network("10.0.0.1")
        assert Networks.parse(["10.0.0.0/8"]).contains("::ffff:10.0.0.1")
        assert Networks.parse(["::ffff:10.0.0.0/104"]).contains("10.0.0.1")
        assert not Networks.parse(["::/0"]).contains("::ffff:10.0.0.1")

    @pytest.mark.parametrize(
        ("text", "said", "hint"),
        [
            ("10.0.0.1/8", "'10.0.0.1/8' is an address within", "write 10.0.0.0/8 for the network"),
            ("2001:db8::1/32", "is an address within a network", "or 2001:db8::1 for the address"),
            ("10.0.0.0/33", "has a prefix of 33 bits", "an IPv4 network has one from 0 to 32"),
            ("::/129", "has a prefix of 129 bits", "an IPv6 network has one from 0 to 128"),
            ("fe80::1%eth0/64", "names an interface", "leave out the %"),
            ("10.0.0.0/255.0.0.0", "is not a network", "write it as CIDR"),
            ("10.0.0.0/", "is not a network", "write it as CIDR"),
            ("010.0.0.1", "is not a network", "write it as CIDR"),
            ("10.0.0", "is not a network", "write it as CIDR"),
            (" 10.0.0.0/8", "' 10.0.0.0/8' is not a network", "write it as CIDR"),
            ("٣.0.0.0/8", "is not a network", "write it as CIDR"),
            ("example.com", "'example.com' is not a network", "write it as CIDR"),
            ("", "'' is not a network", "write it as CIDR"),
        ],
    )
    def test_what_is_no_network_is_named_with_what_to_write(
        self, text: str, said: str, hint: str
    ) -> None:
        with pytest.raises(NetworkError) as caught:
            network(text)
        assert said in str(caught.value)
        assert hint in caught.value.hint

    @given(
        st.ip_addresses(v=4) | st.ip_addresses(network="2001::/16"),
        st.integers(min_value=0, max_value=128),
    )
    def test_the_network_that_a_hint_offers_is_one_and_holds_the_address(
        self, address: object, bits: int
    ) -> None:
        text = f"{address}/{bits}"
        try:
            network(text)
        except NetworkError as error:
            if "within a network" not in str(error):
                return
            text = error.hint.removeprefix("write ").partition(" ")[0]
        assert Networks((network(text),)).contains(str(address))

    @given(st.text())
    def test_whatever_is_given_as_an_address_or_a_network_nothing_else_is_raised(
        self, text: str
    ) -> None:
        assert not Networks().contains(text)
        with contextlib.suppress(NetworkError):
            network(text)


class TestClientAddress:
    @given(st.one_of(ADDRESSES, st.text(max_size=50)), HEADERS)
    def test_the_headers_of_a_peer_that_is_not_trusted_change_nothing(
        self, peer: str, headers: dict[str, str]
    ) -> None:
        if not PROXIES.contains(peer):
            assert client(headers, peer) == client({}, peer)

    @given(HEADERS)
    def test_what_is_found_is_an_address_or_nothing(self, headers: dict[str, str]) -> None:
        found = client(headers)
        assert found == "" or Networks.parse(["0.0.0.0/0", "::/0"]).contains(found)
        assert found == client_address(found or "10.0.0.1", headers, PROXIES)

    @given(LISTS, st.sampled_from([CLIENT, "2001:db8::1"]))
    def test_what_a_client_wrote_before_its_proxy_changes_nothing_for_x_forwarded_for(
        self, written: str, address: str
    ) -> None:
        assert client(xff(written, address)) == address

    @given(LISTS, st.sampled_from([CLIENT, '"[2001:db8::1]:47011"', '"203.0.113.9:80"']))
    def test_what_a_client_wrote_before_its_proxy_changes_nothing_for_forwarded(
        self, written: str, node: str
    ) -> None:
        """Also where it opens a quote, for the proxy's own to close."""
        real = f'for={node};host="a.example";proto=https'
        assert client(forwarded(written, real)) == client(forwarded(real)) != ""

    @given(LISTS)
    def test_the_header_that_its_proxy_does_not_set_brings_a_client_nothing(
        self, written: str
    ) -> None:
        """It is found where it is, or not at all: never elsewhere, nor at the proxy."""
        assert client(xff(CLIENT) | forwarded(written)) in (CLIENT, "")
        assert client(forwarded(f"for={CLIENT}") | xff(written)) in (CLIENT, "")

    @pytest.mark.parametrize(
        ("peer", "address"),
        [
            ("203.0.113.9", "203.0.113.9"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("10.0.0.1", "10.0.0.1"),
            ("", ""),
            ("/run/dispatchd.sock", ""),
        ],
    )
    def test_without_a_header_the_peer_is_the_client(self, peer: str, address: str) -> None:
        assert client({}, peer) == address
        assert client({"x-forwarded-for": " , ", "forwarded": ""}, peer) == address

    @pytest.mark.parametrize(
        "headers",
        [
            xff(CLIENT),
            xff(f"{CLIENT}:4711"),
            xff(f"::ffff:{CLIENT}"),
            xff("198.51.100.1", CLIENT, "10.0.0.3", "fd00::3"),
            xff("198.51.100.1", "garbage", CLIENT, "", "10.0.0.3", ""),
            forwarded(f"for={CLIENT}"),
            forwarded(f'For="{CLIENT}:4711"'),
            forwarded(f'for="[::ffff:{CLIENT}]:_port"'),
            forwarded("for=198.51.100.1", f"proto=https; FOR={CLIENT} ;by=_x", 'for="[fd00::3]"'),
            forwarded(rf'for="{CLIENT[:-1]}\{CLIENT[-1]}";x="a;b=\"c"'),
            xff(CLIENT, "10.0.0.3") | forwarded(f"for={CLIENT};proto=https"),
        ],
    )
    @pytest.mark.parametrize("peer", ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1"])
    def test_behind_trusted_proxies_the_client_is_the_nearest_that_is_not_one(
        self, headers: dict[str, str], peer: str
    ) -> None:
        assert client(headers, peer) == CLIENT

    def test_where_all_are_trusted_the_first_one_is_the_client(self) -> None:
        assert client(xff("10.0.0.7", "10.0.0.3")) == "10.0.0.7"

    @pytest.mark.parametrize(
        "headers",
        [
            xff("unknown"),
            xff(CLIENT, "unix:"),
            xff(CLIENT, "example.com", "10.0.0.3"),
            xff(CLIENT, "10.0.0.3:"),
            xff(CLIENT, "[10.0.0.3]"),
            xff(CLIENT, "fd00::3%eth0"),
            xff(CLIENT, "1" * 5000),
            forwarded("for=unknown"),
            forwarded("for=_hidden"),
            forwarded(f"for={CLIENT}", "proto=https"),
            forwarded(f"for={CLIENT};for=198.51.100.1"),
            forwarded(f'for="{CLIENT}'),
            forwarded(f"for = {CLIENT}"),
            forwarded(f'for={CLIENT};x="a,b"'),
            forwarded(f"for={CLIENT};;"),
            forwarded(CLIENT),
            forwarded(f'for="{CLIENT}" junk'),
            xff(CLIENT) | forwarded("for=198.51.100.1"),
            xff(CLIENT) | forwarded("proto=https"),
            xff("unknown") | forwarded(f"for={CLIENT}"),
        ],
    )
    def test_a_client_that_cannot_be_told_is_nobody_and_not_its_proxy(
        self, headers: dict[str, str]
    ) -> None:
        """The proxy's own network may be allowed to send, and a client can bring this about."""
        assert client(headers) == ""
        assert AllowList(PROXIES).objection(client(headers), None) != ""

    def test_the_walk_ends_after_so_many_hops(self) -> None:
        hops = ["10.0.0.3"] * (HOPS_MAX - 1)
        assert client(xff(CLIENT, *hops)) == CLIENT
        assert client(xff(CLIENT, "10.0.0.3", *hops)) == ""


class TestAllowList:
    def test_it_admits_its_networks_and_nobody_else(self) -> None:
        allowed = AllowList(Networks.parse(["192.0.2.0/24", "2001:db8::/32"]))
        assert allowed.objection("192.0.2.1", None) == ""
        assert allowed.objection("::ffff:192.0.2.1", None) == ""
        assert allowed.objection("2001:db8::1", None) == ""
        assert "192.0.3.1 is not in its allow_from" in allowed.objection("192.0.3.1", None)
        assert "not known" in allowed.objection("", None)

    def test_an_empty_one_admits_nobody(self) -> None:
        assert AllowList(Networks()).objection("127.0.0.1", PROXIES)

    def test_github_stands_for_its_networks_beside_those_that_are_listed(self) -> None:
        allowed = AllowList(Networks.parse(["192.0.2.0/24"]), github=True)
        hooks = Networks.parse(["198.51.100.0/24"])
        assert allowed.objection("198.51.100.1", hooks) == ""
        assert allowed.objection("192.0.2.1", hooks) == ""
        assert "nor is it an address of GitHub's" in allowed.objection(CLIENT, hooks)
        assert AllowList(allowed.networks).objection("198.51.100.1", hooks)

    def test_while_githubs_are_not_known_the_refusal_says_so(self) -> None:
        allowed = AllowList(Networks.parse(["192.0.2.0/24"]), github=True)
        assert "could not be fetched yet" in allowed.objection("198.51.100.1", None)
        assert allowed.objection("192.0.2.1", None) == ""

    @given(st.text())
    def test_what_is_no_address_is_admitted_by_none(self, text: str) -> None:
        everybody = Networks.parse(["0.0.0.0/0", "::/0"])
        admitted = not AllowList(everybody, github=True).objection(text, everybody)
        assert admitted == everybody.contains(text)


class TestCalledUrl:
    def url(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        public_url: str = "",
        target: str = "/hooks/sms?a=%20b",
        host: str = "inner:8080",
        proxied: bool = True,
    ) -> str:
        return called_url(public_url, "http", host, headers or {}, target, proxied=proxied)

    def test_a_public_url_goes_before_the_path_as_it_was_sent(self) -> None:
        assert (
            self.url({"x-forwarded-host": "evil.example"}, public_url="https://a.example/in")
            == "https://a.example/in/hooks/sms?a=%20b"
        )
        assert self.url(public_url="https://a.example", target="//x?") == "https://a.example//x?"

    def test_without_one_it_is_made_of_the_host_header(self) -> None:
        assert self.url() == "http://inner:8080/hooks/sms?a=%20b"
        assert self.url(host="[2001:db8::1]:80", target="/") == "http://[2001:db8::1]:80/"

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-forwarded-proto": "HTTPS", "x-forwarded-host": "a.example"},
            {"x-forwarded-proto": "https, https", "x-forwarded-host": "a.example,a.example"},
            forwarded('for=192.0.2.1;proto=https;host="a.example"', "for=10.0.0.2"),
            {"x-forwarded-proto": "https"} | forwarded("host=a.example;proto=https"),
        ],
    )
    def test_a_trusted_proxy_says_how_it_was_called(self, headers: dict[str, str]) -> None:
        assert self.url(headers, target="/") == "https://a.example/"

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-forwarded-proto": "https, http"},
            {"x-forwarded-host": "a.example, b.example"},
            {"x-forwarded-host": "a.example"} | forwarded("host=b.example"),
            {"x-forwarded-proto": "https"} | forwarded('proto="https'),
            {"x-forwarded-proto": "javascript"},
            {"x-forwarded-host": "a.example/path?"},
            {"x-forwarded-host": "user@a.example"},
        ],
    )
    def test_proxies_that_do_not_agree_tell_nothing(self, headers: dict[str, str]) -> None:
        assert self.url(headers) == ""

    @pytest.mark.parametrize("host", ["", "a b", "a/b", "a:b", "ä.example", "x" * 300])
    def test_without_a_host_that_can_be_read_it_is_not_known(self, host: str) -> None:
        assert self.url(host=host) == ""

    def test_a_target_that_is_no_path_is_not_told(self) -> None:
        for target in ("http://other.example/", "*", ""):
            assert self.url(target=target, public_url="https://a.example") == ""

    @given(HEADERS)
    def test_the_headers_of_a_peer_that_is_not_trusted_change_nothing(
        self, headers: dict[str, str]
    ) -> None:
        assert self.url(headers, proxied=False) == self.url(proxied=False) != ""

    @given(HEADERS, st.text(max_size=20), st.text(max_size=20))
    def test_whatever_comes_in_nothing_is_raised(
        self, headers: dict[str, str], host: str, target: str
    ) -> None:
        found = self.url(headers, host=host, target=target)
        assert found == "" or found.endswith(target)
