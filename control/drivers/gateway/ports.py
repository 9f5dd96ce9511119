# SPDX-License-Identifier: Apache-2.0
"""The ports of the gateway bridge: the veth of each sandbox, its addresses, and what bridge and host know of it.

A sandbox's address is kept in the ifalias of the veth's end at the bridge, whose name contains the sandbox's inode. So
no other record is needed, and a veth that vanishes with its sandbox frees its address.

Nothing that a container sends changes what the bridge or the host knows: the MAC addresses are derived from the IP
addresses, and the bridge's entries and the host's neighbours are permanent.
"""

import ipaddress
import socket

from fastpath.addresses import IPAddress
from fastpath.control.drivers import naming, settings
from fastpath.control.drivers.gateway.config import BRIDGE, GatewaySettings
from fastpath.control.drivers.gateway.tables import PortTable, Tables
from fastpath.control.kernel import sysctl
from fastpath.control.kernel.netlink import Link, StackedLinks, link_fingerprint
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.objects import IPInterface, Sandbox
from fastpath.control.model.problem import Problem
from fastpath.errors import ConflictError

NAMES = 100
PORT = "fpgw"  # followed by digits of a sandbox's inode


class Ports:
    """The ports of one bridge, for one thread at a time. `network6` is the subnet of containers' IPv6 addresses, if
    they have any."""

    def __init__(self, host: str, given: GatewaySettings, visits: Visits, tables: Tables) -> None:
        self.network6: ipaddress.IPv6Network | None = None
        self._host = host
        self._given = given
        self._address = given.address
        self._alias = naming.of_gateway(host)
        self._visits = visits
        self._table = PortTable(tables, PORT)
        # By the name of the bridge's end; kept so that a new sandbox does not require a look at all others.
        self._taken: dict[str, ipaddress.IPv4Address] | None = None

    @property
    def problem(self) -> Problem | None:
        """Return why source addresses are not checked, or None."""
        return self._table.problem

    def ensure_table(self, there: list[Link]) -> None:
        """Let each of the ports that are there have its addresses, and no others."""
        self._table.set({link.name: a for link in there if (a := self._address_of(link))}, self.network6)

    def has(self, where: Sandbox) -> bool:
        """Return whether the sandbox has its veth."""
        with self._visits:
            return self._visits.home.links.find(_port_name(where)) is not None

    def fingerprint(self, where: Sandbox) -> bytes:
        """Return the fingerprint of the bridge's end of the sandbox's veth."""
        with self._visits:
            return link_fingerprint(self._visits.home.netlink, _port_name(where))

    def ensure(self, bridge: Link, where: Sandbox, *, avoid: str, mtu: int) -> None:
        """Create the sandbox's veth to the bridge, its address, and a default route if it has none. The interface gets
        the next free name ethN, N from 1, but not `avoid`. Undo everything on failure."""
        new = False
        with self._visits:
            links, visit = self._visits.home.links, self._visits.to(where)
            name = _port_name(where)
            port = links.find(name)
            address = (self._address_of(port) if port is not None else None) or self._free_address(links, name)
            if port is None or _inner_end(visit.links, port) is None:
                if port is not None:  # somebody moved its other end away
                    links.delete(port)
                new = True
                port = links.add_veth(name, mtu, _free_name(visit.links, avoid), naming.mac_of(address), visit.fd)
            try:
                self._ensure_port(links, port, bridge, address, mtu)
                self._ensure_inner_end(visit, port, address, avoid, mtu)
            except BaseException:
                if new:
                    self._delete(links, port)
                raise

    def _ensure_port(
        self, links: StackedLinks, port: Link, bridge: Link, address: ipaddress.IPv4Address, mtu: int
    ) -> None:
        """Repair the bridge's end."""
        settings.apply(settings.OF_PORT, port.name, self._visits.home.set_sysctl)
        joined = port.master == bridge.index
        port = links.ensure(port, alias=naming.of_gateway_port(self._host, address), mtu=mtu, master=bridge.index)
        if not port.isolated:
            links.isolate(port)
        if not joined:
            links.ensure_bridge_entry(port, naming.mac_of(address))
            for each in self._all_addresses(address):
                links.ensure_neighbour(bridge, each, naming.mac_of(address))
        self._table.add(port.name, address, self.network6)
        links.ensure(port, up=True)

    def _free_address(self, links: StackedLinks, name: str) -> ipaddress.IPv4Address:
        """Return the sandbox's previous address, or the lowest free one. A sandbox that vanished without us keeps its
        address until all others are taken."""
        for _ in range(2):
            if self._taken is None:
                self._taken = {link.name: a for link in links.all() if (a := self._address_of(link)) is not None}
            if name in self._taken:
                return self._taken[name]
            taken = {self._address.ip, *self._taken.values()}
            for address in self._address.network.hosts():
                if address not in taken:
                    self._taken[name] = address
                    return address
            self._taken = None
        raise ConflictError(f"the gateway's subnet {self._address.network} has no free address: give a larger one")

    def _delete(self, links: StackedLinks, port: Link) -> None:
        links.delete(port)
        self._forget(links, port.name, self._address_of(port))

    def _forget(self, links: StackedLinks, name: str, address: ipaddress.IPv4Address | None) -> None:
        """Forget a port that is gone. `address` is its mark's, if it had one."""
        bridge = links.find(BRIDGE)
        address = address or self._table.address(name) or (self._taken or {}).get(name)
        if address is not None and bridge is not None and bridge.alias == self._alias:
            for each in self._all_addresses(address):
                links.delete_neighbour(bridge, each)
            self._table.drop(name, self.network6)
        if self._taken is not None:
            self._taken.pop(name, None)

    def _ensure_inner_end(self, visit: Visit, port: Link, address: ipaddress.IPv4Address, avoid: str, mtu: int) -> None:
        links = visit.links
        link = _inner_end(links, port)
        if link is None:
            raise ConflictError("the sandbox's interface to the gateway bridge was deleted meanwhile")
        name = _free_name(links, avoid) if link.name == avoid else None
        link = links.ensure(link, name=name, alias=self._alias, mac=naming.mac_of(address), mtu=mtu)
        visit.run(lambda: settings.apply(settings.OF_INNER_END, link.name, sysctl.ensure))
        gateways: list[IPInterface] = [self._address]
        if self._given.address6 is not None and self.network6 is not None and _has_ipv6(visit, link):
            gateways.append(self._given.address6)
        own = zip(self._all_addresses(address), gateways, strict=False)
        links.ensure_addresses(link, [ipaddress.ip_interface(f"{each}/{by.network.prefixlen}") for each, by in own])
        links.ensure(link, up=True)
        for gateway in gateways:
            links.ensure_default_route(gateway.ip, link)

    def ensure_permanent(self, links: StackedLinks, bridge: Link, there: list[Link]) -> None:
        """Repair the bridge's entries and the host's neighbours, and remove those of sandboxes that are gone."""
        ports = {link: a for link in there if (a := self._address_of(link)) and link.master == bridge.index}
        entries = links.bridge_entries(bridge)
        wanted: dict[IPAddress, str] = {}
        for port, address in ports.items():
            mac = naming.mac_of(address)
            if (port.index, mac) not in entries:
                links.ensure_bridge_entry(port, mac)
            wanted |= dict.fromkeys(self._all_addresses(address), mac)
        known = links.neighbours(bridge) | links.neighbours(bridge, socket.AF_INET6)
        for neighbour, mac in wanted.items():
            if known.get(neighbour) != mac:
                links.ensure_neighbour(bridge, neighbour, mac)
        for neighbour in known.keys() - wanted.keys():
            links.delete_neighbour(bridge, neighbour)

    def _all_addresses(self, address: ipaddress.IPv4Address) -> list[IPAddress]:
        """Return a container's addresses at the bridge."""
        if self.network6 is None:
            return [address]
        return [address, naming.gateway_address6(self.network6, address)]

    def _address_of(self, link: Link) -> ipaddress.IPv4Address | None:
        address = naming.gateway_address(self._host, link.alias)
        return address if address is not None and address in self._address.network else None

    def remove(self, where: Sandbox) -> None:
        """Remove the veth. No error if it is gone already."""
        with self._visits.at_home() as links:
            name = _port_name(where)
            port = links.find(name)
            if port is not None:
                self._delete(links, port)
            else:
                self._forget(links, name, None)

    def remove_strays(self, wanted: list[Sandbox]) -> list[str]:
        """Remove the veths of sandboxes that are not wanted; return which."""
        names = {_port_name(where) for where in wanted}
        with self._visits.at_home() as links:
            bridge = links.find(BRIDGE)
            strays = [link for link in links.all() if self.is_port(link, bridge) and link.name not in names]
            for link in strays:
                self._delete(links, link)
        return [f"removed {link.name} from the gateway bridge: nothing needs it" for link in strays]

    def is_port(self, link: Link, bridge: Link | None) -> bool:
        """Return whether the interface is a port of this bridge."""
        if link.kind != "veth" or not link.name.startswith(PORT):
            return False
        marked = naming.gateway_address(self._host, link.alias) is not None
        return marked or (not link.alias and bridge is not None and bridge.alias == self._alias)


def _port_name(where: Sandbox) -> str:
    return f"{PORT}{where.inode:x}"[:15]


def _inner_end(links: StackedLinks, port: Link) -> Link | None:
    """Return the sandbox's end of the veth."""
    link = links.by_index(port.peer)
    return link if link is not None and link.peer == port.index else None


def _has_ipv6(visit: Visit, link: Link) -> bool:
    """Return whether the sandbox wants IPv6 by this interface."""
    return visit.run(lambda: sysctl.read(f"ipv6/conf/{link.name}/disable_ipv6")) == 0


def _free_name(links: StackedLinks, avoid: str) -> str:
    """Return the next free name ethN in the sandbox, as Docker chooses it."""
    for number in range(1, NAMES + 1):
        if (name := f"eth{number}") != avoid and links.find(name) is None:
            return name
    raise ConflictError(f"the sandbox has interfaces of the names eth1 to eth{NAMES}: remove one")
