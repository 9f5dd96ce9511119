# SPDX-License-Identifier: Apache-2.0
"""The gateway: a bridge in the daemon's namespace with a veth to each sandbox (ports.py), and masquerading."""

import ipaddress
import logging
import socket
import time
from dataclasses import replace

from fastpath.control.drivers import naming, settings
from fastpath.control.drivers.gateway import forwarding, rules
from fastpath.control.drivers.gateway.config import BRIDGE, GatewaySettings
from fastpath.control.drivers.gateway.others import Others
from fastpath.control.drivers.gateway.ports import PORT, Ports
from fastpath.control.drivers.gateway.tables import Tables, Unkept
from fastpath.control.drivers.gateway.way import Way, find_way
from fastpath.control.kernel import sysctl
from fastpath.control.kernel.netlink import Link, StackedLinks
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import MIN_MTU_V6, Sandbox
from fastpath.control.model.problem import Problem
from fastpath.errors import ConflictError

log = logging.getLogger("fastpath")

LEAST_CONNECTIONS, SHARE = 1024, 8  # of one container: so much of what the kernel can track
EMPTY_S = 60.0  # without a container the bridge is removed after this time


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
        self._ports = Ports(host, self._given, self._visits, self._tables)
        self._others = Others(BRIDGE)
        self._way: Way | None = None
        self._has_ipv6 = False  # whether containers do
        self._ensured = False
        self._former_gone = False
        self._empty: float | None = None  # since when no container has been there

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
        self._ports.network6 = self._network6
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
            self._ports.ensure_permanent(links, bridge, there)
            self._ports.ensure_table(there)
            self._ensure_forwarding(there)
        self.problems = self._others.ensure(self.way)
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
        body = rules.forwarded(BRIDGE, self._address.network, hidden, self.way, switched=switched)
        self._tables.keep(rules.FORWARDED, body)
        self._tables.keep(rules.CONNECTIONS, rules.connections(BRIDGE, limit))
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

    def is_ours(self) -> bool:
        """Return whether the bridge exists, and is this host's."""
        with self._visits.at_home() as links:
            bridge = links.find(BRIDGE)
            return bridge is not None and bridge.alias == self._alias

    def is_idle(self) -> bool:
        """Return whether no container has been at the bridge for some time."""
        with self._visits.at_home() as links:
            bridge = links.find(BRIDGE)
            used = any(self._ports.is_port(link, bridge) for link in links.all())
        now = time.monotonic()
        if used:
            self._empty = None
        elif self._empty is None:
            self._empty = now
        return self._empty is not None and now - self._empty >= EMPTY_S

    def has_sandbox(self, where: Sandbox) -> bool:
        """Return whether the sandbox has its veth."""
        return self._ports.has(where)

    def port_fingerprint(self, where: Sandbox) -> bytes:
        """Return the fingerprint of the bridge's end of the sandbox's veth."""
        return self._ports.fingerprint(where)

    def ensure_sandbox(self, where: Sandbox, *, avoid: str = "") -> None:
        """Create the sandbox's veth, with the bridge if there is none. See Ports.ensure."""
        with self._visits:
            links = self._visits.home.links
            self._visits.to(where)  # a sandbox that is gone needs no bridge
            bridge = links.find(BRIDGE)
            if bridge is None or bridge.alias != self._alias or not self._ensured:  # the rules name all ports
                self.ensure()
                bridge = links.get(BRIDGE)
            self._ports.ensure(bridge, where, avoid=avoid, mtu=self.way.mtu)

    def remove_sandbox(self, where: Sandbox) -> None:
        """Remove the veth. No error if it is gone already."""
        self._ports.remove(where)

    def remove_strays(self, wanted: list[Sandbox]) -> list[str]:
        """Remove the veths of sandboxes that are not wanted; return which."""
        return self._ports.remove_strays(wanted)

    def remove(self) -> None:
        """Remove everything: veths, bridge, rules, and the forwarding that we switched on."""
        self.remove_strays([])
        with self._visits.at_home() as links:
            bridge = links.find(BRIDGE)
            if bridge is not None and bridge.alias not in ("", self._alias):
                return  # its rules are another daemon's
            forwarding.restore(link.name for link in links.all())
            if bridge is not None:
                links.delete(bridge)
        for table in rules.TABLES:
            self._tables.release(table)
        self._others.remove()
        self._ensured, self._has_ipv6, self._empty, self.problems = False, False, None, []
        self._ports.network6 = None
