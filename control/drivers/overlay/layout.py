# SPDX-License-Identifier: Apache-2.0
"""The interface of a layout, which connects a network's segment with the sandboxes of its endpoints on this host."""

from collections.abc import Iterable
from typing import Protocol

from fastpath import Engine, Segment, TapPort
from fastpath.control.drivers import settings
from fastpath.control.kernel import sysctl
from fastpath.control.kernel.netlink import Link, Links
from fastpath.control.kernel.visit import Visit
from fastpath.control.model.objects import Endpoint, Network
from fastpath.errors import ConflictError


class Layout(Protocol):
    """The layouts of direct.py, bridge.py and penned.py. All methods are called within a pass."""

    def take_over(self, segment: Segment, network: Network, endpoint: Endpoint) -> TapPort | None:
        """Open the TAP that an earlier process left for the endpoint, without any other change."""

    def ensure_network(self, segment: Segment, network: Network, mtu: int) -> None:
        """Create what the network needs before it has endpoints."""

    def check_senders(self, network: Network, endpoints: Iterable[Endpoint]) -> None:
        """Let the kernel check what these endpoints, the network's on this host, send where the engine cannot. Raise
        RefusedError."""

    def fingerprint(self, network: Network, endpoint: Endpoint) -> bytes:
        """Return the fingerprint of an endpoint's interfaces outside its sandbox."""

    def ensure_endpoint(self, segment: Segment, network: Network, endpoint: Endpoint, mtu: int) -> TapPort:
        """Create, take over or repair the endpoint's interface, and return the port for its frames. Undo everything on
        failure."""

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the endpoint's interface. No error if it, or its sandbox, is gone already."""


def is_usable(port: TapPort | None) -> bool:
    """Return whether the port's interface is still there."""
    return port is not None and not port.removed and not port.gone and port.read_mac() is not None


def discard(engine: Engine, port: TapPort, *, keep_interface: bool = False) -> None:
    """Remove a port and its interface, in any namespace, unless the interface should stay. No error if either is
    gone."""
    if port.removed:
        return
    if not keep_interface and is_usable(port):
        port.persist = False
    engine.segments[port.vni].remove_port(port)


class TapPorts(dict[str, TapPort]):
    """The ports of a layout that has a TAP for each endpoint, by the endpoint's id."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def release(self, identity: str, *, keep_interface: bool = False) -> None:
        """Close an endpoint's port, if there is one, and remove its interface unless it should stay."""
        port = self.pop(identity, None)
        if port is not None:
            discard(self._engine, port, keep_interface=keep_interface)

    def release_others(self, wanted: set[str]) -> None:
        """Remove every TAP of endpoints that are not wanted."""
        for identity in self.keys() - wanted:
            self.release(identity)

    def release_network(self, segment: Segment) -> None:
        """Remove every TAP on the segment."""
        for identity, port in list(self.items()):
            if port.removed or port.vni == segment.vni:
                self.release(identity)


def ensure_in_sandbox(visit: Visit, link: Link, endpoint: Endpoint, mtu: int, alias: str) -> None:
    """Set name, alias, addresses and MTU of a sandbox's interface, of either layout, and bring it up."""
    links = visit.links
    link = links.ensure(link, name=endpoint.ifname, alias=alias, mac=endpoint.mac, mtu=mtu)
    links.limit_super_frames(link, mtu)
    if any(address.version == 6 for address in endpoint.addresses):
        visit.set_sysctl(f"ipv6/conf/{link.name}/disable_ipv6", 0)
    visit.run(lambda: settings.apply(settings.IN_SANDBOX, link.name, sysctl.ensure))
    links.ensure_addresses(link, endpoint.addresses)
    links.ensure(link, up=True)


def check_name(links: Links, endpoint: Endpoint, ours: Link | None) -> None:
    """Raise ConflictError if another interface than `ours` has the name that the endpoint's interface shall have."""
    there = links.find(endpoint.ifname)
    if there is not None and (ours is None or there.index != ours.index):
        raise _name_taken(endpoint)


def _name_taken(endpoint: Endpoint) -> ConflictError:
    """Return the error for a sandbox that has another interface of the endpoint's name."""
    return ConflictError(f"an interface named {endpoint.ifname} exists already in {endpoint.sandbox.path}")
