"""What a proxy in front says of a request, believed only when the proxy is one of ours.

The web servers are started so that REMOTE_ADDR is whoever really opened the connection
(`hospital.config.serve`, `docker/`): uvicorn's own reading of X-Forwarded-For would put there what
anybody wrote into a header.
"""

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def is_trusted_proxy(address: str) -> bool:
    """Whether the address is in one of TRUSTED_PROXIES."""
    return is_in(address, settings.TRUSTED_PROXIES)


def is_in(address: str, networks: Iterable[Network]) -> bool:
    """Whether the address is one, and in one of `networks`."""
    known = _address(address)
    return known is not None and any(known in network for network in networks)


def word_of_proxy(request: HttpRequest, header: str) -> str:
    """The header's value if one of our proxies passed the request on; else nothing."""
    if not is_trusted_proxy(request.META.get("REMOTE_ADDR", "")):
        return ""
    return request.headers.get(header, "").strip()


def sender_of(request: HttpRequest) -> str:
    """The address that the request comes from: the last one that is not one of our proxies."""
    peer = str(request.META.get("REMOTE_ADDR", ""))
    path = [part.strip() for part in word_of_proxy(request, "X-Forwarded-For").split(",")]
    for address in reversed([*path, peer]):
        if address and not is_trusted_proxy(address):
            return address
    return peer


def household(address: str) -> str:
    """The address, or the network that one household gets whole, IPv6's /64: what tries are counted
    by. '' for what is no address."""
    known = _address(address)
    if known is None:
        return ""
    return str(ip_network((known, 64), strict=False) if known.version == 6 else known)


def _address(text: str) -> Address | None:
    try:
        known = ip_address(text)
    except ValueError:
        return None
    return getattr(known, "ipv4_mapped", None) or known
