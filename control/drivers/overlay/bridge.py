# SPDX-License-Identifier: Apache-2.0
"""The bridge layout, as Docker's overlay has it: a namespace for each network, in it br0 with the gateway's address,
vxlan0 (our TAP), and one end of a veth for each endpoint, whose other end is the sandbox's interface.

The namespace gets its name when it is marked as ours. What is in it is ours by that, whatever step a process was
killed at: a veth comes into being with both ends in place, so there is no third place to look for one.
"""

import secrets

from fastpath import Engine, Segment, TapPort
from fastpath.control.drivers import managed, naming
from fastpath.control.drivers.overlay.direct import discard, ensure_in_sandbox, is_usable, name_taken
from fastpath.control.kernel import netns, sysctl
from fastpath.control.kernel.netlink import Link, Links
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.objects import Endpoint, Network, Sandbox
from fastpath.errors import ConflictError, UsageError


class BridgeLayout:
    """The namespaces of this layout, and the TAP in each."""

    def __init__(self, engine: Engine, host: str, visits: Visits) -> None:
        self._engine = engine
        self._visits = visits
        self._host = host
        self._taps: dict[str, tuple[Sandbox, TapPort]] = {}

    def ensure_network(self, segment: Segment, network: Network, mtu: int) -> TapPort:
        """The network's namespace with br0 and vxlan0; returns the latter's port."""
        visit = self._enter(network)
        held = self._taps.get(network.name)
        if held is not None and (held[0] != visit.sandbox or not is_usable(held[1]) or held[1].vni != segment.vni):
            self._release(network.name)
            held = None
        _ensure_bridge(visit, network, mtu)
        port = held[1] if held is not None else self._open_tap(segment, network, visit, mtu)
        _ensure_tap(visit.links, mtu)
        if not port.persist:
            port.persist = True
        if port.mtu != mtu:
            port.mtu_changed(mtu)
        segment.refresh()
        return port

    def port(self, network: Network) -> TapPort | None:
        """The network's, if it is in order as far as can be told without a look at the namespace."""
        held = self._taps.get(network.name)
        usable = held is not None and is_usable(held[1]) and self._visits.is_alive(held[0])
        return held[1] if held is not None and usable else None

    def held(self, network: Network) -> tuple[Sandbox, TapPort] | None:
        """The network's namespace and port, as `ensure_network` or `take_over` left them."""
        return self._taps.get(network.name)

    def _enter(self, network: Network) -> Visit:
        """Visit the network's namespace, which is made if there is none. Raise ConflictError where its name belongs to
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

    def take_over(self, segment: Segment, network: Network) -> TapPort | None:
        """The network's TAP that an earlier process left, opened and otherwise as it is."""
        held = self._taps.get(network.name)
        if held is not None:
            return held[1]
        path = str(netns.NAMED / naming.namespace_name(self._host, network))
        try:
            visit = self._visits.to(path)
        except UsageError:
            return None
        ours = visit.links.get("lo").alias == naming.of_network(self._host, network.name)
        if not ours or visit.links.find(naming.VXLAN) is None:
            return None
        port = visit.run(lambda: segment.adopt_tap(naming.VXLAN))
        self._taps[network.name] = (visit.sandbox, port)
        return port

    def _open_tap(self, segment: Segment, network: Network, visit: Visit, mtu: int) -> TapPort:
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
        self._taps[network.name] = (visit.sandbox, port)
        return port

    def remove_network(self, network: Network) -> None:
        """The namespace goes, with all that is in it."""
        self.remove_namespace(naming.namespace_name(self._host, network), network.name)

    def remove_namespace(self, name: str, network_name: str) -> bool:
        """Remove a network's namespace if it is there and ours; whether it was."""
        self._release(network_name)
        path = str(netns.NAMED / name)
        mark = naming.of_network(self._host, network_name)
        try:
            links = self._visits.to(path).links
        except UsageError:
            netns.remove_namespace(name)  # a file may be left, of a name half given or half taken away
            return False
        if links.get("lo").alias != mark:
            return False
        for link in links.all():  # the veths' other ends go now, not when the kernel comes round to it
            if link.kind in ("veth", "tun"):
                links.delete(link)
        self._visits.leave(path)
        netns.remove_namespace(name)
        return True

    def holds(self, network_name: str) -> bool:
        """Whether this process has the network's TAP open."""
        return network_name in self._taps

    def release_others(self, wanted: set[str]) -> None:
        """Every TAP of networks that are not wanted goes."""
        for name in self._taps.keys() - wanted:
            self._release(name)

    def _release(self, network_name: str) -> None:
        held = self._taps.pop(network_name, None)
        if held is not None:
            discard(self._engine, held[1])

    def ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> None:
        """The veth between the endpoint's sandbox and br0. What was made is undone on failure."""
        links, sandbox = self._enter(network).links, self._visits.to(endpoint.sandbox)
        alias = naming.of_endpoint(self._host, endpoint.id)
        inner = links.find(naming.veth_name(endpoint))
        outer = _other_end(sandbox.links, endpoint, alias, inner)
        if outer is None:
            inner = _add_veth(links, endpoint, mtu, endpoint.ifname, sandbox.fd)
        try:
            _ensure_inner_end(links, endpoint, alias, mtu)
            link = _other_end(sandbox.links, endpoint, alias, inner)
            if link is None:
                raise ConflictError(f"the interface {endpoint.ifname} in {endpoint.sandbox.path} was deleted meanwhile")
            ensure_in_sandbox(sandbox, link, endpoint, mtu, alias)
        except BaseException:
            if outer is None:
                self.remove_endpoint(network, endpoint)
            raise

    def ensure_placed(self, network: Network, endpoint: Endpoint, mtu: int) -> None:
        """The same for an endpoint whose manager places the veth's other end."""
        links, home = self._enter(network).links, self._visits.home
        alias = naming.of_endpoint(self._host, endpoint.id)
        place = managed.find(self._visits, self._host, endpoint)
        if place is None:
            managed.check_lost(endpoint)
            name = naming.source_name(endpoint)
            if (half := home.links.find(name)) is not None:  # made, but not marked
                home.links.delete(half)
            _add_veth(links, endpoint, mtu, name, home.fd)
            place = managed.Place(None, home.links.ensure(home.links.get(name), alias=alias))
        _ensure_inner_end(links, endpoint, alias, mtu)
        managed.ensure(self._visits, place, mtu)

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """The veth goes, both ends."""
        try:
            links = self._visits.to(str(netns.NAMED / naming.namespace_name(self._host, network))).links
        except UsageError:
            return
        if links.get("lo").alias == naming.of_network(self._host, network.name):
            _delete(links, naming.veth_name(endpoint))


def _prepare(mark: str) -> None:
    """A new namespace, before it gets its name."""
    with Links() as links:
        links.ensure(links.get("lo"), alias=mark, up=True)
    sysctl.ensure("ipv6/conf/default/disable_ipv6", 1)  # nothing but br0 has addresses here
    for family in ("iptables", "ip6tables", "arptables"):  # a bridge that asks the packet filter is slow
        sysctl.ensure(f"bridge/bridge-nf-call-{family}", 0)


def _delete(links: Links, name: str) -> None:
    link = links.find(name)
    if link is not None:
        links.delete(link)


def _ensure_bridge(visit: Visit, network: Network, mtu: int) -> None:
    links = visit.links
    link = links.find(naming.BRIDGE) or links.add_bridge(naming.BRIDGE)
    link = links.ensure(link, mac=naming.gateway_mac(network), mtu=mtu)
    links.limit_super_frames(link, mtu)
    if any(subnet.gateway.version == 6 for subnet in network.subnets):
        visit.set_sysctl(f"ipv6/conf/{naming.BRIDGE}/disable_ipv6", 0)
    links.ensure_addresses(link, naming.gateway_addresses(network))
    links.ensure(link, up=True)


def _ensure_tap(links: Links, mtu: int) -> None:
    link = links.get(naming.VXLAN)
    link = links.ensure(link, mtu=mtu, master=links.get(naming.BRIDGE).index)
    links.limit_super_frames(link, mtu)
    links.ensure(link, up=True)


def _other_end(links: Links, endpoint: Endpoint, alias: str, inner: Link | None) -> Link | None:
    """Return the sandbox's end of this veth, if it has one. One that lost its other end, with the network's namespace,
    goes now: the kernel takes its time. Raise ConflictError where the name belongs to something else."""
    pair = (inner.peer, inner.index) if inner is not None else None
    there = links.all()
    ours = next((link for link in there if (link.index, link.peer) == pair and link.alias in ("", alias)), None)
    for link in [link for link in there if link.alias == alias and link != ours]:
        links.delete(link)
        there.remove(link)
    if any(link.name == endpoint.ifname for link in there if link != ours):
        raise name_taken(endpoint)
    return ours


def _add_veth(links: Links, endpoint: Endpoint, mtu: int, other: str, target: int) -> Link:
    """Make both ends at once, the `other` one in `target`. One that was there without another end makes room."""
    name = naming.veth_name(endpoint)
    _delete(links, name)
    return links.add_veth(name, mtu, other, endpoint.mac, target)


def _ensure_inner_end(links: Links, endpoint: Endpoint, alias: str, mtu: int) -> None:
    link = links.get(naming.veth_name(endpoint))
    link = links.ensure(link, alias=alias, mtu=mtu, master=links.get(naming.BRIDGE).index)
    links.limit_super_frames(link, mtu)
    links.ensure(link, up=True)
