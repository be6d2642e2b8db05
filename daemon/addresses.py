"""Where a request comes from: networks, who may send (``allow_from``), and how far the word of
proxies is taken on the client's address and on the URL that it called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from daemon.errors import DispatchdError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

GITHUB = "github"
"""The word in ``allow_from`` for the networks that GitHub's webhooks come from."""

HOPS_MAX = 32
"""Elements of a forwarding header that are looked at, from the nearest on."""

EVERYBODY = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))

_MAPPED = IPv6Network("::ffff:0:0/96")

_CIDR = re.compile(r"([0-9A-Fa-f:.]+)(?:/([0-9]{1,3}))?")

# A node as proxies write it: with a port or without, and IPv6 in brackets or (in X-Forwarded-For)
# bare. `unknown`, `_hidden` and nginx's `unix:` are none of these. RFC 7239, section 6.
_NODE = re.compile(
    r"(?:\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]{1,64}))?"
    r"|([0-9A-Fa-f:.]+)"
)

# A `name=value` of Forwarded. Values are also taken unquoted where they should not be, as in
# `for=[2001:db8::1]`, since proxies write them so. RFC 7239, section 4.
_PAIR = re.compile(
    r"[ \t]*+([A-Za-z0-9!#$%&'*+.^_`|~-]++)="
    r'("(?:[^"\\]|\\.)*+"|[^",;\\ \t]++)[ \t]*+(?:;|\Z)'
)

_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class NetworkError(DispatchdError):
    """Mend the config: text that is no network. ``hint`` says what to write instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def household(client: str) -> str:
    """Who counts as one client: an IPv4 address, or the /64 network of an IPv6 address, since a
    single customer gets at least that many."""
    if ":" not in client:
        return client
    address = IPv6Address(client.partition("%")[0])
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.exploded[:19]


def network(text: str) -> Network:
    """``10.0.0.0/8``, ``2001:db8::/32``, or one address. An IPv4 network in its IPv6 form
    (``::ffff:10.0.0.0/104``) is the IPv4 network. Raises NetworkError."""
    shown = f"{text!r:.80}"
    found = _CIDR.fullmatch(text)
    try:
        address = ip_address(found[1]) if found else None
    except ValueError:
        address = None
    if found is None or address is None:
        if "%" in text:
            raise NetworkError(f"{shown} names an interface", "leave out the % and what follows")
        raise NetworkError(
            f"{shown} is not a network", "write it as CIDR: 192.0.2.0/24 or 2001:db8::/32"
        )
    longest = address.max_prefixlen
    bits = longest if found[2] is None else int(found[2])
    if bits > longest:
        raise NetworkError(
            f"{shown} has a prefix of {bits} bits",
            f"an IPv{address.version} network has one from 0 to {longest}",
        )
    whole = ip_network((address, bits), strict=False)
    if whole.network_address != address:
        raise NetworkError(
            f"{shown} is an address within a network",
            f"write {whole} for the network, or {address} for the address alone",
        )
    if isinstance(whole, IPv6Network) and whole.subnet_of(_MAPPED):
        mapped = int(whole.network_address) & 0xFFFF_FFFF
        return IPv4Network((mapped, bits - _MAPPED.prefixlen))
    return whole


@dataclass(frozen=True, slots=True)
class Networks:
    """A set of networks. IPv4 addresses in their IPv6 form count as IPv4, so ``::/0`` holds none
    of them."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Networks:
        """Raises NetworkError for the first text that is no network."""
        return cls(tuple(map(network, texts)))

    def contains(self, address: str) -> bool:
        """Never raises: what is not an address lies in no network."""
        parsed = _address(address)
        return parsed is not None and self.holds(parsed)

    def holds(self, address: Address) -> bool:
        return any(address in each for each in self.networks)


@dataclass(frozen=True, slots=True)
class AllowList:
    """What ``allow_from`` says: ``networks``, and with ``github`` those of its webhooks as well."""

    networks: Networks
    github: bool = False

    def objection(self, address: str, github: Networks | None) -> str:
        """Why a client at ``address`` may not send; empty where it may. ``address`` is empty where
        it is not known, and ``github`` None where GitHub's networks are not known yet."""
        client = _address(address)
        if client is None:
            return (
                "the client's address is not known, so no allow_from can admit it: what a trusted "
                "proxy says in X-Forwarded-For or Forwarded cannot be read, or the two disagree "
                "(let the proxy set one of them, and remove the other)"
            )
        if self.networks.holds(client):
            return ""
        if not self.github:
            return (
                f"{client} is not in its allow_from (if that is a proxy of yours, name it in "
                "trusted_proxies)"
            )
        if github is None:
            return (
                f"{client} may be GitHub's or not: the networks of GitHub's webhooks could not be "
                "fetched yet (the log says why, under hook_ranges)"
            )
        if github.holds(client):
            return ""
        return (
            f"{client} is not in its allow_from, nor is it an address of GitHub's webhooks (if "
            "that is a proxy of yours, name it in trusted_proxies)"
        )


def client_address(peer: str, headers: Mapping[str, str], trusted: Networks) -> str:
    """The address of the client, without a zone and an IPv4 one as IPv4; empty where it is not
    known, as over a Unix socket. Never raises.

    ``peer`` is whom the connection comes from, and is the client unless it is a trusted proxy.
    Behind one, the client is the nearest address in ``X-Forwarded-For`` or ``Forwarded`` that is
    not trusted, read from the right, where each proxy adds whom it was called by; or the last one,
    where all are. ``headers`` have lower-case names; repeated ones are joined by commas.

    A client can send whichever of the two headers its proxy does not set, and there is no telling
    which that is: where both are there they must come to the same. Where they do not, and where the
    walk meets something that is no address (or more than ``HOPS_MAX`` of them), the client is not
    known. It does not count as the last proxy then: that one's network may well be allowed to
    send, and anybody could bring this about.
    """
    nearest = _address(peer)
    if nearest is None:
        return ""
    if not trusted.holds(nearest):
        return str(nearest)
    clients = {
        _client_behind(nearest, map(read, _elements(headers, name)), trusted)
        for name, read in (("x-forwarded-for", _node), ("forwarded", _forwarded_for))
        if headers.get(name, "").strip(", \t")
    }
    if not clients:
        return str(nearest)
    client = clients.pop()
    return "" if clients or client is None else str(client)


def called_url(
    public_url: str,
    scheme: str,
    host: str,
    headers: Mapping[str, str],
    target: str,
    *,
    proxied: bool,
) -> str:
    """The URL that the sender called, as it wrote it; empty where that cannot be told. Never
    raises.

    ``target`` is the path with its query, as sent. With a ``public_url`` (without a slash at its
    end) the answer is that and ``target``, nothing between: a path in ``public_url`` is what the
    proxy takes off before it passes a request on.

    Without one it is made of ``scheme`` and ``host``, the header; or, where ``proxied`` (the peer
    is a trusted proxy), of what X-Forwarded-Proto and X-Forwarded-Host or Forwarded say instead.
    Several values that differ tell nothing. A proxy that leaves one of these headers as the client
    sent it lets the client choose that part of the URL: ``public_url`` is the safer way.
    """
    if not target.startswith("/"):
        return ""
    if public_url:
        return public_url + target
    if proxied:
        schemes = {value.lower() for value in _forwarded_values(headers, "proto")} or {scheme}
        hosts = _forwarded_values(headers, "host") or {host}
        if len(schemes) > 1 or len(hosts) > 1:
            return ""
        scheme, host = schemes.pop(), hosts.pop()
    if scheme not in ("http", "https") or not _AUTHORITY.fullmatch(host):
        return ""
    return f"{scheme}://{host}{target}"


def _client_behind(
    proxy: Address, nodes: Iterable[Address | None], trusted: Networks
) -> Address | None:
    """The client of a trusted ``proxy``, by ``nodes`` from the nearest on."""
    client = proxy
    for node in nodes:
        if node is None or not trusted.holds(node):
            return node
        client = node
    return client


def _elements(headers: Mapping[str, str], name: str) -> Iterator[str]:
    """The elements of a list, from the right. Empty ones do not count (RFC 9110, 5.6.1.2).

    Every comma parts two elements, also one within quotes: no address, scheme or host has one, and
    a client that opens a quote and leaves it open cannot swallow what the proxy adds.
    """
    parts = headers.get(name, "").rsplit(",", HOPS_MAX - 1)
    return (element for part in reversed(parts) if (element := part.strip(" \t")))


def _address(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return found.ipv4_mapped
        if found.scope_id is not None:
            return IPv6Address(int(found))
    return found


def _node(text: str) -> Address | None:
    found = _NODE.fullmatch(text)
    return _address(found[1] or found[2] or found[3]) if found else None


def _forwarded_for(element: str) -> Address | None:
    return _node(_pairs(element).get("for", ""))


def _forwarded_values(headers: Mapping[str, str], name: str) -> set[str]:
    """The different values that proxies give for ``proto`` or ``host``."""
    values = set(_elements(headers, f"x-forwarded-{name}"))
    for element in _elements(headers, "forwarded"):
        pairs = _pairs(element)
        if not pairs:
            values.add("")  # it may have said anything
        elif name in pairs:
            values.add(pairs[name])
    return values


def _pairs(element: str) -> dict[str, str]:
    """What an element of Forwarded says, by lower-case names; nothing where it cannot be read, or
    says something twice."""
    pairs: dict[str, str] = {}
    at = 0
    while at < len(element):
        found = _PAIR.match(element, at)
        if found is None or (name := found[1].lower()) in pairs:
            return {}
        value = found[2]
        pairs[name] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value
        at = found.end()
    return pairs
