# SPDX-License-Identifier: Apache-2.0
"""The bridge layout, as in Docker's overlay: each endpoint has a veth (veths.py), whose inner end is a port of br0 in
the network's namespace (namespaces.py)."""

from collections.abc import Iterable

from fastpath import Segment, TapPort
from fastpath.control.drivers import naming
from fastpath.control.drivers.overlay.namespaces import NetworkNamespaces
from fastpath.control.drivers.overlay.sender_table import SenderTable
from fastpath.control.drivers.overlay.veths import Veths
from fastpath.control.kernel.netlink import Link, StackedLinks, link_fingerprint
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import Endpoint, Network, Sandbox


class BridgeLayout:
    """The veths of this layout, in the networks' namespaces."""

    def __init__(self, host: str, namespaces: NetworkNamespaces, visits: Visits) -> None:
        self._namespaces = namespaces
        self._veths = Veths(host, visits)
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
        visit = self._namespaces.enter(network)
        self._veths.ensure(visit, endpoint, mtu, lambda link: _to_bridge(visit.links, link, network, endpoint))
        return held.port

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """Remove both ends of the veth."""
        visit = self._namespaces.find(network)
        if visit is not None:
            self._veths.remove(visit, endpoint)


def _to_bridge(links: StackedLinks, link: Link, network: Network, endpoint: Endpoint) -> None:
    """Attach an inner end to br0. Of a checked endpoint br0 knows the MAC address, and learns no other one: nobody can
    take over what it receives."""
    links.ensure(link, master=links.get(naming.BRIDGE).index)
    link = links.get(link.name)
    links.ensure_port(link, learning=not network.port_security, flooded=not network.port_security)
    if not links.has_bridge_entry(link, endpoint.mac):
        links.ensure_bridge_entry(link, endpoint.mac)
