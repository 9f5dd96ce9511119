# SPDX-License-Identifier: Apache-2.0
"""The gateway: a bridge in the daemon's namespace with a veth to each sandbox, and masquerading.

A sandbox's address is kept in the ifalias of the veth's end at the bridge, whose name contains the sandbox's inode. So
no other record is needed, and a veth that vanishes with its sandbox frees its address.

Nothing that a container sends changes what the bridge or the host knows: the MAC addresses are derived from the IP
addresses, and the bridge's entries and the host's neighbours are permanent.
"""

import ipaddress
import logging
import socket
import time
from dataclasses import dataclass, replace

from fastpath.addresses import IPAddress
from fastpath.control.drivers import naming, settings
from fastpath.control.drivers.gateway import forwarding, others, rules
from fastpath.control.drivers.gateway.tables import PortTable, Tables, Unkept
from fastpath.control.drivers.gateway.way import Way, find_way
from fastpath.control.kernel import sysctl
from fastpath.control.kernel.netlink import Link, StackedLinks, link_fingerprint
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.objects import MIN_MTU_V6, IPInterface, Sandbox
from fastpath.control.model.problem import Problem
from fastpath.errors import ConflictError

log = logging.getLogger("fastpath")

BRIDGE = "fp-gwbridge"
NAMES = 100
PORT = "fpgw"  # followed by digits of a sandbox's inode
DEFAULT_ADDRESS = ipaddress.IPv4Interface("172.30.0.1/16")
LEAST_CONNECTIONS, SHARE = 1024, 8  # of one container: so much of what the kernel can track
EMPTY_S = 60.0  # without a container the bridge is removed after this time


@dataclass(frozen=True)
class GatewaySettings:
    """The settings of the bridge. `address` and `address6` are its own, each with the subnet (`address6` None: no
    IPv6), `masquerade6` says whether containers leave with the host's IPv6 address, `connections` is the limit for one
    container (None: a share of what the kernel tracks). `underlay` and `family` are of the VTEP, for hosts without a
    default route."""

    address: ipaddress.IPv4Interface = DEFAULT_ADDRESS
    address6: ipaddress.IPv6Interface | None = None
    masquerade6: bool = True
    connections: int | None = None
    underlay: str | None = None
    family: int = socket.AF_INET


class GatewayBridge:
    """The bridge in the daemon's namespace, for one thread at a time. `visits` are those of the present pass; `tables`
    keeps the rules."""

    def __init__(
        self,
        host: str,
        given: GatewaySettings | None = None,
        visits: Visits | None = None,
        tables: Tables | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._visits = visits if visits is not None else Visits()
        self._tables = tables if tables is not None else Unkept()
        self._host = host
        self._given = given if given is not None else GatewaySettings()
        self._address = self._given.address
        self._alias = naming.of_gateway(host)
        self._ports = PortTable(self._tables, PORT)
        self._way: Way | None = None
        self._has_ipv6 = False  # whether containers do
        self._ensured = False
        self._former_gone = False
        self._empty: float | None = None  # since when no container has been there
        # By the name of the bridge's end; kept so that a new sandbox does not require a look at all others.
        self._taken: dict[str, ipaddress.IPv4Address] | None = None

    @property
    def way(self) -> Way:
        """The way out, as it was at the last look. It has no interface for IPv6 where containers have no IPv6."""
        if self._way is None:
            self._look()
        assert self._way is not None  # noqa: S101  # by _look
        return self._way

    @property
    def _network6(self) -> ipaddress.IPv6Network | None:
        """The subnet of containers' IPv6 addresses, if they have any."""
        return self._given.address6.network if self._given.address6 is not None and self._has_ipv6 else None

    def _look(self) -> bool:
        """Look where the way out is; return whether it changed."""
        with self._visits:
            links = self._visits.home.links
            bridge = links.find(BRIDGE)
            before, given = self._way, self._given
            way = find_way(links, bridge.index if bridge is not None else 0, given.underlay, given.family)
            if given.address6 is not None and bridge is not None:
                # Containers keep what they have if the way goes: so they are told at once that there is none.
                self._has_ipv6 |= given.address6 in {address for _, address in links.addresses(bridge)}
        if given.address6 is None or way.mtu < MIN_MTU_V6 or sysctl.read(forwarding.ALL6) is None:
            way = replace(way, ipv6=())
        self._way, self._has_ipv6 = way, way.mtu >= MIN_MTU_V6 and (self._has_ipv6 or bool(way.ipv6))
        return before not in (None, way)

    def ensure(self) -> bool:
        """Create the bridge, its addresses, its rules, and forwarding. Return whether the way out changed, so that the
        sandboxes have to be ensured, too. Raise ConflictError if the subnet is in use."""
        changed = self._look()
        self._ensure()
        return changed

    def follow(self) -> bool:
        """Do the same if the way out changed; else repair forwarding alone, which takes far less time."""
        changed = self._look()
        if changed:
            self._ensure()
        else:
            with self._visits.at_home() as links:
                self._ensure_forwarding(links.all())
        return changed

    def _ensure(self) -> None:
        with self._visits:
            links = self._visits.home.links
            bridge = self._ensure_bridge(links)
            there = links.all()
            self._ensure_permanent(links, bridge, there)
            self._ports.set({link.name: a for link in there if (a := self._address_of(link))}, self._network6)
            self._ensure_forwarding(there)
        self.problems = others.ensure(BRIDGE, self.way)
        if self._ports.problem is not None:
            self.problems.append(self._ports.problem)
        self._ensured = True

    def _ensure_forwarding(self, there: list[Link]) -> None:
        interfaces = [link.name for link in there if not link.name.startswith(PORT)]
        switched = forwarding.ensure(BRIDGE, self.way.ipv4, interfaces, ipv6=self._has_ipv6)
        limit = self._given.connections
        if limit is None:
            most = sysctl.read("netfilter/nf_conntrack_max") or 0
            limit = max(LEAST_CONNECTIONS, most // SHARE)
        hidden = self._network6 if self._given.masquerade6 else None
        body = rules.forwarded(BRIDGE, self._address.network, hidden, self.way, switched=switched, limit=limit)
        self._tables.keep(rules.FORWARDED, body)
        if not self._former_gone:
            self._tables.release(rules.FORMER)
            self._former_gone = True

    def _ensure_bridge(self, links: StackedLinks) -> Link:
        link = links.find(BRIDGE)
        if link is not None and (link.kind != "bridge" or link.alias not in ("", self._alias)):
            raise ConflictError(
                f"an interface named {BRIDGE} exists already, and is not the gateway bridge of {self._host}: remove it "
                f"(ip link del {BRIDGE}), unless another daemon runs here"
            )
        self._check_subnet(links, link)
        link = links.ensure(link or links.add_bridge(BRIDGE), alias=self._alias)
        settings.apply(settings.OF_BRIDGE, BRIDGE, self._visits.home.set_sysctl)
        if link.mac != (mac := naming.mac_of(self._address.ip)):  # new, or of an older version
            links.ignore_groups(link)
            link = links.ensure(link, mac=mac)
        link = links.ensure(link, mtu=self.way.mtu)
        links.ensure_addresses(link, [self._address])
        self._visits.home.set_sysctl(f"ipv6/conf/{BRIDGE}/disable_ipv6", 0 if self._has_ipv6 else 1)
        if self._given.address6 is not None and self._has_ipv6:
            links.ensure_addresses(link, [self._given.address6])
        return links.ensure(link, up=True)

    def _ensure_permanent(self, links: StackedLinks, bridge: Link, there: list[Link]) -> None:
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
        if self._network6 is None:
            return [address]
        return [address, naming.gateway_address6(self._network6, address)]

    def _address_of(self, link: Link) -> ipaddress.IPv4Address | None:
        address = naming.gateway_address(self._host, link.alias)
        return address if address is not None and address in self._address.network else None

    def _check_subnet(self, links: StackedLinks, bridge: Link | None) -> None:
        own = {4: self._address.network, 6: self._network6}
        for route in [*links.routes(), *(links.routes(socket.AF_INET6) if self._network6 is not None else ())]:
            network = own[route.dst.version]
            ours = bridge is not None and route.oif == bridge.index
            if not ours and route.dst.prefixlen > 0 and network is not None and network.overlaps(route.dst):
                raise ConflictError(
                    f"the gateway's subnet {network} overlaps this host's route to {route.dst}: "
                    "choose another address for the gateway bridge"
                )

    def exists(self) -> bool:
        """Return whether the bridge exists."""
        with self._visits:
            return self._visits.home.links.find(BRIDGE) is not None

    def is_idle(self) -> bool:
        """Return whether no container has been at the bridge for some time."""
        with self._visits.at_home() as links:
            bridge = links.find(BRIDGE)
            used = any(self._is_port(link, bridge) for link in links.all())
        now = time.monotonic()
        if used:
            self._empty = None
        elif self._empty is None:
            self._empty = now
        return self._empty is not None and now - self._empty >= EMPTY_S

    def has_sandbox(self, where: Sandbox) -> bool:
        """Return whether the sandbox has its veth."""
        with self._visits:
            return self._visits.home.links.find(_port_name(where)) is not None

    def port_fingerprint(self, where: Sandbox) -> bytes:
        """Return the fingerprint of the bridge's end of the sandbox's veth."""
        with self._visits:
            return link_fingerprint(self._visits.home.netlink, _port_name(where))

    def ensure_sandbox(self, where: Sandbox, *, avoid: str = "") -> None:
        """Create the sandbox's veth to the bridge, its address, and a default route if it has none. The interface gets
        the next free name ethN, N from 1, but not `avoid`. Undo everything on failure."""
        new = False
        with self._visits:
            links, visit = self._visits.home.links, self._visits.to(where)
            bridge = links.find(BRIDGE)
            if bridge is None or bridge.alias != self._alias or not self._ensured:  # the rules name all ports
                self.ensure()
                bridge = links.get(BRIDGE)
            name, mtu = _port_name(where), self.way.mtu
            port = links.find(name)
            address = (self._address_of(port) if port is not None else None) or self._free_address(links, name)
            if port is None or _inner_end(visit.links, port) is None:
                if port is not None:  # somebody moved its other end away
                    links.delete(port)
                new = True
                port = links.add_veth(name, mtu, _free_name(visit.links, avoid), naming.mac_of(address), visit.fd)
            try:
                self._ensure_port(links, port, bridge, address, mtu)
                self._ensure_inner_end(visit, port, address, avoid)
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
        self._ports.add(port.name, address, self._network6)
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
        address = address or self._ports.address(name) or (self._taken or {}).get(name)
        if address is not None and bridge is not None and bridge.alias == self._alias:
            for each in self._all_addresses(address):
                links.delete_neighbour(bridge, each)
            self._ports.drop(name, self._network6)
        if self._taken is not None:
            self._taken.pop(name, None)

    def _ensure_inner_end(self, visit: Visit, port: Link, address: ipaddress.IPv4Address, avoid: str) -> None:
        links = visit.links
        link = _inner_end(links, port)
        if link is None:
            raise ConflictError("the sandbox's interface to the gateway bridge was deleted meanwhile")
        name = _free_name(links, avoid) if link.name == avoid else None
        link = links.ensure(link, name=name, alias=self._alias, mac=naming.mac_of(address), mtu=self.way.mtu)
        visit.run(lambda: settings.apply(settings.OF_INNER_END, link.name, sysctl.ensure))
        gateways: list[IPInterface] = [self._address]
        if self._given.address6 is not None and self._network6 is not None and _has_ipv6(visit, link):
            gateways.append(self._given.address6)
        own = zip(self._all_addresses(address), gateways, strict=False)
        links.ensure_addresses(link, [ipaddress.ip_interface(f"{each}/{by.network.prefixlen}") for each, by in own])
        links.ensure(link, up=True)
        for gateway in gateways:
            links.ensure_default_route(gateway.ip, link)

    def remove_sandbox(self, where: Sandbox) -> None:
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
            strays = [link for link in links.all() if self._is_port(link, bridge) and link.name not in names]
            for link in strays:
                self._delete(links, link)
        return [f"removed {link.name} from the gateway bridge: nothing needs it" for link in strays]

    def _is_port(self, link: Link, bridge: Link | None) -> bool:
        if link.kind != "veth" or not link.name.startswith(PORT):
            return False
        marked = naming.gateway_address(self._host, link.alias) is not None
        return marked or (not link.alias and bridge is not None and bridge.alias == self._alias)

    def remove(self) -> None:
        """Remove everything: veths, bridge, rules, and the forwarding that we switched on."""
        self.remove_strays([])
        with self._visits.at_home() as links:
            bridge = links.find(BRIDGE)
            if bridge is None or bridge.alias not in ("", self._alias):
                return
            forwarding.restore(link.name for link in links.all())
            links.delete(bridge)
        for table in (rules.FORWARDED, rules.PORTS):
            self._tables.release(table)
        others.remove(BRIDGE)
        self._ensured, self._has_ipv6, self._empty, self.problems = False, False, None, []


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
