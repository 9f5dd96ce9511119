# SPDX-License-Identifier: Apache-2.0
"""What control knows all of in a segment, as callers write it and as the segment keeps it (src/tables/complete.h)."""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from fastpath.addresses import IPAddress, parse_host, to_wire
from fastpath.errors import UsageError

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Complete(NamedTuple):
    """Subnets in which every address in use is a neighbour's, but for the `exceptions`, which may be anybody's."""

    subnets: tuple[IPNetwork, ...]
    exceptions: tuple[IPAddress, ...] = ()


def check_complete(value: tuple[Iterable[str | IPNetwork], Iterable[str | IPAddress]]) -> Complete:
    """Return (subnets, exceptions) in the order in which the engine wants them. Raise UsageError."""
    subnets = {_subnet(subnet) for subnet in value[0]}
    exceptions = {parse_host(address) for address in value[1]}
    return Complete(
        tuple(sorted(subnets, key=lambda subnet: (to_wire(subnet.network_address), subnet.prefixlen))),
        tuple(sorted(exceptions, key=to_wire)),
    )


def _subnet(value: str | IPNetwork) -> IPNetwork:
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise UsageError(f'"{value}" is not a subnet: {error}') from None
