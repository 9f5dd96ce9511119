# SPDX-License-Identifier: Apache-2.0
"""The overlay driver: interfaces and namespaces of the overlay's networks and endpoints on this host
(docs/operators/overlay.md).

Every method reaches its result from any state: nothing is there, everything, or the rest from a killed process. All
methods are for one thread at a time, and not for the event loop's thread.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from fastpath import Engine, Port, Segment, TapPort
from fastpath.control.dns.sockets import Sockets
from fastpath.control.drivers import cleanup, naming
from fastpath.control.drivers.base import HostDriver
from fastpath.control.drivers.gateway.bridge import GatewayBridge
from fastpath.control.drivers.gateway.way import Way
from fastpath.control.drivers.kernel_network import KernelNetwork
from fastpath.control.drivers.overlay.bridge import BridgeLayout
from fastpath.control.drivers.overlay.carrier import Carrier
from fastpath.control.drivers.overlay.direct import DirectLayout
from fastpath.control.drivers.overlay.layout import Layout, is_usable
from fastpath.control.drivers.overlay.namespaces import Held, NetworkNamespaces
from fastpath.control.kernel.netlink import fingerprint
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import Endpoint, Network, Sandbox
from fastpath.control.model.problem import Problem, problem_of
from fastpath.errors import ConflictError, FastpathError, RefusedError, UsageError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """An endpoint's desired state, and the fingerprints of its namespaces when it was reached. While both are the same
    there is nothing to do. `way` is the way out."""

    network: Network
    endpoint: Endpoint
    mtu: int
    way: Way | None
    fingerprints: tuple[bytes, ...]


@dataclass
class _Here:
    """The state of a network of this host. `place` is the desired state of the resolver's namespace, with its
    fingerprint when it was reached; `problem` says why there is no resolver, `unchecked` why endpoints can pretend to
    be each other, `uncarried` why it has no kernel path; `internal` are endpoints that need no outbound path."""

    place: tuple[Network, int, bytes] | None = None
    problem: Problem | None = None
    unchecked: Problem | None = None
    uncarried: Problem | None = None
    seen: dict[str, tuple[_Seen, TapPort]] = field(default_factory=dict)
    internal: set[str] = field(default_factory=set)


class Overlay(HostDriver):
    """The networks of driver "overlay" on this host; all marks contain the host's name. Without a gateway, containers
    reach their networks only. With `resolvers`, every network has the namespace of the bridge layout, in which they
    listen; in the direct layout vxlan0 is br0's only port. Without a `carrier` there is no kernel path."""

    def __init__(
        self,
        engine: Engine,
        host: str,
        gateway: GatewayBridge | None = None,
        resolvers: Sockets | None = None,
        *,
        visits: Visits | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        self._visits = visits if visits is not None else Visits()
        self._engine = engine
        self._host = host
        self._gateway = gateway
        self._namespaces = NetworkNamespaces(engine, host, self._visits)
        self._direct = DirectLayout(engine, host, self._visits)
        self._layouts: dict[str, Layout] = {
            "direct": self._direct,
            "bridge": BridgeLayout(host, self._namespaces, self._visits),
        }
        self._carrier = carrier
        self._here: dict[str, _Here] = {}
        self._own_namespace = os.stat("/proc/self/ns/net").st_ino
        self._resolvers = resolvers

    def ensure_gateway(self) -> bool:
        """Repair the gateway bridge, if there is one: somebody may have flushed its rules. The first sandbox that needs
        it creates it. Return whether its sandboxes have to be ensured, too."""
        if self._gateway is None or not self._gateway.exists():
            return False
        if self._gateway.is_idle():
            self._gateway.remove()
            return False
        return self._gateway.ensure()

    def follow_way_out(self) -> bool:
        """Let the gateway bridge, if there is one, follow the host's default routes."""
        return self._gateway is not None and self._gateway.exists() and self._gateway.follow()

    def gateway_problems(self) -> list[Problem]:
        """Return what may keep containers from the outside."""
        return self._gateway.problems if self._gateway is not None else []

    def problems(self, network: Network) -> list[Problem]:
        """Return why there is no resolver, or why senders are not checked. All other failures raise an error."""
        here = self._here.get(network.name)
        found = (here.problem, here.unchecked, here.uncarried) if here is not None else ()
        return [problem for problem in found if problem is not None]

    def gateway_port(self, network: Network) -> Port | None:
        """Return the port of the TAP in the network's namespace, in front of br0."""
        held = self._namespaces.held(network)
        return held.port if held is not None else None

    def segment(self, network: Network) -> Segment:
        """Return the network's segment in the engine."""
        vni = _vni(network)
        segment = self._engine.segments.get(vni)
        if segment is None:
            segment = self._engine.add_segment(vni, members_only=self._engine.known_only)
        segment.initial_allowed = () if network.port_security else None  # who may send is known a moment later
        return segment

    def take_over(self, network: Network, endpoint: Endpoint) -> Port | None:
        """Open the port of the endpoint's interface that an earlier process left; return None if it left none.
        Frames flow from here on; `ensure_endpoint` does the rest."""
        if endpoint.sandbox.inode == self._own_namespace:
            return None
        with self._visits:
            port = None
            if self._carrier is not None:
                port = self._carrier.layout.take_over(self.segment(network), network, endpoint)
            return port or self._layouts[network.layout].take_over(self.segment(network), network, endpoint)

    def kernel_network(self, network: Network) -> KernelNetwork | None:
        """Return the kernel path's part in the network, if it has one; what an earlier process left is taken over."""
        if self._carrier is None:
            return None
        if (known := self._carrier.network(network)) is None:
            with self._visits:
                self._carrier.take_over(network)
                known = self._carrier.network(network)
        return known

    def carries(self, network: Network) -> bool:
        """Return whether frames to new endpoints of the network may come by the kernel path."""
        if self._carrier is None or network.layout != "direct" or network.kernel_path == "off":
            return False
        with self._visits:
            known = self._carrier.network(network)
            return not self._carrier.refusal and (known is None or known.on)

    def ensure_kernel_path(self) -> int:
        """Make the kernel path's maps what all networks want."""
        if self._carrier is None:
            return 0
        with self._visits:
            return self._carrier.sync()

    def ensure_network(self, network: Network, mtu: int) -> Segment:
        """Create the network's segment in the engine, and whatever else its layout needs. `mtu` is the containers'."""
        segment = self.segment(network)
        self._here.setdefault(network.name, _Here())
        with self._visits:
            self._layouts[network.layout].ensure_network(segment, network, mtu)
            self._ensure_kernel_path(network, segment, mtu)
        return segment

    def _ensure_kernel_path(self, network: Network, segment: Segment, mtu: int) -> None:
        """Let the network use the kernel path, if it is to. The engine carries everything where there is none."""
        if self._carrier is None:
            return
        here = self._here[network.name]
        try:
            self._carrier.ensure_network(network, segment, mtu)
            here.uncarried = None
        except RefusedError as error:
            why = f"the engine carries all frames of {network.name} here: {error}"
            here.uncarried = problem_of(network.name, "kernel-path", error, why)

    def _layout(self, network: Network, endpoint: Endpoint) -> Layout:
        """Return the layout that the endpoint's interface has, or is to get."""
        layout = self._layouts[network.layout]
        if self._carrier is None or layout is not self._direct or endpoint.id in self._direct.ports:
            return layout
        penned = self._carrier.layout
        if penned.has(endpoint):
            return penned
        if network.kernel_path == "off" or self._carrier.refusal or self._direct.has(endpoint):
            return layout
        return penned

    def check_senders(self, network: Network, endpoints: Iterable[Endpoint]) -> None:
        """Check what the endpoints send to each other, where they share a port. Containers work without that, less
        safely, so a failure is a problem and no error: kernels may lack nftables for bridges."""
        here = self._here.setdefault(network.name, _Here())
        try:
            with self._visits:
                self._layouts[network.layout].check_senders(network, endpoints)
            here.unchecked = None
        except RefusedError as error:
            why = f"endpoints of {network.name} on this host can pretend to be each other: {error}"
            here.unchecked = problem_of(network.name, "senders", error, why)

    def ensure_resolver(self, network: Network, mtu: int) -> None:
        """Create the namespace of the network's resolver, and its sockets. `problems` reports failures, since
        containers work without a resolver."""
        if self._resolvers is None:
            return
        here = self._here.setdefault(network.name, _Here())
        try:
            with self._visits:
                held = self._ensure_place(here, network, mtu)
                self._resolvers.ensure(network, held.namespace)
            here.problem = None
        except (FastpathError, OSError) as error:
            log.debug("the network %s has no resolver", network.name, exc_info=error)
            why = f"the network {network.name} has no resolver: {error}"
            here.problem = problem_of(network.name, "network", error, why)

    def _ensure_place(self, here: _Here, network: Network, mtu: int) -> Held:
        """Create the namespace of a resolver. It is called for every endpoint in every pass, so comparing fingerprints
        first saves time."""
        held = self._namespaces.held(network)
        if held is not None and network.layout == "bridge":  # the layout created it
            return held
        if held is not None and is_usable(held.port):
            now = (network, mtu, self._fingerprint(held.namespace))
            if now[2] and here.place == now:
                return held
        here.place = None
        held = self._namespaces.ensure(self.segment(network), network, mtu)
        here.place = (network, mtu, self._fingerprint(held.namespace))
        return held

    def remove_network(self, network: Network) -> None:
        """Remove segment and namespace, with the rest of the endpoints."""
        self._here.pop(network.name, None)
        if self._resolvers is not None:
            self._resolvers.remove(network.name)
        if network.layout == "bridge" or self._resolvers is not None:
            with self._visits:
                self._namespaces.remove(network)
        segment = self._engine.segments.get(_vni(network))
        if self._carrier is not None:
            with self._visits:
                self._carrier.remove_network(network, segment)
        if segment is not None:
            self._direct.ports.release_network(segment)
            self._engine.remove_segment(segment)

    def ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> Port:
        """Create the endpoint's interface in its sandbox, and return the port for its frames. `mtu` is the interface's.
        Raise ConflictError, and change nothing, if the sandbox is gone or has another interface of that name."""
        if endpoint.sandbox.inode == self._own_namespace:  # writing to the store must not give access to this host
            raise ConflictError(f"{endpoint.sandbox.path} is this host's own network namespace, not a container's")
        with self._visits:
            if endpoint.manager and not endpoint.sandbox.inode:  # there is no sandbox yet
                return self._ensure_endpoint(network, endpoint, mtu)
            return self._ensure_as_seen(network, endpoint, mtu)

    def _ensure_as_seen(self, network: Network, endpoint: Endpoint, mtu: int) -> Port:
        """Ensure an endpoint, unless everything looks as it did when the endpoint was in order."""
        here = self._here.setdefault(network.name, _Here())
        unstated = endpoint.model_copy(update={"state": "ready"})
        way = self._gateway.way if self._gateway is not None else None
        now = _Seen(network, unstated, mtu, way, self._fingerprints(network, endpoint))
        seen, port = here.seen.pop(endpoint.id, (None, None))
        if seen != now or port is None or not is_usable(port):
            port = self._ensure_endpoint(network, endpoint, mtu)
            if self._fingerprints(network, endpoint) != now.fingerprints:
                return port  # we changed something: the next visit records the fingerprints
        here.seen[endpoint.id] = (now, port)
        return port

    def _fingerprints(self, network: Network, endpoint: Endpoint) -> tuple[bytes, ...]:
        """Return the fingerprints of the namespaces that an endpoint depends on."""
        found = [fingerprint(self._visits.to(endpoint.sandbox).netlink)]
        found.append(self._layout(network, endpoint).fingerprint(network, endpoint))
        if self._gateway is not None:
            found.append(self._gateway.port_fingerprint(endpoint.sandbox))
        return tuple(found)

    def _ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> TapPort:
        """Ensure the way out, then let the layout ensure the interface. Remember endpoints that need no way out."""
        if network.internal or endpoint.manager:
            self._here.setdefault(network.name, _Here()).internal.add(endpoint.id)
        try:
            self._ensure_way_out(network, endpoint)
            layout = self._layout(network, endpoint)
            return layout.ensure_endpoint(self.segment(network), network, endpoint, mtu)
        except BaseException:
            self._leave_gateway(endpoint)
            raise

    def _ensure_way_out(self, network: Network, endpoint: Endpoint) -> None:
        """Connect the sandbox with the gateway bridge, or disconnect it if all its networks are internal."""
        if self._gateway is None or endpoint.manager:  # the manager provides the outbound path
            return
        if not network.internal:
            self._gateway.ensure_sandbox(endpoint.sandbox, avoid=endpoint.ifname)
        elif not self._leads_outside(endpoint.sandbox):
            self._gateway.remove_sandbox(endpoint.sandbox)
        elif self._gateway.has_sandbox(endpoint.sandbox):
            self._gateway.ensure_sandbox(endpoint.sandbox, avoid=endpoint.ifname)

    def _leave_gateway(self, endpoint: Endpoint) -> None:
        """Remove the sandbox's veth to the gateway, unless another endpoint needs it."""
        if self._gateway is not None and not endpoint.manager and not self._leads_outside(endpoint.sandbox):
            self._gateway.remove_sandbox(endpoint.sandbox)

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the interface, and the veth to the gateway with the sandbox's last one. No error if the interface or
        its sandbox is gone already."""
        with self._visits:
            if self._carrier is not None:
                self._carrier.remove_endpoint(network, endpoint)
            self._layouts[network.layout].remove_endpoint(network, endpoint)
            if (here := self._here.get(network.name)) is not None:
                here.internal.discard(endpoint.id)
                here.seen.pop(endpoint.id, None)
            self._leave_gateway(endpoint)

    def _fingerprint(self, namespace: Sandbox) -> bytes:
        """Return the fingerprint of a namespace; empty if the namespace is gone."""
        try:
            return fingerprint(self._visits.to(namespace).netlink)
        except (UsageError, ConflictError):
            return b""

    def _leads_outside(self, where: Sandbox) -> bool:
        """Return whether the sandbox has an endpoint of a network that is not internal."""
        if not self._visits.is_alive(where):
            return False
        there = self._visits.to(where).links.marked(naming.MARK)
        ours = (link for link in there if link.kind != "macvlan")  # they reach the outside by their LAN
        found = {naming.endpoint_id(self._host, link.alias) for link in ours}
        return bool(found.difference({None}, *(here.internal for here in self._here.values())))

    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        """Remove what is ours and nothing needs: what a killed process left incomplete. Return what was done, in
        sentences. It looks into every namespace, so call it once, at the start."""
        with self._visits:
            return self._remove_strays(list(wanted), list(networks))

    def _remove_strays(self, wanted: list[Endpoint], networks: list[Network]) -> list[str]:
        bridged = {n.name for n in networks if n.driver == "overlay" and (n.layout == "bridge" or self._resolvers)}
        self._direct.ports.release_others({endpoint.id for endpoint in wanted})
        self._namespaces.release_others(bridged)
        said = cleanup.remove_half_made_names(self._host)
        for namespace, name in cleanup.network_namespaces(self._host).items():
            if not self._namespaces.holds(name) and cleanup.is_in_use(namespace):
                said.append(f"left the network namespace {namespace}: another process has its {naming.VXLAN} open")
            elif name in bridged:
                here = [endpoint for endpoint in wanted if endpoint.network == name]
                said += cleanup.remove_veths(self._host, namespace, here)
            elif self._namespaces.remove_namespace(namespace, name):
                said.append(f"removed the network namespace {namespace}: nothing needs it")
        if self._carrier is not None:
            said += self._carrier.remove_strays(self._host, wanted)
        said += cleanup.remove_links(self._host, wanted)
        if self._gateway is not None:
            internal = {network.name for network in networks if network.internal or network.driver != "overlay"}
            outside = [e.sandbox for e in wanted if e.network not in internal and not e.manager]
            said += self._gateway.remove_strays(outside)
        return said


def _vni(network: Network) -> int:
    if network.vni is None:
        raise UsageError(f"the network {network.name} has no VNI: it is not one of the overlay's")
    return network.vni
