# SPDX-License-Identifier: Apache-2.0
"""The direct layout: the sandbox's interface is our TAP.

It is created in the daemon's own namespace and moved, since a TAP that is opened inside a sandbox keeps the sandbox
alive. Until it is complete it vanishes with this process, so that nobody finds an incomplete one; then it is made
persistent. One that an earlier process left has to be opened in the sandbox, which does keep the namespace alive: only
its path shows that such a sandbox is gone (Visits.is_alive).
"""

import secrets
from collections.abc import Iterable

from fastpath import Engine, Segment, TapPort
from fastpath.control.drivers import managed, naming
from fastpath.control.drivers.overlay.layout import TapPorts, check_name, discard, ensure_in_sandbox, is_usable
from fastpath.control.kernel.netlink import Link, Links
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.objects import Endpoint, Network
from fastpath.errors import ConflictError


class DirectLayout:
    """The TAPs of this layout, by endpoint."""

    def __init__(self, engine: Engine, host: str, visits: Visits) -> None:
        self._engine = engine
        self._visits = visits
        self._host = host
        self.ports = TapPorts(engine)

    def take_over(self, segment: Segment, _: Network, endpoint: Endpoint) -> TapPort | None:
        """Open the TAP that an earlier process left under its name, without any other change."""
        port = self.ports.get(endpoint.id)
        if port is None and endpoint.manager:
            place = managed.find(self._visits, self._host, endpoint)
            port = place.adopt(self._visits, segment) if place is not None else None
        elif port is None:
            visit = self._visits.to(endpoint.sandbox)
            link = visit.links.find(endpoint.ifname)
            if link is not None and link.alias == naming.of_endpoint(self._host, endpoint.id) and link.kind == "tun":
                port = visit.run(lambda: segment.adopt_tap(endpoint.ifname))
        if port is not None:
            self.ports[endpoint.id] = port
        return port

    def ensure_network(self, segment: Segment, network: Network, mtu: int) -> None:
        """Do nothing: this layout needs only the segment and the sandboxes."""

    def check_senders(self, network: Network, endpoints: Iterable[Endpoint]) -> None:
        """Do nothing: each endpoint has a port of its own, which the engine checks."""

    def fingerprint(self, network: Network, endpoint: Endpoint) -> bytes:
        """Return nothing: everything is in the sandbox."""
        return b""

    def ensure_endpoint(self, segment: Segment, _: Network, endpoint: Endpoint, mtu: int) -> TapPort:
        """Create, take over or repair the endpoint's TAP. Undo everything on failure."""
        if endpoint.manager:
            return self._ensure_managed(segment, endpoint, mtu)
        return self._ensure_own(segment, endpoint, mtu)

    def _ensure_own(self, segment: Segment, endpoint: Endpoint, mtu: int) -> TapPort:
        """Use the TAP in the sandbox, or create it there."""
        port = self.ports.get(endpoint.id)
        visit = self._visits.to(endpoint.sandbox)
        there = self._find(visit.links, endpoint) is not None
        if port is not None and (not there or not is_usable(port) or port.vni != segment.vni):
            self.ports.release(endpoint.id, keep_interface=there)
            port = None
        if port is None and not there:
            port = self._make(segment, endpoint, mtu, visit)
        try:
            port = self._complete(segment, endpoint, mtu, port, visit)
            if not port.persist:
                port.persist = True
            segment.refresh()
        except BaseException:
            if not there and port is not None:
                discard(self._engine, port)
            raise
        self.ports[endpoint.id] = port
        return port

    def _ensure_managed(self, segment: Segment, endpoint: Endpoint, mtu: int) -> TapPort:
        """Do the same for an endpoint whose manager places the interface: create it in the daemon's namespace, and
        maintain it in either namespace."""
        place = managed.find(self._visits, self._host, endpoint)
        port = self.ports.get(endpoint.id)
        if port is not None and (place is None or not is_usable(port) or port.vni != segment.vni):
            self.ports.release(endpoint.id, keep_interface=place is not None)
            port = None
        if place is None:
            managed.check_lost(endpoint)
            managed.expect(self._visits, endpoint)
            port = segment.add_tap(naming.source_name(endpoint), mtu=mtu)
            try:
                links = self._visits.home.links
                links.change(links.get(port.name), alias=naming.of_endpoint(self._host, endpoint.id), mac=endpoint.mac)
                place = managed.Place(None, links.get(port.name))
                port.persist = True
            except BaseException:
                discard(self._engine, port)
                raise
        elif port is None:
            port = place.adopt(self._visits, segment)
        self.ports[endpoint.id] = port
        managed.ensure(self._visits, place, mtu)
        if port.mtu != mtu:
            port.mtu_changed(mtu)
        segment.refresh()
        return port

    def has(self, endpoint: Endpoint) -> bool:
        """Return whether an earlier process left the endpoint a TAP."""
        if endpoint.manager:
            place = managed.find(self._visits, self._host, endpoint)
            return place is not None and place.link.kind == "tun"
        return self._find(self._visits.to(endpoint.sandbox).links, endpoint) is not None

    def _find(self, links: Links, endpoint: Endpoint) -> Link | None:
        """Return the endpoint's interface in the sandbox, found by its mark under any name. Raise ConflictError if the
        name belongs to something else."""
        alias = naming.of_endpoint(self._host, endpoint.id)
        ours = next((link for link in links.marked(alias) if link.alias == alias and link.kind == "tun"), None)
        check_name(links, endpoint, ours)
        return ours

    def _make(self, segment: Segment, endpoint: Endpoint, mtu: int, visit: Visit) -> TapPort:
        """Create a marked TAP in the sandbox under its final name."""
        port = segment.add_tap(f"fp-{secrets.token_hex(5)}", mtu=mtu)
        try:
            links = self._visits.home.links
            link = links.get(port.name)
            links.change(link, alias=naming.of_endpoint(self._host, endpoint.id), mac=endpoint.mac)
            links.move(link, visit.fd, endpoint.sandbox.path, endpoint.ifname)
        except BaseException:
            discard(self._engine, port)
            raise
        return port

    def _complete(self, segment: Segment, endpoint: Endpoint, mtu: int, port: TapPort | None, visit: Visit) -> TapPort:
        """Add what the TAP still lacks in the sandbox."""
        link = self._find(visit.links, endpoint)
        if link is None:
            raise ConflictError(f"the interface {endpoint.ifname} in {endpoint.sandbox.path} was deleted meanwhile")
        if port is None:
            name = link.name
            port = self.ports[endpoint.id] = visit.run(lambda: segment.adopt_tap(name))
        ensure_in_sandbox(visit, link, endpoint, mtu, naming.of_endpoint(self._host, endpoint.id))
        if port.mtu != mtu:
            port.mtu_changed(mtu)
        return port

    def remove_endpoint(self, _: Network, endpoint: Endpoint) -> None:
        """Remove the TAP from either namespace."""
        self.ports.release(endpoint.id)
        if endpoint.manager:
            managed.delete(self._visits, self._host, endpoint)
            return
        if not self._visits.is_alive(endpoint.sandbox):
            return  # its interfaces went with it
        links = self._visits.to(endpoint.sandbox).links
        alias = naming.of_endpoint(self._host, endpoint.id)
        for link in links.marked(alias):
            if link.alias == alias:
                links.delete(link)
