# SPDX-License-Identifier: Apache-2.0
"""The path from a host to its own containers in a macvlan network, since the kernel does not connect them by the
parent: the host's own macvlan (the shim), with a route and a neighbour entry for each container of this host.

The shim has no address: the host uses its present address in the LAN. So no address has to be claimed, and containers
reach the host by the address that the LAN knows. The shim answers ARP only to containers that it has a route to
(arp_filter); the parent still answers the rest of the LAN. The shim never sends ARP requests, which would tell the
whole LAN that the host has the shim's MAC address: its neighbours are permanent.
"""

import hashlib
from collections.abc import Iterable

from fastpath.addresses import IPAddress
from fastpath.control.drivers import naming
from fastpath.control.kernel import sysctl
from fastpath.control.kernel.netlink import Link, StackedLinks
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import Endpoint, Network
from fastpath.control.model.problem import Problem
from fastpath.errors import ConflictError

SHIM = "fpsh-"  # followed by naming.short_name's digits


class Shims:
    """The shims of this host's networks."""

    def __init__(self, host: str, visits: Visits) -> None:
        self._host = host
        self._visits = visits

    def ensure(self, network: Network, parent: Link, mtu: int) -> None:
        """Create or repair the network's shim on its parent. Raise FastpathError."""
        name, alias = naming.short_name(SHIM, network.name), naming.of_shim(self._host, network.name)
        with self._visits.at_home() as links:
            link = links.find(name)
            if link is not None and (link.kind != "macvlan" or link.alias not in ("", alias)):
                raise ConflictError(f"an interface named {name} exists already, and is not this host's shim")
            if link is not None and link.lower != parent.index:
                links.delete(link)
                link = None
            if link is None:
                link = links.add_macvlan(name, parent, "bridge", mac=self._mac(network), mtu=mtu)
            link = links.ensure(link, alias=alias, mac=self._mac(network), mtu=mtu)
            sysctl.ensure(f"ipv6/conf/{name}/disable_ipv6", 1)
            sysctl.ensure(f"ipv4/conf/{name}/arp_filter", 1)
            links.ensure(link, up=True)

    def _mac(self, network: Network) -> str:
        """Return the shim's MAC address: always the same, since containers would not learn of another one."""
        digest = hashlib.sha256(f"{self._host}/{network.name}".encode()).digest()
        return (b"\x02" + digest[:5]).hex(":")

    def _find(self, links: StackedLinks, network: Network) -> Link | None:
        link = links.find(naming.short_name(SHIM, network.name))
        return link if link is not None and link.alias == naming.of_shim(self._host, network.name) else None

    def ensure_route(self, network: Network, endpoint: Endpoint, parent: Link) -> None:
        """Add the host's route to an endpoint, if the host has an address that the endpoint can answer."""
        with self._visits.at_home() as links:
            link = self._find(links, network)
            source = _source(links, network, parent)
            if link is None or source is None:
                return
            there, known = dict(links.host_routes(link)), links.neighbours(link)
            for address in _ipv4(endpoint):
                if known.get(address) != endpoint.mac:
                    links.ensure_neighbour(link, address, endpoint.mac)
                if there.get(address) != source:
                    links.ensure_host_route(link, address, source)

    def remove_route(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the host's route to an endpoint. No error if there is none."""
        with self._visits.at_home() as links:
            link = self._find(links, network)
            if link is not None:
                for address in _ipv4(endpoint):
                    links.delete_host_route(link, address)
                    links.delete_neighbour(link, address)

    def problem(self, network: Network, parent: Link) -> Problem | None:
        """Return the problem that keeps the host from reaching its containers, or None."""
        with self._visits.at_home() as links:
            if _source(links, network, parent) is not None:
                return None
        pools = ", ".join(str(subnet.pool) for subnet in network.subnets if subnet.pool.version == 4)
        why = (
            f"this host has no address in {pools or 'an IPv4 subnet'}, so its containers in {network.name} can't answer"
            f" it: give one to {parent.name}"
        )
        return Problem(network.name, "network", "shim-no-address", why)

    def remove(self, network: Network) -> None:
        """Remove the network's shim with its routes."""
        with self._visits.at_home() as links:
            link = links.find(naming.short_name(SHIM, network.name))
            ours = ("", naming.of_shim(self._host, network.name))
            if link is not None and link.kind == "macvlan" and link.alias in ours:
                links.delete(link)

    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        """Remove shims of other networks than these, and routes to other endpoints; return what was done."""
        names = {network.name for network in networks if network.options.get("shim") == "yes"}
        endpoints = list(wanted)
        said = []
        with self._visits.at_home() as links:
            for link in links.all():
                of = naming.shim_network(self._host, link.alias)
                if link.kind != "macvlan" or not (of or (not link.alias and link.name.startswith(SHIM))):
                    continue
                if of not in names:
                    links.delete(link)
                    said.append(f"removed {link.name}: no macvlan network needs it")
                    continue
                here = {address for end in endpoints if end.network == of for address in _ipv4(end)}
                for address in [to for to, _ in links.host_routes(link) if to not in here]:
                    links.delete_host_route(link, address)
                    links.delete_neighbour(link, address)
                    said.append(f"removed the route to {address} by {link.name}: nothing has that address")
        return said


def _ipv4(endpoint: Endpoint) -> list[IPAddress]:
    return [address.ip for address in endpoint.addresses if address.version == 4]


def _source(links: StackedLinks, network: Network, parent: Link) -> IPAddress | None:
    """Return this host's address in the network's LAN: the parent's, else another interface's."""
    pools = [subnet.pool for subnet in network.subnets if subnet.pool.version == 4]
    found = [
        (index != parent.index, address.ip)
        for index, address in links.addresses()
        if any(address.ip in pool for pool in pools)
    ]
    return min(found, key=lambda each: each[0])[1] if found else None
