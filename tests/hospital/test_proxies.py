"""Whom we believe about where a request comes from: our own proxies, and nobody else."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.test import RequestFactory

from hospital.base.proxies import household, sender_of, word_of_proxy

PROXY, SECOND, CLIENT, OTHER = "10.0.0.2", "10.0.0.3", "192.0.2.1", "198.51.100.9"


@pytest.fixture(autouse=True)
def _proxies(settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/24"), ip_network("fd00::/8")]


def request(peer: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestFactory(REMOTE_ADDR=peer, headers=named).get("/")


@pytest.mark.parametrize(
    ("peer", "forwarded", "sender"),
    [
        (CLIENT, "", CLIENT),
        (CLIENT, OTHER, CLIENT),  # a client that invents a past
        (CLIENT, PROXY, CLIENT),
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"{OTHER}, {CLIENT}", CLIENT),  # the left part is the client's own word
        (PROXY, f"{CLIENT}, {SECOND}", CLIENT),
        ("::ffff:10.0.0.2", CLIENT, CLIENT),
        ("fd00::2", "2001:db8::7", "2001:db8::7"),
        (PROXY, "", PROXY),
        (PROXY, "nonsense", "nonsense"),
        ("", CLIENT, ""),
        ("not an address", CLIENT, "not an address"),
    ],
)
def test_the_sender_is_the_last_one_we_do_not_know(peer: str, forwarded: str, sender: str) -> None:
    assert sender_of(request(peer, X_Forwarded_For=forwarded)) == sender


def test_without_a_proxy_of_ours_no_word_is_believed(settings: Any) -> None:
    assert word_of_proxy(request(PROXY, X_Word=" yes "), "X-Word") == "yes"
    assert word_of_proxy(request(CLIENT, X_Word="yes"), "X-Word") == ""
    settings.TRUSTED_PROXIES = []
    assert word_of_proxy(request(PROXY, X_Word="yes"), "X-Word") == ""


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_an_address_is_counted_as_the_line_it_comes_by(address: str, counted: str) -> None:
    assert household(address) == counted
