# SPDX-License-Identifier: Apache-2.0
"""What port security allows, as callers write it and as ports keep it (src/allowed.h)."""

from collections.abc import Iterable

from fastpath.addresses import IPAddress, MacAddress, format_mac, is_group, parse_host, parse_mac
from fastpath.errors import UsageError

Allowed = tuple[tuple[str, tuple[IPAddress, ...]], ...]
"""The senders behind a port by MAC address, each with its addresses: IPv4 first, each in order."""


def check_allowed(senders: Iterable[tuple[MacAddress, Iterable[str | IPAddress]]]) -> Allowed:
    """Return the senders in the order in which the engine wants them. Raise UsageError.

    A MAC address that is named twice has the addresses of both.
    """
    found: dict[int, set[IPAddress]] = {}
    for mac, addresses in senders:
        number = parse_mac(mac)
        if number == 0 or is_group(number):
            raise UsageError(f"{format_mac(number)} is not the address of one host")
        found.setdefault(number, set()).update(parse_host(address) for address in addresses)
    return tuple((format_mac(mac), _ordered(addresses)) for mac, addresses in sorted(found.items()))


def _ordered(addresses: Iterable[IPAddress]) -> tuple[IPAddress, ...]:
    return tuple(sorted(addresses, key=lambda address: (address.version, address.packed)))
