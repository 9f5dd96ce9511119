# SPDX-License-Identifier: Apache-2.0
"""Addresses between text and numbers."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath import ConflictError, FastpathError, NotFoundError, RefusedError, UsageError
from fastpath.addresses import family_of, format_mac, from_wire, is_group, parse_ip, parse_ip4, parse_mac, to_wire

macs = st.integers(0, (1 << 48) - 1)


@given(macs)
def test_macs_there_and_back(number: int) -> None:
    text = format_mac(number)
    assert len(text) == 17
    assert parse_mac(text) == parse_mac(text.upper()) == parse_mac(text.replace(":", "-")) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("02:42:0a:00:00:05", 0x02420A000005),
        ("02-42-0A-00-00-05", 0x02420A000005),
        ("2:42:a:0:0:5", 0x02420A000005),  # as some tools abbreviate
        ("ff:ff:ff:ff:ff:ff", (1 << 48) - 1),
        ("00:00:00:00:00:00", 0),
    ],
)
def test_macs(text: str, number: int) -> None:
    assert parse_mac(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "02:42:0a:00:00",
        "02:42:0a:00:00:05:06",
        "02:42:0a:00:00:0g",
        "02:42:0a:00:00:005",
        "02:42:0a-00-00-05",
        "0242.0a00.0005",
        "02420a000005",
        " 02:42:0a:00:00:05",
        "02:42:0a:00:00:05\n",
        "\u0660\u0662:0:0:0:0:1",  # digits, but not of ASCII
    ],
)
def test_what_is_no_mac(text: str) -> None:
    with pytest.raises(UsageError, match="is not a MAC address") as error:
        parse_mac(text)
    assert isinstance(error.value, FastpathError)


@given(macs)
def test_group_bit(number: int) -> None:
    assert is_group(number) == bool(number.to_bytes(6, "big")[0] & 1)


def test_well_known_groups() -> None:
    assert all(is_group(parse_mac(text)) for text in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"))
    assert not any(
        is_group(parse_mac(text)) for text in ("00:00:00:00:00:00", "02:01:01:01:01:01", "fe:ff:ff:ff:ff:ff")
    )


@given(st.ip_addresses().filter(lambda address: not address.is_multicast))
def test_ip_addresses_there_and_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    expected = mapped or address
    link_local = expected.version == 6 and expected.is_link_local
    if expected.is_multicast or expected.is_unspecified or link_local or str(expected) == "255.255.255.255":
        return  # not unicast: below
    assert parse_ip(str(address)) == parse_ip(address) == expected
    wire = to_wire(parse_ip(address))
    assert len(wire) == 16
    assert from_wire(wire) == expected
    assert family_of(expected) == (socket.AF_INET if expected.version == 4 else socket.AF_INET6)


def test_ipv4_on_the_wire_is_mapped() -> None:
    assert to_wire(parse_ip("192.0.2.1")).hex() == "00000000000000000000ffffc0000201"
    assert parse_ip("::ffff:192.0.2.1") == ipaddress.IPv4Address("192.0.2.1")
    assert to_wire(parse_ip("2001:db8::1")).hex() == "20010db8000000000000000000000001"


@pytest.mark.parametrize(
    "text", ["", "nonsense", "192.0.2", "192.0.2.256", "192.0.2.1/24", "2001:db8::1::", "host.example"]
)
def test_what_is_no_ip_address(text: str) -> None:
    with pytest.raises(UsageError, match="is not an IP address") as error:
        parse_ip(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["fe80::1", "fe80::1%eth0"])
def test_link_local(text: str) -> None:
    with pytest.raises(UsageError, match="link-local"):
        parse_ip(text)


@pytest.mark.parametrize("text", ["2001:db8::1%eth0", '2001:db8::1%x" }; flush ruleset'])
def test_zone(text: str) -> None:
    with pytest.raises(UsageError, match="has a zone") as error:
        parse_ip(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"])
def test_multicast(text: str) -> None:
    with pytest.raises(UsageError, match="multicast"):
        parse_ip(text)


def test_ipv4_addresses_as_numbers() -> None:
    assert parse_ip4("10.0.0.5") == 0x0A000005
    for text, error in (
        ("fd00::5", "an IPv4 address is needed"),
        ("10.0.0", "not an IP address"),
        ("224.0.0.1", "one host"),
    ):
        with pytest.raises(UsageError, match=error):
            parse_ip4(text)


def test_errors_are_those_of_python_as_well() -> None:
    """Who knows Python, and not fastpath, catches what they expect."""
    assert issubclass(UsageError, ValueError)
    assert issubclass(NotFoundError, KeyError)
    for kind in (FastpathError, UsageError, NotFoundError, ConflictError, RefusedError):
        assert str(kind("one line")) == "one line"
    with pytest.raises(ValueError, match="is not a MAC address"):
        parse_mac("nonsense")
