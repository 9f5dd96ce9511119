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
from fastpath.control.model.objects import Endpoint, Network, Sandbox
from fastpath.errors import ConflictError


class BridgeLayout:
    """The namespaces of this layout, and the TAP in each."""

    def __init__(self, engine: Engine, host: str) -> None:
        self._engine = engine
        self._host = host
        self._taps: dict[str, tuple[Sandbox, TapPort]] = {}

    def ensure_network(self, segment: Segment, network: Network, mtu: int) -> TapPort:
        """The network's namespace with br0 and vxlan0; returns the latter's port."""
        namespace = self._namespace(network)
        held = self._taps.get(network.name)
        if held is not None and (held[0] != namespace or not is_usable(held[1]) or held[1].vni != segment.vni):
            self._release(network.name)
            held = None
        netns.inside(namespace, lambda: _ensure_bridge(network, mtu))
        port = held[1] if held is not None else self._open_tap(segment, network, namespace, mtu)
        netns.inside(namespace, lambda: _ensure_tap(mtu))
        if not port.persist:
            port.persist = True
        if port.mtu != mtu:
            port.mtu_changed(mtu)
        segment.refresh()
        return port

    def port(self, network: Network) -> TapPort | None:
        """The network's, if it is in order as far as can be told without a look at the namespace."""
        held = self._taps.get(network.name)
        usable = held is not None and is_usable(held[1]) and netns.is_alive(held[0])
        return held[1] if held is not None and usable else None

    def held(self, network: Network) -> tuple[Sandbox, TapPort] | None:
        """The network's namespace and port, as `ensure_network` or `take_over` left them."""
        return self._taps.get(network.name)

    def _namespace(self, network: Network) -> Sandbox:
        """Raises ConflictError where its name belongs to something else."""
        name = naming.namespace_name(self._host, network)
        mark = naming.of_network(self._host, network.name)
        namespace = netns.ensure_namespace(name, lambda: _prepare(mark))
        if netns.inside(namespace, _mark) != mark:
            raise ConflictError(f"the network namespace {name} is not fastpath's: rename it (ip netns), or the network")
        return namespace

    def take_over(self, segment: Segment, network: Network) -> TapPort | None:
        """The network's TAP that an earlier process left, opened and otherwise as it is."""
        held = self._taps.get(network.name)
        if held is not None:
            return held[1]
        name = naming.namespace_name(self._host, network)
        if not netns.exists(str(netns.NAMED / name)):
            return None
        namespace = netns.resolve(name)

        def adopt() -> TapPort | None:
            with Links() as links:
                ours = links.get("lo").alias == naming.of_network(self._host, network.name)
                there = ours and links.find(naming.VXLAN) is not None
            return segment.adopt_tap(naming.VXLAN) if there else None

        port = netns.inside(namespace, adopt)
        if port is not None:
            self._taps[network.name] = (namespace, port)
        return port

    def _open_tap(self, segment: Segment, network: Network, namespace: Sandbox, mtu: int) -> TapPort:
        def take_over() -> TapPort | None:
            with Links() as links:
                there = links.find(naming.VXLAN) is not None
            return segment.adopt_tap(naming.VXLAN) if there else None

        port = netns.inside(namespace, take_over)
        if port is None:
            port = segment.add_tap(f"fp-{secrets.token_hex(5)}", mtu=mtu)
            try:
                with Links() as links, netns.opened(namespace) as target:
                    links.move(links.get(port.name), target, namespace.path, naming.VXLAN)
            except BaseException:
                discard(self._engine, port)
                raise
        self._taps[network.name] = (namespace, port)
        return port

    def remove_network(self, network: Network) -> None:
        """The namespace goes, with all that is in it."""
        self.remove_namespace(naming.namespace_name(self._host, network), network.name)

    def remove_namespace(self, name: str, network_name: str) -> bool:
        """Remove a network's namespace if it is there and ours; whether it was."""
        self._release(network_name)
        path = str(netns.NAMED / name)
        mark = naming.of_network(self._host, network_name)
        if not netns.exists(path):
            netns.remove_namespace(name)  # a file may be left, of a name half given or half taken away
            return False
        if netns.inside(path, _mark) != mark:
            return False

        def empty() -> None:  # the veths' other ends go now, not when the kernel comes round to it
            with Links() as links:
                for link in links.all():
                    if link.kind in ("veth", "tun"):
                        links.delete(link)

        netns.inside(path, empty)
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
        namespace = self._namespace(network)
        alias = naming.of_endpoint(self._host, endpoint.id)
        inner = netns.inside(namespace, lambda: _find(naming.veth_name(endpoint)))
        outer = netns.inside(endpoint.sandbox, lambda: _other_end(endpoint, alias, inner))
        if outer is None:
            with netns.opened(endpoint.sandbox) as target:
                inner = netns.inside(namespace, lambda: _add_veth(endpoint, mtu, endpoint.ifname, target))

        def complete() -> None:
            link = _other_end(endpoint, alias, inner)
            if link is None:
                raise ConflictError(f"the interface {endpoint.ifname} in {endpoint.sandbox.path} was deleted meanwhile")
            with Links() as links:
                ensure_in_sandbox(links, link, endpoint, mtu, alias)

        try:
            netns.inside(namespace, lambda: _ensure_inner_end(endpoint, alias, mtu))
            netns.inside(endpoint.sandbox, complete)
        except BaseException:
            if outer is None:
                self.remove_endpoint(network, endpoint)
            raise

    def ensure_placed(self, network: Network, endpoint: Endpoint, mtu: int) -> None:
        """The same for an endpoint whose manager places the veth's other end."""
        namespace = self._namespace(network)
        alias = naming.of_endpoint(self._host, endpoint.id)
        place = managed.find(self._host, endpoint)
        if place is None:
            managed.check_lost(endpoint)
            name = naming.source_name(endpoint)
            with Links() as links, netns.opened(netns.OWN) as here:
                if (half := links.find(name)) is not None:  # made, but not marked
                    links.delete(half)
                netns.inside(namespace, lambda: _add_veth(endpoint, mtu, name, here))
                place = managed.Place(None, links.ensure(links.get(name), alias=alias))
        netns.inside(namespace, lambda: _ensure_inner_end(endpoint, alias, mtu))
        managed.ensure(place, mtu)

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """The veth goes, both ends."""
        path = str(netns.NAMED / naming.namespace_name(self._host, network))
        if netns.exists(path) and netns.inside(path, _mark) == naming.of_network(self._host, network.name):
            netns.inside(path, lambda: _delete(naming.veth_name(endpoint)))


def _prepare(mark: str) -> None:
    """A new namespace, before it gets its name."""
    with Links() as links:
        links.ensure(links.get("lo"), alias=mark, up=True)
    sysctl.ensure("ipv6/conf/default/disable_ipv6", 1)  # nothing but br0 has addresses here
    for family in ("iptables", "ip6tables", "arptables"):  # a bridge that asks the packet filter is slow
        sysctl.ensure(f"bridge/bridge-nf-call-{family}", 0)


def _mark() -> str:
    with Links() as links:
        return links.get("lo").alias


def _find(name: str) -> Link | None:
    with Links() as links:
        return links.find(name)


def _delete(name: str) -> None:
    with Links() as links:
        link = links.find(name)
        if link is not None:
            links.delete(link)


def _ensure_bridge(network: Network, mtu: int) -> None:
    mac = naming.gateway_mac(network)
    with Links() as links:
        link = links.find(naming.BRIDGE) or links.add_bridge(naming.BRIDGE)
        link = links.ensure(link, mac=mac, mtu=mtu)
        links.limit_super_frames(link, mtu)
        if any(subnet.gateway.version == 6 for subnet in network.subnets):
            sysctl.ensure(f"ipv6/conf/{naming.BRIDGE}/disable_ipv6", 0)
        links.ensure_addresses(link, naming.gateway_addresses(network))
        links.ensure(link, up=True)


def _ensure_tap(mtu: int) -> None:
    with Links() as links:
        link = links.get(naming.VXLAN)
        link = links.ensure(link, mtu=mtu, master=links.get(naming.BRIDGE).index)
        links.limit_super_frames(link, mtu)
        links.ensure(link, up=True)


def _other_end(endpoint: Endpoint, alias: str, inner: Link | None) -> Link | None:
    """The sandbox's end of this veth, if it has one. One that lost its other end, with the network's namespace, goes
    now: the kernel takes its time. Raises ConflictError where the name belongs to something else."""
    pair = (inner.peer, inner.index) if inner is not None else None
    with Links() as links:
        there = links.all()
        ours = next((link for link in there if (link.index, link.peer) == pair and link.alias in ("", alias)), None)
        for link in [link for link in there if link.alias == alias and link != ours]:
            links.delete(link)
            there.remove(link)
    if any(link.name == endpoint.ifname for link in there if link != ours):
        raise name_taken(endpoint)
    return ours


def _add_veth(endpoint: Endpoint, mtu: int, other: str, target: int) -> Link:
    """Both ends at once, the `other` one in `target`. One that was there without another end makes room."""
    name = naming.veth_name(endpoint)
    _delete(name)
    with Links() as links:
        return links.add_veth(name, mtu, other, endpoint.mac, target)


def _ensure_inner_end(endpoint: Endpoint, alias: str, mtu: int) -> None:
    with Links() as links:
        link = links.get(naming.veth_name(endpoint))
        link = links.ensure(link, alias=alias, mtu=mtu, master=links.get(naming.BRIDGE).index)
        links.limit_super_frames(link, mtu)
        links.ensure(link, up=True)
