"""Who asks: what tells one visitor of the page from another.

A name or a cookie can be made up anew for each request; an address cannot. It is that of the
connection. Behind proxies that is the last proxy's, and each proxy notes in `X-Forwarded-For` from
whom it had the request, after what the visitor may have written there. So the list is read from its
end, and passed over are addresses of private networks, which proxies have and visitors from outside
have not. A visitor who comes without a proxy is known by the connection, whatever the list says.

Limits: people behind one router are one visitor; one with many addresses is many (all of an IPv6
network's count as one); behind a proxy that notes nothing, one with a public address, or one in
a private network with its visitors, all are one.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

__all__ = ["address", "visitor"]

IPV6_NETWORK = 64  # bits: what a provider gives to one household


def visitor(request: Any) -> str:
    """What a visitor is told from others by, for a request of Starlette or Gradio."""
    client = request.client
    return address(client.host if client else "", request.headers.getlist("x-forwarded-for"))


def address(peer: str, forwarded: Sequence[str]) -> str:
    """The visitor's address, for IPv6 that of the network.

    Args:
        peer: the address at the other end of the connection.
        forwarded: values of the header X-Forwarded-For, in their order.
    """
    listed = [part for value in forwarded for part in value.split(",")]
    for text in [peer, *reversed(listed)]:
        found = _parse(text)
        if found is None:  # no proxy writes such a thing: what follows is the visitor's own
            break
        if found.is_global:
            return _network(found)
    return peer


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also with a port, in brackets, or IPv4 written as IPv6."""
    text = text.strip()
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        found = ip_address(host)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _network(found: IPv4Address | IPv6Address) -> str:
    if isinstance(found, IPv4Address):
        return str(found)
    return str(ip_network((found, IPV6_NETWORK), strict=False))
