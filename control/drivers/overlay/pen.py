# SPDX-License-Identifier: Apache-2.0
"""The pen: the namespace of everything that the kernel path's programs sit on (docs/kernel-path.md).

Nothing here has an address, answers ARP or forwards. So what a program does not redirect goes nowhere, and neither udev
nor the host's packet filter sees these interfaces. A namespace gets its name after its mark: all in it is ours.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastpath.addresses import IPAddress
from fastpath.control.drivers import naming
from fastpath.control.kernel import netns, sysctl
from fastpath.control.kernel.netlink import Link, Links, filters
from fastpath.control.kernel.netlink.tunnels import Tunnel, TunnelLinks
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.errors import ConflictError, UsageError

if TYPE_CHECKING:
    from fastpath.kernelpath.programs import Program  # which not every installation has

log = logging.getLogger(__name__)


class Pen:
    """The pen of a host; its methods are for one thread at a time."""

    def __init__(self, host: str, visits: Visits) -> None:
        self._host = host
        self._visits = visits
        self._path = str(netns.NAMED / naming.pen_name(host))

    def enter(self) -> Visit:
        """Visit the pen, and create it if there is none. Raise ConflictError if its name belongs to something else."""
        visit = self.find()
        if visit is None:
            netns.ensure_namespace(naming.pen_name(self._host), lambda: _prepare(naming.of_pen(self._host)))
            visit = self._visits.to(self._path)
        return visit

    def find(self) -> Visit | None:
        """Visit the pen, if there is one."""
        try:
            visit = self._visits.to(self._path)
        except UsageError:
            return None
        if visit.links.get("lo").alias != naming.of_pen(self._host):
            raise ConflictError(f"the network namespace {self._path} is not fastpath's: rename it (ip netns)")
        return visit

    def programs(self) -> dict[str, int]:
        """Return the numbers of the programs that an earlier process attached, by the interface's name."""
        visit = self.find()
        if visit is None:
            return {}
        found = {link.name: filters.attached(visit.netlink, link) for link in visit.links.all()}
        return {name: program.id for name, program in found.items() if program is not None}

    def ensure_tunnel(self, alias: str, tunnel: Tunnel, mtu: int, program: "Program | None") -> int:
        """Create or repair a vxlan device. Return its ifindex, which is another one when it had to be made anew: then
        it knows no addresses. Without a program, what it receives goes nowhere in the pen."""
        visit = self.enter()
        links = TunnelLinks(visit.netlink)
        name = naming.tunnel_name(tunnel.vni)
        link = links.find(name)
        if link is not None and links.tunnel(link) != tunnel:
            links.delete(link)
            link = None
        if link is None:
            TunnelLinks(self._visits.home.netlink).add_tunnel(name, tunnel, mtu, visit.fd)
            link = links.get(name)
        if program is not None:
            ensure_program(visit, link, program)  # before it is up
        link = links.ensure(link, alias=alias, mtu=mtu)
        return links.ensure(link, up=True).index

    def tunnel(self, vni: int) -> int | None:
        """Return the ifindex of the vxlan device of a network; None if there is none."""
        found = self._tunnel_link(vni)
        return found[1].index if found is not None else None

    def set_tunnel_entry(self, vni: int, mac: str, vtep: IPAddress) -> None:
        """Let the vxlan device of a network send frames for a MAC address to a VTEP."""
        if (found := self._tunnel_link(vni)) is not None:
            found[0].set_tunnel_entry(found[1], mac, vtep)

    def delete_tunnel_entry(self, vni: int, mac: str, vtep: IPAddress) -> None:
        """Undo this. No error if there is no such entry, or no device."""
        if (found := self._tunnel_link(vni)) is not None:
            found[0].delete_tunnel_entry(found[1], mac, vtep)

    def ensure_tunnel_entries(self, vni: int, entries: Mapping[str, IPAddress]) -> int:
        """Make the entries of a network's vxlan device these, and none else. Return how many differed."""
        found = self._tunnel_link(vni)
        return found[0].ensure_tunnel_entries(found[1], dict(entries)) if found is not None else 0

    def _tunnel_link(self, vni: int) -> tuple[TunnelLinks, Link] | None:
        visit = self.find()
        link = visit.links.find(naming.tunnel_name(vni)) if visit is not None else None
        return (TunnelLinks(visit.netlink), link) if visit is not None and link is not None else None

    def remove_tunnel(self, vni: int) -> None:
        """Remove the vxlan device of a network, if there is one."""
        visit = self.find()
        link = visit.links.find(naming.tunnel_name(vni)) if visit is not None else None
        if visit is not None and link is not None:
            visit.links.delete(link)

    def is_empty(self) -> bool:
        """Return whether no endpoint and no network needs the pen, or there is none. TAPs that are being closed may
        still be there, and the device for probes."""
        visit, probes = self.find(), naming.tunnel_name(naming.PROBE_VNI)
        links = visit.links.all() if visit is not None else []
        return not any(link.kind in ("veth", "vxlan") and link.name != probes for link in links)

    def remove(self) -> bool:
        """Remove the pen with everything in it: with the filters go programs and maps. Return whether there was one."""
        visit = self.find()
        if visit is not None:
            for link in visit.links.all():  # the kernel would remove them later, not now
                if link.name != "lo":
                    visit.links.delete(link)
            self._visits.leave(self._path)
        netns.remove_namespace(naming.pen_name(self._host))
        return visit is not None


def ensure_program(visit: Visit, link: Link, program: "Program") -> bool:
    """Attach a program to an interface unless the same code is attached already with the same maps, that is by this
    process. Return whether it was. What was up without a program is told: somebody removed it."""
    known = filters.attached(visit.netlink, link)
    if known is not None and known.id == program.id:
        return False
    filters.attach(visit.netlink, link, program.fd, program.name)
    if known is None and link.up:
        log.warning("%s had lost its program, and nothing passed there: it is back", link.name)
    return True


def _prepare(mark: str) -> None:
    """Prepare a new namespace, before it gets its name. Its loopback stays down."""
    with Links() as links:
        links.ensure(links.get("lo"), alias=mark)
    for which in ("all", "default"):
        sysctl.ensure(f"ipv6/conf/{which}/disable_ipv6", 1)
        sysctl.ensure(f"ipv4/conf/{which}/forwarding", 0)
        sysctl.ensure(f"ipv4/conf/{which}/arp_ignore", 8)  # answers for no address
