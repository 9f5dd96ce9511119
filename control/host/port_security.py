# SPDX-License-Identifier: Apache-2.0
"""Tell the engine what each port of a network may send: from which addresses, and how much it may flood."""

from collections.abc import Iterable, Mapping

from fastpath import Port
from fastpath.addresses import IPAddress
from fastpath.control.model.objects import Endpoint, Network

FLOOD_LIMIT = 10_000
"""Copies of flooded frames that a port may cause each second. A copy costs about 3 µs with its system call, so this is
3 % of a core. It is 10,000 multicast packets each second between two hosts, 100 in a network of a hundred, where the
engine answers the questions for known addresses itself."""

Senders = tuple[tuple[str, tuple[IPAddress, ...]], ...]


def secure(network: Network, ports: Iterable[tuple[Endpoint, Port]], gateway: Port | None) -> None:
    """Set the list of each port, in the direct layout one for each endpoint, else one for all. The `gateway` port is
    that of the network's own resolver."""
    behind: dict[Port, dict[str, set[IPAddress]]] = {}
    for endpoint, port in ports:
        own = behind.setdefault(port, {}).setdefault(endpoint.mac, set())
        own.update(address.ip for address in (*endpoint.addresses, *endpoint.allowed))
    if gateway is not None:
        own = behind.setdefault(gateway, {}).setdefault(network.gateway_mac, set())
        own.update(subnet.gateway for subnet in network.subnets)
    for port, senders in behind.items():
        _set(port, _ordered(senders) if network.port_security else None)


def _set(port: Port, allowed: Senders | None) -> None:
    if port.removed:
        return
    if port.allowed != allowed:
        port.allowed = allowed
    if port.flood_limit != FLOOD_LIMIT:
        port.flood_limit = FLOOD_LIMIT


def _ordered(senders: Mapping[str, set[IPAddress]]) -> Senders:
    """Return them as the engine does, so that what has not changed is not set again."""
    return tuple(
        (mac, tuple(sorted(addresses, key=lambda address: (address.version, address.packed))))
        for mac, addresses in sorted(senders.items())
    )
