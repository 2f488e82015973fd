"""Webhooks go to public addresses, however a URL or an address is written."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.destinations import destination, is_public
from aai_gateway.errors import InvalidRequest

INSIDE = [
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.1.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
]
INSIDE_6 = [
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:0",
    "64:ff9b::a00:1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001:0:102:304::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "fc00::1",
    "fd00::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", [*INSIDE, *INSIDE_6])
def test_addresses_that_are_not_the_internets(address: str):
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidRequest, match="public address"):
        destination(f"https://{host}:8443/hook")


@pytest.mark.parametrize("address", OUTSIDE)
def test_addresses_that_are(address: str):
    assert is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    assert 8443 == destination(f"https://{host}:8443/hook").port


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"])
def test_networks_that_the_operator_allows(address: str):
    allowed = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")]
    assert is_public(ipaddress.ip_address(address), allowed)
    assert is_public(ipaddress.ip_address("fd00::1"), allowed)
    assert not is_public(ipaddress.ip_address("10.2.2.3"), allowed)
    assert not is_public(ipaddress.ip_address("fe80::1"), allowed)


@given(st.integers(0, 2**32 - 1))
def test_no_form_of_an_address_says_more_than_the_address(number: int):
    plain = ipaddress.IPv4Address(number)
    for form in (f"::ffff:{plain}", str(ipaddress.IPv6Address((0x64FF9B << 96) | number))):
        assert is_public(plain) == is_public(ipaddress.ip_address(form))
    for spelling in (str(number), hex(number), f"{plain}.", f"0{oct(number)[2:]}"):
        try:
            destination(f"http://{spelling}/")
        except InvalidRequest:
            assert not is_public(plain)
        else:
            assert is_public(plain)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks",
        "//example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://api.localhost:80/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.1./",
        "http://①②⑦.0.0.1/",
        "http://１２７.0.0.1/",
        "http://%31%32%37.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://[::1",
        "http://user:secret@example.org/",
        "http://@example.org/",
        "http://example.org\\@127.0.0.1/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://exam ple.org/",
        "http://example.org/\r\nX-Evil: 1",
        "http://127.0.0.1%00.example.org/",
        f"https://example.org/{'a' * 4096}",
    ],
)
def test_urls_that_are_no_destination(url: str):
    with pytest.raises(InvalidRequest) as refused:
        destination(url)
    assert url == "" or url not in refused.value.text


def test_a_url_goes_out_as_it_is_written():
    url = "https://hooks.example.org:8443/a%2Fb/%7e?sig=%2fx%3D&q=a+b%20c"
    assert url == str(destination(url))
    assert "xn--exmple-cua.org" == destination("https://exämple.org/").raw_host
