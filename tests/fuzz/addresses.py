"""What proxies say of a client and of the URL, and networks as a config names them. The first line
is the peer's address, and networks after it."""

from __future__ import annotations

from ipaddress import ip_address

from daemon.addresses import AllowList, NetworkError, Networks, called_url, client_address, network
from tests.fuzz.message import Message

TRUSTED = Networks.parse(["127.0.0.0/8", "10.0.0.0/8", "::1", "2001:db8::/32"])

WORDS = (
    b"x-forwarded-for: ", b"forwarded: for=", b'"[2001:db8::1]:80"', b"10.0.0.1", b"192.0.2.7:8080",
    b"x-forwarded-proto: https", b"x-forwarded-host: a.example", b";proto=http", b";host=", b",",
    b"by=_hidden", b"unknown", b"::ffff:10.0.0.1", b"fe80::1%eth0", b"/128", b"/0", b'"', b'\\"',
    b"\\", b"[", b"]", b"; ;", b"\t ", b"for=a;", b"2001:db8::/32",
)  # fmt: skip


def run(data: bytes) -> None:
    """Raises for an answer that is none, and for whatever is raised."""
    message = Message.parse(data)
    peer, *texts = message.first.split(" ")
    for text in texts[:20]:
        try:
            assert Networks((network(text),)).networks
        except NetworkError:
            continue
    client = client_address(peer, message.headers, TRUSTED)
    assert not client or str(ip_address(client)) == client, client
    assert AllowList(TRUSTED, github=True).objection(client, None).isprintable()
    host = message.headers.get("host", "")
    for proxied in (False, True):
        url = called_url("", "http", host, message.headers, "/a?b", proxied=proxied)
        assert not url or url.startswith(("http://", "https://")), url


def seeds() -> list[bytes]:
    return [
        b"10.0.0.1 192.0.2.0/24 2001:db8::/32\nx-forwarded-for: 192.0.2.1, 10.0.0.2",
        b"::1 192.0.2.1/24\nforwarded: for=192.0.2.60;proto=http;by=203.0.113.43, for=198.51.100.1",
        b'127.0.0.1 ::/0\nforwarded: for="[2001:db9::1]:47";host="a.example"\nhost: b.example:80',
        b"10.0.0.1\nx-forwarded-for: [2001:db9::1]:80\nx-forwarded-proto: https\nhost: [::1]",
        b'::ffff:10.0.0.1 fe80::1%1\nx-forwarded-host: a\nforwarded: for="_h\\"";proto="https"',
    ]
