# SPDX-License-Identifier: Apache-2.0
"""The bridge layout, as in Docker's overlay: each endpoint has a veth. One end is a port of br0 in the network's
namespace (namespaces.py), the other one is the sandbox's interface. A veth is created with both ends in place, so there
is no third place to look for one.
"""

from collections.abc import Iterable

from fastpath import Segment, TapPort
from fastpath.control.drivers import managed, naming
from fastpath.control.drivers.overlay.layout import check_name, ensure_in_sandbox
from fastpath.control.drivers.overlay.namespaces import NetworkNamespaces
from fastpath.control.drivers.overlay.sender_table import SenderTable
from fastpath.control.kernel.netlink import Link, Links, StackedLinks, link_fingerprint
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import Endpoint, Network, Sandbox
from fastpath.errors import ConflictError


class BridgeLayout:
    """The veths of this layout, in the networks' namespaces."""

    def __init__(self, host: str, namespaces: NetworkNamespaces, visits: Visits) -> None:
        self._host = host
        self._namespaces = namespaces
        self._visits = visits
        self._tables: dict[str, tuple[Sandbox, SenderTable]] = {}  # by network

    def take_over(self, segment: Segment, network: Network, _: Endpoint) -> TapPort | None:
        """Open the network's TAP, which all its endpoints share."""
        return self._namespaces.take_over(segment, network)

    def ensure_network(self, segment: Segment, network: Network, mtu: int) -> None:
        """Create or repair the network's namespace."""
        self._namespaces.ensure(segment, network, mtu)

    def check_senders(self, network: Network, endpoints: Iterable[Endpoint]) -> None:
        """Let an nftables table check what the endpoints send to each other (sender_rules.py)."""
        visit = self._namespaces.enter(network)
        known = self._tables.get(network.name)
        if known is None or known[0] != visit.sandbox:
            known = self._tables[network.name] = visit.sandbox, SenderTable()
        known[1].ensure(visit, endpoints if network.port_security else None)

    def fingerprint(self, network: Network, endpoint: Endpoint) -> bytes:
        """Return the fingerprint of the veth's inner end only: `ensure_network` checks the rest, which grows with every
        endpoint."""
        visit = self._namespaces.find(network)
        link = visit.links.find(naming.veth_name(endpoint)) if visit is not None else None
        if visit is None or link is None or not visit.links.has_bridge_entry(link, endpoint.mac):
            return b""
        return link_fingerprint(visit.netlink, link.name)

    def ensure_endpoint(self, segment: Segment, network: Network, endpoint: Endpoint, mtu: int) -> TapPort:
        """Create or repair the veth between the endpoint's sandbox and br0."""
        held = self._namespaces.usable(network) or self._namespaces.ensure(segment, network, mtu)
        if endpoint.manager:
            self._ensure_managed(network, endpoint, mtu)
        else:
            self._ensure_own(network, endpoint, mtu)
        return held.port

    def _ensure_own(self, network: Network, endpoint: Endpoint, mtu: int) -> None:
        """Use the veth that is there, or create it with its other end in the sandbox."""
        links, sandbox = self._namespaces.enter(network).links, self._visits.to(endpoint.sandbox)
        alias = naming.of_endpoint(self._host, endpoint.id)
        inner = links.find(naming.veth_name(endpoint))
        outer = _other_end(sandbox.links, endpoint, alias, inner)
        if outer is None:
            inner = _add_veth(links, endpoint, mtu, endpoint.ifname, sandbox.fd)
        try:
            _ensure_inner_end(links, network, endpoint, mtu, alias)
            link = _other_end(sandbox.links, endpoint, alias, inner)
            if link is None:
                raise ConflictError(f"the interface {endpoint.ifname} in {endpoint.sandbox.path} was deleted meanwhile")
            ensure_in_sandbox(sandbox, link, endpoint, mtu, alias)
        except BaseException:
            if outer is None:
                self.remove_endpoint(network, endpoint)
            raise

    def _ensure_managed(self, network: Network, endpoint: Endpoint, mtu: int) -> None:
        """Do the same for an endpoint whose manager places the veth's other end."""
        links, home = self._namespaces.enter(network).links, self._visits.home
        alias = naming.of_endpoint(self._host, endpoint.id)
        place = managed.find(self._visits, self._host, endpoint)
        if place is None:
            managed.check_lost(endpoint)
            managed.expect(self._visits, endpoint)
            name = naming.source_name(endpoint)
            if (half := home.links.find(name)) is not None:  # created, but not marked
                home.links.delete(half)
            _add_veth(links, endpoint, mtu, name, home.fd)
            place = managed.Place(None, home.links.ensure(home.links.get(name), alias=alias))
        _ensure_inner_end(links, network, endpoint, mtu, alias)
        managed.ensure(self._visits, place, mtu)

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """Remove both ends of the veth."""
        visit = self._namespaces.find(network)
        if visit is not None:
            _delete(visit.links, naming.veth_name(endpoint))


def _delete(links: Links, name: str) -> None:
    link = links.find(name)
    if link is not None:
        links.delete(link)


def _other_end(links: Links, endpoint: Endpoint, alias: str, inner: Link | None) -> Link | None:
    """Return the sandbox's end of this veth, if there is one. Remove an end that lost its other end with the network's
    namespace, since the kernel does so late. Raise ConflictError if the name belongs to something else."""
    ours = links.by_index(inner.peer) if inner is not None else None
    if ours is not None and (inner is None or ours.peer != inner.index or ours.alias not in ("", alias)):
        ours = None
    for link in [link for link in links.marked(alias) if link.alias == alias and link != ours]:
        links.delete(link)
    check_name(links, endpoint, ours)
    return ours


def _add_veth(links: Links, endpoint: Endpoint, mtu: int, other: str, target: int) -> Link:
    """Create both ends at once, the `other` one in `target`. An old end without its other end is replaced."""
    name = naming.veth_name(endpoint)
    _delete(links, name)
    return links.add_veth(name, mtu, other, endpoint.mac, target)


def _ensure_inner_end(links: StackedLinks, network: Network, endpoint: Endpoint, mtu: int, alias: str) -> None:
    """Mark the end in the network's namespace, and attach it to br0. Of a checked endpoint br0 knows the MAC address,
    and learns no other one: nobody can take over what it receives."""
    name = naming.veth_name(endpoint)
    links.ensure(links.get(name), alias=alias, mtu=mtu, master=links.get(naming.BRIDGE).index)
    link = links.get(name)
    links.ensure_port(link, learning=not network.port_security, flooded=not network.port_security)
    if not links.has_bridge_entry(link, endpoint.mac):
        links.ensure_bridge_entry(link, endpoint.mac)
    links.limit_super_frames(link, mtu)
    links.ensure(link, up=True)
