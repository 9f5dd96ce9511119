# SPDX-License-Identifier: Apache-2.0
"""The layout of the kernel path: the sandbox's interface is a veth, and its inner end and the TAP that leads to the
engine are in the pen (pen.py), joined by programs (docs/kernel-path.md). kernel_network.py programs the maps: without
entries there, the programs drop all.
"""

import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fastpath import Engine, Segment, TapPort
from fastpath.control.drivers import naming
from fastpath.control.drivers.kernel_network import Place
from fastpath.control.drivers.overlay.layout import TapPorts, discard, is_usable
from fastpath.control.drivers.overlay.pen import Pen, ensure_program
from fastpath.control.drivers.overlay.veths import Veths
from fastpath.control.kernel.netlink import Link, filters, link_fingerprint
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.objects import Endpoint, Network

if TYPE_CHECKING:
    from fastpath.kernelpath.path import KernelPath


class PennedLayout:
    """The veths and TAPs of this layout, by endpoint. `path` is called when programs are needed; it may raise
    RefusedError."""

    def __init__(self, engine: Engine, host: str, pen: Pen, path: "Callable[[], KernelPath]", visits: Visits) -> None:
        self._engine = engine
        self._host = host
        self._pen = pen
        self._path = path
        self._visits = visits
        self._veths = Veths(host, visits)
        self.ports = TapPorts(engine)
        self.places: dict[str, Place] = {}

    def take_over(self, segment: Segment, _: Network, endpoint: Endpoint) -> TapPort | None:
        """Open the TAP that an earlier process left, without any other change."""
        port = self.ports.get(endpoint.id)
        visit = self._pen.find() if port is None else None
        if visit is not None and visit.links.find(naming.tap_name(endpoint)) is not None:
            port = self.ports[endpoint.id] = _adopt(segment, visit, endpoint)
            if visit.links.find(naming.veth_name(endpoint)) is not None:
                self._note_place(visit, endpoint)
        return port

    def has(self, endpoint: Endpoint) -> bool:
        """Return whether the endpoint's interfaces are in the pen."""
        if endpoint.id in self.ports:
            return True
        visit = self._pen.find()
        return visit is not None and any(visit.links.find(name) is not None for name in _names(endpoint))

    def ensure_network(self, segment: Segment, network: Network, mtu: int) -> None:
        """Do nothing: the carrier makes the network's vxlan device (carrier.py)."""

    def check_senders(self, network: Network, endpoints: Iterable[Endpoint]) -> None:
        """Do nothing: programs and engine check what is sent."""

    def fingerprint(self, network: Network, endpoint: Endpoint) -> bytes:
        """Return the fingerprint of the endpoint's interfaces in the pen."""
        visit = self._pen.find()
        if visit is None:
            return b""
        found = []
        for name in _names(endpoint):
            link = visit.links.find(name)
            program = filters.attached(visit.netlink, link) if link is not None else None
            if program is None:
                return b""
            found += [link_fingerprint(visit.netlink, name), program.id.to_bytes(4, "big")]
        return b"".join(found)

    def ensure_endpoint(self, segment: Segment, network: Network, endpoint: Endpoint, mtu: int) -> TapPort:
        """Create, take over or repair the endpoint's veth and TAP. Undo everything on failure."""
        visit = self._pen.enter()
        there = visit.links.find(naming.veth_name(endpoint)) is not None
        try:
            port = self._ensure_tap(segment, visit, endpoint, mtu)
            self._veths.ensure(visit, endpoint, mtu, lambda link: ensure_program(visit, link, self._path().from_port))
        except BaseException:
            if not there:
                self.remove_endpoint(network, endpoint)
            raise
        if not port.persist:
            port.persist = True
        segment.refresh()
        self._note_place(visit, endpoint)
        return port

    def _note_place(self, visit: Visit, endpoint: Endpoint) -> None:
        veth, tap = (visit.links.get(name).index for name in _names(endpoint))
        self.places[endpoint.id] = Place(veth, tap)

    def _ensure_tap(self, segment: Segment, visit: Visit, endpoint: Endpoint, mtu: int) -> TapPort:
        port, link = self.ports.get(endpoint.id), visit.links.find(naming.tap_name(endpoint))
        if port is not None and (link is None or not is_usable(port) or port.vni != segment.vni):
            self.ports.release(endpoint.id, keep_interface=link is not None)
            port = None
        if port is None:
            port = _adopt(segment, visit, endpoint) if link is not None else self._make(segment, visit, endpoint, mtu)
            self.ports[endpoint.id] = port
        link = visit.links.get(naming.tap_name(endpoint))
        ensure_program(visit, link, self._path().from_engine)  # before it is up
        # The engine knows a TAP's own address as one behind it.
        alias = naming.of_endpoint(self._host, endpoint.id)
        link = visit.links.ensure(link, alias=alias, mac=endpoint.mac, mtu=mtu)
        visit.links.limit_super_frames(link, mtu)
        visit.links.ensure(link, up=True)
        if port.mtu != mtu:
            port.mtu_changed(mtu)
        return port

    def _make(self, segment: Segment, visit: Visit, endpoint: Endpoint, mtu: int) -> TapPort:
        """Create a TAP and move it into the pen; until it is persistent it vanishes with this process."""
        port = segment.add_tap(f"fp-{secrets.token_hex(5)}", mtu=mtu)
        try:
            home = self._visits.home.links
            home.move(home.get(port.name), visit.fd, visit.sandbox.path, naming.tap_name(endpoint))
        except BaseException:
            discard(self._engine, port)
            raise
        return port

    def remove_endpoint(self, _: Network, endpoint: Endpoint) -> None:
        """Remove veth and TAP. The maps have to be without the endpoint already."""
        self.places.pop(endpoint.id, None)
        self.ports.release(endpoint.id)
        visit = self._pen.find()
        if visit is None:
            return
        self._veths.remove(visit, endpoint)
        link: Link | None = visit.links.find(naming.tap_name(endpoint))
        if link is not None:  # of an earlier process
            visit.links.delete(link)


def _names(endpoint: Endpoint) -> tuple[str, str]:
    return naming.veth_name(endpoint), naming.tap_name(endpoint)


def _adopt(segment: Segment, visit: Visit, endpoint: Endpoint) -> TapPort:
    return visit.run(lambda: segment.adopt_tap(naming.tap_name(endpoint)))
