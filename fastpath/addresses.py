# SPDX-License-Identifier: Apache-2.0
"""MAC and IP addresses between text and numbers."""

import ipaddress
import re
import socket

from fastpath.errors import UsageError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}|[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){5}")


def parse_mac(text: str) -> int:
    """The 48-bit number of a MAC address written with colons or dashes. Raises UsageError."""
    if not _MAC.fullmatch(text):
        raise UsageError(f'"{text}" is not a MAC address: write it like 02:42:0a:00:00:05')
    return int.from_bytes(bytes(int(part, 16) for part in re.split("[:-]", text)), "big")


def format_mac(mac: int) -> str:
    """aa:bb:cc:dd:ee:ff"""
    return mac.to_bytes(6, "big").hex(":")


def is_group(mac: int) -> bool:
    """Whether the address is a multicast or broadcast address (IEEE 802, I/G bit)."""
    return bool(mac >> 40 & 1)


def parse_ip(text: str | IPAddress) -> IPAddress:
    """An IPv4 or IPv6 unicast address. Raises UsageError."""
    try:  # what is an address already isn't read again
        address = text if isinstance(text, IPAddress) else ipaddress.ip_address(str(text))
    except ValueError:
        raise UsageError(f'"{text}" is not an IP address: write it like 192.0.2.1 or 2001:db8::1') from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified:
        raise UsageError(f"{address} is no address of a host: leave local out to listen on all")
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local:
        raise UsageError(f"{address} is link-local, which a VTEP cannot use: give a routable address")
    if address == _BROADCAST:
        raise UsageError(f"{address} is the broadcast address: name each remote")
    if address.is_multicast:
        raise UsageError(f"{address} is a multicast address: fastpath replicates at the sender, name each remote")
    return address


def parse_host(text: str | IPAddress) -> IPAddress:
    """The IPv4 or IPv6 unicast address of a host in a segment, link-local ones too. Raises UsageError."""
    try:
        address = text if isinstance(text, IPAddress) else ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(f'"{text}" is not an IP address: write it like 10.0.0.5 or fd00::5') from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise UsageError(f"{address} has a zone, which means nothing in a segment: leave it out")
        address = address.ipv4_mapped or address
    if address.is_multicast or address.is_unspecified or address.is_loopback or address == _BROADCAST:
        raise UsageError(f"{address} is not the address of one host")
    return address


def parse_ip4(text: str) -> int:
    """The number of the IPv4 address of a host in a segment, as bursts have it. Raises UsageError."""
    address = parse_host(text)
    if address.version != 4:
        raise UsageError(f"{address} is an IPv6 address: an IPv4 address is needed here")
    return int(address)


def family_of(address: IPAddress) -> socket.AddressFamily:
    """AF_INET or AF_INET6."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def to_wire(address: IPAddress) -> bytes:
    """The 16 bytes by which the engine knows the address: IPv4 as ::ffff:a.b.c.d."""
    if address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def from_wire(packed: bytes) -> IPAddress:
    """The inverse of to_wire."""
    address = ipaddress.IPv6Address(packed)
    return address.ipv4_mapped or address
