# SPDX-License-Identifier: Apache-2.0
"""Convert MAC and IP addresses between text and numbers."""

import ipaddress
import re
import socket
from typing import SupportsIndex

from fastpath.errors import UsageError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
MacAddress = str | SupportsIndex | bytes | bytearray | memoryview
"""A MAC address as callers may write it: 02:42:0a:00:00:05 or 02-42-0a-00-00-05, a number, or 6 bytes."""

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}|[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){5}")


def parse_mac(mac: MacAddress) -> int:
    """Return the 48-bit number of a MAC address. Raise UsageError for anything else."""
    if isinstance(mac, str) and _MAC.fullmatch(mac):
        return int.from_bytes(bytes(int(part, 16) for part in re.split("[:-]", mac)), "big")
    if isinstance(mac, bytes | bytearray | memoryview) and len(mac) == 6:
        return int.from_bytes(mac, "big")
    if isinstance(mac, SupportsIndex) and not isinstance(mac, bool):
        number = _as_number(mac)
        if number is not None and 0 <= number < 1 << 48:
            return number
    shown = mac if isinstance(mac, str) else repr(mac)
    raise UsageError(f'"{shown}" is not a MAC address: write it like 02:42:0a:00:00:05')


def _as_number(value: SupportsIndex) -> int | None:
    """Return the number, or None if the value has none (a numpy array)."""
    try:
        return value.__index__()
    except TypeError:
        return None


def format_mac(mac: int) -> str:
    """Return the address as aa:bb:cc:dd:ee:ff."""
    return mac.to_bytes(6, "big").hex(":")


def is_group(mac: int) -> bool:
    """Return whether the address is a multicast or broadcast address (IEEE 802, I/G bit)."""
    return bool(mac >> 40 & 1)


def _read_ip(text: str | IPAddress, examples: str) -> IPAddress:
    """Return the address. Raise UsageError, also for a number, which may mean anything."""
    if isinstance(text, ipaddress.IPv4Interface | ipaddress.IPv6Interface):
        return text.ip
    if isinstance(text, IPAddress):
        return text
    try:
        if isinstance(text, str):
            return ipaddress.ip_address(text)
    except ValueError:
        pass
    raise UsageError(f'"{text}" is not an IP address: write it like {examples}')


def parse_ip(text: str | IPAddress) -> IPAddress:
    """Return an IPv4 or IPv6 unicast address. Raise UsageError."""
    address = _read_ip(text, "192.0.2.1 or 2001:db8::1")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified:
        raise UsageError(f"{address} is not the address of a host: leave local out to listen on all")
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local:
        raise UsageError(f"{address} is link-local, which a VTEP cannot use: give a routable address")
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise UsageError(f"{address} has a zone, which only link-local addresses have: leave it out")
    if address == _BROADCAST:
        raise UsageError(f"{address} is the broadcast address: name each remote")
    if address.is_multicast:
        raise UsageError(f"{address} is a multicast address: fastpath replicates at the sender, name each remote")
    return address


def parse_host(text: str | IPAddress) -> IPAddress:
    """Return the IPv4 or IPv6 unicast address of a host in a segment, link-local ones too. Raise UsageError."""
    address = _read_ip(text, "10.0.0.5 or fd00::5")
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise UsageError(f"{address} has a zone, which means nothing in a segment: leave it out")
        address = address.ipv4_mapped or address
    if address.is_multicast or address.is_unspecified or address.is_loopback or address == _BROADCAST:
        raise UsageError(f"{address} is not the address of one host")
    return address


def parse_ip4(text: str | IPAddress) -> int:
    """Return the number of the IPv4 address of a host in a segment, as bursts have it. Raise UsageError."""
    address = parse_host(text)
    if address.version != 4:
        raise UsageError(f"{address} is an IPv6 address: an IPv4 address is needed here")
    return int(address)


def family_of(address: IPAddress) -> socket.AddressFamily:
    """Return AF_INET or AF_INET6."""
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def to_wire(address: IPAddress) -> bytes:
    """Return the 16 bytes that stand for the address in the engine. IPv4 becomes ::ffff:a.b.c.d."""
    if address.version == 4:
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def from_wire(packed: bytes) -> IPAddress:
    """Return the address that `to_wire` made these bytes of."""
    address = ipaddress.IPv6Address(packed)
    return address.ipv4_mapped or address
