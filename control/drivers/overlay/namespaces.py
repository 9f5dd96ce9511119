# SPDX-License-Identifier: Apache-2.0
"""The namespaces of networks: each has br0 with the gateway's addresses, and vxlan0, a TAP that leads into the segment.
In the bridge layout it has the endpoints' veths, too; in the direct layout it is for the resolver only.

A namespace gets its name after its mark. So everything in it is ours, at whatever step a process was killed.
"""

import secrets
from dataclasses import dataclass

from fastpath import Engine, Segment, TapPort
from fastpath.control.drivers import cleanup, naming
from fastpath.control.drivers.overlay.layout import discard, is_usable
from fastpath.control.kernel import netns, sysctl
from fastpath.control.kernel.netlink import Links, StackedLinks
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.objects import Network, Sandbox
from fastpath.errors import ConflictError, UsageError


@dataclass(frozen=True)
class Held:
    """A network's namespace, and the port of the TAP in it."""

    namespace: Sandbox
    port: TapPort


class NetworkNamespaces:
    """The namespaces of this host's networks."""

    def __init__(self, engine: Engine, host: str, visits: Visits) -> None:
        self._engine = engine
        self._visits = visits
        self._host = host
        self._held: dict[str, Held] = {}

    def ensure(self, segment: Segment, network: Network, mtu: int) -> Held:
        """Create or repair the network's namespace with br0 and vxlan0."""
        visit = self.enter(network)
        held = self._held.get(network.name)
        if held is not None and not (
            held.namespace == visit.sandbox and is_usable(held.port) and held.port.vni == segment.vni
        ):
            self._release(network.name)
            held = None
        _ensure_bridge(visit, network, mtu)
        if held is None:
            held = self._open_tap(segment, network, visit, mtu)
        port = held.port
        _ensure_tap(visit.links, network, mtu)
        if not port.persist:
            port.persist = True
        if port.mtu != mtu:
            port.mtu_changed(mtu)
        segment.refresh()
        return held

    def usable(self, network: Network) -> Held | None:
        """Return the network's namespace and port, if both seem in order without a look into the namespace."""
        held = self._held.get(network.name)
        return held if held is not None and is_usable(held.port) and self._visits.is_alive(held.namespace) else None

    def held(self, network: Network) -> Held | None:
        """Return the network's namespace and port, as `ensure` or `take_over` left them."""
        return self._held.get(network.name)

    def enter(self, network: Network) -> Visit:
        """Visit the network's namespace, and create it if there is none. Raise ConflictError if its name belongs to
        something else."""
        name = naming.namespace_name(self._host, network)
        path, mark = str(netns.NAMED / name), naming.of_network(self._host, network.name)
        try:
            visit = self._visits.to(path)
        except UsageError:
            netns.ensure_namespace(name, lambda: _prepare(mark))
            visit = self._visits.to(path)
        if visit.links.get("lo").alias != mark:
            raise ConflictError(f"the network namespace {name} is not fastpath's: rename it (ip netns), or the network")
        return visit

    def find(self, network: Network) -> Visit | None:
        """Visit the network's namespace, if there is one and it is ours."""
        try:
            visit = self._visits.to(str(netns.NAMED / naming.namespace_name(self._host, network)))
        except UsageError:
            return None
        return visit if visit.links.get("lo").alias == naming.of_network(self._host, network.name) else None

    def take_over(self, segment: Segment, network: Network) -> TapPort | None:
        """Open the network's TAP that an earlier process left, without any other change."""
        held = self._held.get(network.name)
        if held is None:
            visit = self.find(network)
            if visit is None or visit.links.find(naming.VXLAN) is None:
                return None
            port = visit.run(lambda: segment.adopt_tap(naming.VXLAN))
            held = self._held[network.name] = Held(visit.sandbox, port)
        return held.port

    def _open_tap(self, segment: Segment, network: Network, visit: Visit, mtu: int) -> Held:
        if visit.links.find(naming.VXLAN) is not None:
            port = visit.run(lambda: segment.adopt_tap(naming.VXLAN))
        else:
            port = segment.add_tap(f"fp-{secrets.token_hex(5)}", mtu=mtu)
            try:
                links = self._visits.home.links
                links.move(links.get(port.name), visit.fd, visit.sandbox.path, naming.VXLAN)
            except BaseException:
                discard(self._engine, port)
                raise
        held = self._held[network.name] = Held(visit.sandbox, port)
        return held

    def remove(self, network: Network) -> None:
        """Remove the network's namespace, with everything in it."""
        self.remove_namespace(naming.namespace_name(self._host, network), network.name)

    def remove_namespace(self, name: str, network_name: str) -> bool:
        """Remove a network's namespace if it exists and is ours; return whether it was."""
        self._release(network_name)
        return cleanup.remove_namespace(self._visits, self._host, name, network_name)

    def holds(self, network_name: str) -> bool:
        """Return whether this process has the network's TAP open."""
        return network_name in self._held

    def release_others(self, wanted: set[str]) -> None:
        """Release every TAP of networks that are not wanted."""
        for name in self._held.keys() - wanted:
            self._release(name)

    def _release(self, network_name: str) -> None:
        held = self._held.pop(network_name, None)
        if held is not None:
            discard(self._engine, held.port)


def _prepare(mark: str) -> None:
    """Prepare a new namespace, before it gets its name."""
    with Links() as links:
        links.ensure(links.get("lo"), alias=mark, up=True)
    sysctl.ensure("ipv6/conf/default/disable_ipv6", 1)  # nothing but br0 has addresses here
    for family in ("iptables", "ip6tables", "arptables"):  # a bridge that calls the packet filter is slow
        sysctl.ensure(f"bridge/bridge-nf-call-{family}", 0)


def _ensure_bridge(visit: Visit, network: Network, mtu: int) -> None:
    links = visit.links
    link = links.find(naming.BRIDGE)
    if link is None:
        link = links.add_bridge(naming.BRIDGE)
        links.ignore_groups(link)  # nor does it announce itself as a listener then, which is flooded
    link = links.ensure(link, mac=network.gateway_mac, mtu=mtu)
    links.limit_super_frames(link, mtu)
    if any(subnet.gateway.version == 6 for subnet in network.subnets):
        visit.set_sysctl(f"ipv6/conf/{naming.BRIDGE}/disable_ipv6", 0)
    links.ensure_addresses(link, naming.gateway_addresses(network))
    links.ensure(link, up=True)


def _ensure_tap(links: StackedLinks, network: Network, mtu: int) -> None:
    """Attach vxlan0 to br0. Of checked endpoints br0 knows all MAC addresses: what comes from other hosts must not
    change where those of this host are."""
    links.ensure(links.get(naming.VXLAN), mtu=mtu, master=links.get(naming.BRIDGE).index)
    link = links.get(naming.VXLAN)
    links.ensure_port(link, learning=not network.port_security, flooded=True)
    links.limit_super_frames(link, mtu)
    links.ensure(link, up=True)
