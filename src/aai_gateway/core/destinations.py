"""Where a team's webhook may go: public addresses, and the networks that the operator has named.

A host name is judged by every address that it resolves to, at the moment of connecting; what can be told from
the URL alone is told at submission. Special addresses: the IANA registries of special-purpose addresses
(RFC 6890), and the ways to write an IPv4 address inside an IPv6 one.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection

from yarl import URL

from aai_gateway.errors import InvalidRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LONGEST_URL = 4096

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "::/96",  # IPv4-compatible, RFC 4291
        "64:ff9b:1::/48",  # NAT64 of one's own, RFC 8215
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "fec0::/10",  # site-local
    )
)
_BLANK = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-fA-F:.]+(?:%[A-Za-z0-9]+)?")


def destination(url: str, allowed: Collection[Network] = ()) -> URL:
    """The parsed URL of a webhook, with nothing in it that may not be a destination.

    Raises InvalidRequest with a text for the client; it never holds the URL, which may hold a secret.
    """
    if not url or len(url) > LONGEST_URL:
        raise InvalidRequest(f"webhook_url must be a URL of at most {LONGEST_URL} characters.")
    try:
        if _BLANK.search(url):
            raise ValueError
        # As it is written where that can be: a receiver may have signed its spelling.
        parsed = URL(url, encoded=url.isascii())
        host, port = parsed.raw_host, parsed.port
    except ValueError:
        raise InvalidRequest("webhook_url is not a URL.") from None
    if parsed.scheme not in ("http", "https") or not host or not _HOST.fullmatch(host):
        raise InvalidRequest("webhook_url must be an http or https URL with a host.")
    if parsed.raw_user is not None or parsed.raw_password is not None or "@" in parsed.raw_authority:
        raise InvalidRequest("webhook_url must not hold a user name or a password.")
    if not port:
        raise InvalidRequest("webhook_url must not have port 0.")
    addresses = _literal(host)
    if addresses is not None and not all(is_public(address, allowed) for address in addresses):
        raise InvalidRequest("webhook_url must lead to a public address.")
    return parsed


def is_public(address: Address, allowed: Collection[Network] = ()) -> bool:
    """Whether an address is one of the internet's, or in a network that is allowed besides."""
    inner = address
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            inner = address.ipv4_mapped
        elif address in _NAT64:
            inner = ipaddress.IPv4Address(address.packed[-4:])
    if any(
        one.version == network.version and one in network for one in (address, inner) for network in allowed
    ):
        return True
    if isinstance(inner, ipaddress.IPv6Address) and any(inner in network for network in _NEVER):
        return False
    special = inner.is_multicast or inner.is_reserved or inner.is_unspecified or inner.is_loopback
    return inner.is_global and not special and not inner.is_link_local


def _literal(host: str) -> list[Address] | None:
    """The addresses that a host names by itself, in any spelling that the system would take; else None."""
    bare = host.rstrip(".").lower()
    if bare == "localhost" or bare.endswith(".localhost"):
        return [ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1")]
    if ":" in bare:
        try:
            return [ipaddress.IPv6Address(bare)]
        except ValueError:
            raise InvalidRequest("webhook_url is not a URL.") from None
    try:
        # 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1 to the system.
        return [ipaddress.IPv4Address(socket.inet_aton(bare))]
    except (OSError, UnicodeError):
        return None
