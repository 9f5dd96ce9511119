# SPDX-License-Identifier: Apache-2.0
"""The actual state of this host: segments, interfaces, gateways, and the engine's tables. All methods are called from
one thread, compare the state with the plan, and change what differs. Nothing here waits for the store."""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from fastpath import Port
from fastpath.addresses import IPAddress
from fastpath.control.drivers import managed
from fastpath.control.drivers.base import HostDriver
from fastpath.control.drivers.kernel_network import KernelNetwork, Reach
from fastpath.control.host.network_sync import EngineEntry, NetworkSync, entry_for
from fastpath.control.host.port_security import secure
from fastpath.control.kernel import announce, netns
from fastpath.control.kernel.netlink import changes
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import NOWHERE, Endpoint, Network, Peer
from fastpath.control.model.problem import Problem, problem_of
from fastpath.control.runtime.descriptors import check_room
from fastpath.errors import ConflictError, FastpathError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NetworkPlan:
    """The desired state of a network on this host: a snapshot that no other thread changes. `complete`: every endpoint
    of it that the store has could be read."""

    network: Network
    mtu: int
    endpoints: tuple[Endpoint, ...]
    peers: Mapping[str, Peer]
    complete: bool = True


@dataclass
class Outcome:
    """The result of a pass over a network: endpoints whose interface is there for the first time (`made`), endpoints
    whose interface is gone for good (`removed`), and failures, by id or the subject of a problem of the network."""

    repairs: int = 0
    made: list[Endpoint] = field(default_factory=list)
    removed: list[Endpoint] = field(default_factory=list)
    failed: dict[str, Problem] = field(default_factory=dict)


@dataclass
class _Here:
    """A network that this host takes part in. `sync` is None if the engine has no part in it; `ensured`: everything
    that containers need was there once. `mtus`: with which MTU each endpoint's interface was made or looked at."""

    network: Network
    sync: NetworkSync | None
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    ensured: bool = False
    mtus: dict[str, int] = field(default_factory=dict)


class HostState:
    """Changes this host for the reconciler. The driver that a network names does the work for it. `kernel_mtu`
    returns the longest packet, in bytes, that a host can be sent by the kernel path; 0: none. It is told how to find
    out whether an earlier process sent some."""

    def __init__(
        self,
        host: str,
        drivers: Mapping[str, HostDriver],
        visits: Visits | None = None,
        kernel_mtu: Callable[[str, Callable[[], bool]], int] = lambda _, __: 0,
    ) -> None:
        self._host = host
        self._kernel_mtu = kernel_mtu
        self._visits = visits if visits is not None else Visits()  # shared with the drivers
        self._drivers = drivers
        self._here: dict[str, _Here] = {}

    def networks_here(self) -> set[str]:
        """Return the names of the networks that this host has."""
        return set(self._here)

    def endpoints_here(self) -> dict[str, set[str]]:
        """Return the ids of the endpoints that have an interface on this host, by network."""
        return {name: set(here.endpoints) for name, here in self._here.items()}

    def dead_endpoints(self) -> list[Endpoint]:
        """Return endpoints here whose sandbox is gone. Raise RefusedError if that is unknown at present."""
        return [e for here in self._here.values() for e in here.endpoints.values() if not netns.is_named(e.sandbox)]

    def sync_of(self, name: str) -> NetworkSync | None:
        """Return the NetworkSync of a network, or None."""
        here = self._here.get(name)
        return here.sync if here is not None else None

    def refused_addresses(self, name: str) -> set[IPAddress]:
        """Return the addresses of a network that somebody behind a port of this host used lately without being
        allowed to."""
        sync = self.sync_of(name)
        try:
            return set(sync.segment.refused_addresses) if sync is not None else set()
        except ConflictError:
            return set()  # the segment was removed meanwhile

    def check_network(self, network: Network) -> None:
        """Raise FastpathError if this host could not have endpoints of a network that is about to be created."""
        self._driver(network).check(network)

    def own_mac(self, network: Network) -> str | None:
        """Return the MAC address of an endpoint that requests none; None if it is derived from its IP address."""
        return self._driver(network).own_mac(network)

    def take_over(self, plan: NetworkPlan) -> None:
        """Let frames flow again for the interfaces that an earlier process left. The rest is for `reconcile`, which
        takes far longer and reports problems. Raise FastpathError."""
        with self._visits:
            self._take_over(plan)

    def _take_over(self, plan: NetworkPlan) -> None:
        self._check_vni(plan.network)
        driver = self._driver(plan.network)
        segment = driver.segment(plan.network)
        if segment is None:
            return  # its frames never stopped
        sync = NetworkSync(segment, driver.kernel_network(plan.network))
        here = self._here[plan.network.name] = _Here(plan.network, sync)
        self._program(here, plan)
        local = [e for e in plan.endpoints if e.host == self._host and e.state != "leaving"]
        for endpoint in local:
            with self._visits.part(), contextlib.suppress(FastpathError, OSError):
                alive = endpoint.manager or self._visits.is_alive(endpoint.sandbox)
                check_room()
                port = driver.take_over(plan.network, endpoint) if alive else None
                if port is not None:
                    if plan.network.layout == "direct":
                        secure(plan.network, [(endpoint, port)], None)
                    elif not here.ports:  # all share it
                        secure(plan.network, [(e, port) for e in local], driver.gateway_port(plan.network))
                    here.ports[endpoint.id], here.endpoints[endpoint.id] = port, endpoint
        self._program(here, plan)  # their ports are known only now

    def reconcile(self, plan: NetworkPlan, only: Set[str] | None = None) -> Outcome:
        """Reconcile one network and everything that belongs to it. With `only`, other local endpoints that were in
        order are not checked: a check takes some ms, and a host may have hundreds of endpoints."""
        with self._visits:
            return self._reconcile(plan, only)

    def _reconcile(self, plan: NetworkPlan, only: Set[str] | None) -> Outcome:
        new = plan.network.name not in self._here
        here = self._ensure_network(plan)
        if new:
            self._program(here, plan)
        outcome = Outcome()
        local = {e.id: e for e in plan.endpoints if e.host == self._host}
        failed: dict[str, Problem] = {}
        for endpoint in [e for identity, e in here.endpoints.items() if identity not in local]:
            try:
                self._drop(here, endpoint)
            except (FastpathError, OSError) as error:
                failed[endpoint.id] = _failure(endpoint, error)
        for endpoint in local.values():
            if only is not None and endpoint.id not in only and endpoint.id in here.endpoints:
                continue
            try:
                self._reconcile_endpoint(here, plan, endpoint, outcome)
            except (FastpathError, OSError) as error:
                failed[endpoint.id] = _failure(endpoint, error)
        gone = {e.id for e in outcome.removed}
        if here.sync is not None:
            entries = {i: entry for i, entry in self._entries(here, plan).items() if i not in gone}
            repairs = here.sync.sync(entries)
            if repairs and not new:
                log.info("the engine's tables of %s were put right, in %d places", plan.network.name, repairs)
            outcome.repairs += repairs
            self._close(here, plan)
            failed = here.sync.failed | failed
        self._secure(here)
        problems = self._driver(plan.network).problems(plan.network)
        codes, name = {problem.code for problem in problems}, plan.network.name
        outcome.failed = {
            i: replace(why, scope=name, text=f"endpoint {i} of {name}: {why.text}")
            for i, why in failed.items()
            if why.code not in codes  # a problem of the network is reported once
        }
        outcome.failed |= {problem.subject: problem for problem in problems}
        if not here.endpoints and gone:
            self.remove_network(plan.network.name)
        return outcome

    def carries(self, network: Network) -> bool:
        """Return whether frames to new endpoints of the network may come by the kernel path."""
        return self._driver(network).carries(network)

    def ensure_kernel_path(self) -> int:
        """Make the kernel path what all networks want, after all were reconciled. Return the number of repairs."""
        return sum([driver.ensure_kernel_path() for driver in self._drivers.values()])

    def ensure_endpoint(self, plan: NetworkPlan, endpoint: Endpoint) -> None:
        """Create the network, one local endpoint, and its entries in the engine. Other endpoints are programmed only if
        the network is new here: else the engine knows them. Raise FastpathError and leave nothing if that fails."""
        known = self._here.get(plan.network.name)
        with self._visits:
            here = self._ensure_network(plan)
            self._ensure(here, plan, endpoint)
        failed = self._program(here, plan if here is not known else replace(plan, endpoints=(endpoint,)))
        if endpoint.id in failed:
            raise ConflictError(failed[endpoint.id].text)

    def announce(self, endpoints: Collection[Endpoint]) -> None:
        """Tell the neighbours of these endpoints of this host where their addresses are now, from their interfaces."""
        with self._visits:
            for endpoint in endpoints:
                with self._visits.part():
                    try:
                        self._announce(endpoint)
                    except (FastpathError, OSError) as error:  # it is being removed, or was renamed by its container
                        log.debug("endpoint %s is not announced: %s", endpoint.id, error)

    def _announce(self, endpoint: Endpoint) -> None:
        name = endpoint.ifname
        if endpoint.manager:
            place = managed.find(self._visits, self._host, endpoint)
            if place is None or place.within is None:
                return
            name = place.link.name
        addresses = [address.ip for address in endpoint.addresses]
        self._visits.to(endpoint.sandbox).run(lambda: announce.send(name, endpoint.mac, addresses))

    def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Remove one local endpoint's interface. No error if there is none."""
        here = self._here.get(endpoint.network)
        if here is not None:
            self._drop(here, endpoint)
            self._secure(here)  # others may share its port

    def set_endpoints(self, name: str, endpoints: Mapping[str, Endpoint | None], peers: Mapping[str, Peer]) -> None:
        """Program the current state of endpoints of other hosts (None: gone). Raise ConflictError if the engine
        refuses one; the others are programmed."""
        here = self._here[name]
        failed: dict[str, Problem] = {}
        if here.sync is not None:
            failed = here.sync.update(
                {i: self._entry(here, end, peers) if end is not None else None for i, end in endpoints.items()}
            )
        if failed:
            identity, why = next(iter(failed.items()))
            raise ConflictError(f"endpoint {identity} of {name}: {why.text}")

    def remove_network(self, name: str) -> None:
        """Remove all that this host has of a network."""
        here = self._here.get(name)
        if here is None:
            return
        with self._visits:
            for endpoint in list(here.endpoints.values()):
                with self._visits.part():
                    self._drop(here, endpoint)
            self._driver(here.network).remove_network(here.network)
        del self._here[name]

    def ensure_gateway(self) -> bool:
        """Repair the gateway, the outbound path of this host's containers. Return whether endpoints have to be
        ensured, too."""
        changed = [driver.ensure_gateway() for driver in self._drivers.values()]  # every one
        return any(changed)

    def follow_way_out(self) -> bool:
        """Let the gateway follow the host's routes. Return whether endpoints have to be ensured, too."""
        changed = [driver.follow_way_out() for driver in self._drivers.values()]  # every one
        return any(changed)

    def gateway_problems(self) -> list[Problem]:
        """Return what is wrong with the gateway, as `ensure_gateway` found it."""
        return [problem for driver in self._drivers.values() for problem in driver.gateway_problems()]

    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        """Remove what an earlier process left and nothing needs; return what was done."""
        wanted, networks = list(wanted), list(networks)
        return [said for driver in self._drivers.values() for said in driver.remove_strays(wanted, networks)]

    def _driver(self, network: Network) -> HostDriver:
        return self._drivers[network.driver]

    def _ensure_network(self, plan: NetworkPlan) -> _Here:
        """Let the driver ensure a network, after a look for conflicts, and remember it with its segment."""
        name = plan.network.name
        here = self._here.get(name)
        if here is not None and here.network.fixed() != plan.network.fixed():
            log.warning("the network %s was changed in the store: creating it again here", name)
            self.remove_network(name)
            here = None
        self._check_vni(plan.network)
        driver = self._driver(plan.network)
        segment = driver.ensure_network(plan.network, plan.mtu)
        driver.check_senders(plan.network, [e for e in plan.endpoints if e.host == self._host])
        if here is None:
            here = self._here[name] = _Here(plan.network, NetworkSync(segment) if segment is not None else None)
        if here.sync is not None:
            here.sync.kernel = driver.kernel_network(plan.network)
        if here.ensured:  # containers come first, and a host may have hundreds of networks
            driver.ensure_resolver(plan.network, plan.mtu)
        here.ensured, here.network = True, plan.network
        return here

    def _check_vni(self, network: Network) -> None:
        """Raise ConflictError if another network has the VNI: the first one removed would take the other's segment."""
        for other in [here.network for here in self._here.values()]:
            if other.vni == network.vni and network.vni is not None and other.name != network.name:
                raise ConflictError(f"the networks {network.name} and {other.name} both have the VNI {network.vni}")

    def _reconcile_endpoint(self, here: _Here, plan: NetworkPlan, endpoint: Endpoint, outcome: Outcome) -> None:
        with self._visits.part():  # a sandbox is left before the next one is entered
            self._bring_about(here, plan, endpoint, outcome)

    def _bring_about(self, here: _Here, plan: NetworkPlan, endpoint: Endpoint, outcome: Outcome) -> None:
        if endpoint.manager and endpoint.state == "joining":
            self._reconcile_joining(here, plan, endpoint, outcome)
            return
        if endpoint.state == "leaving" or not self._visits.is_alive(endpoint.sandbox):
            if endpoint.state != "leaving":
                log.info("the sandbox %s of endpoint %s is gone: removing it", endpoint.sandbox.path, endpoint.id)
            self._drop(here, endpoint)
            outcome.removed.append(endpoint)
            return
        known = here.endpoints.get(endpoint.id)
        complete = known is not None and known.place() == endpoint.place() and here.mtus.get(endpoint.id) == plan.mtu
        with changes.recorded() as made:
            self._ensure(here, plan, endpoint)
        if complete and made:
            told = "somebody changed %s of endpoint %s (%s) in %s; it was put back: %s"
            log.info(told, endpoint.ifname, endpoint.id, endpoint.label, endpoint.network, "; ".join(made))
            outcome.repairs += len(made)
        carried = self._is_carried(here, endpoint)
        if endpoint.state == "joining" or carried != endpoint.kernel_path:
            outcome.made.append(endpoint.model_copy(update={"kernel_path": carried}))

    def _is_carried(self, here: _Here, endpoint: Endpoint) -> bool:
        """Return whether frames to the endpoint may come by the kernel path now."""
        kernel = here.sync.kernel if here.sync is not None else None
        return kernel is not None and kernel.on and endpoint.id in kernel.places

    def _reconcile_joining(self, here: _Here, plan: NetworkPlan, endpoint: Endpoint, outcome: Outcome) -> None:
        """Create the interface that a manager is about to place, or wait for it."""
        if endpoint.sandbox == NOWHERE:
            return
        self._ensure(here, plan, endpoint)
        place = managed.find(self._visits, self._host, endpoint)
        if place is not None and place.within is not None:
            carried = self._is_carried(here, endpoint)
            outcome.made.append(endpoint.model_copy(update={"sandbox": place.within, "kernel_path": carried}))

    def _ensure(self, here: _Here, plan: NetworkPlan, endpoint: Endpoint) -> None:
        """Let the driver ensure one interface, and remember it with its port."""
        if endpoint.id not in here.endpoints:
            check_room()
        port = self._driver(plan.network).ensure_endpoint(plan.network, endpoint, plan.mtu)
        if port is not None:
            here.ports[endpoint.id] = port
        here.endpoints[endpoint.id], here.mtus[endpoint.id] = endpoint, plan.mtu
        self._secure(here, endpoint)

    def _secure(self, here: _Here, endpoint: Endpoint | None = None) -> None:
        """Set what the ports may send: all of them, or the one of an endpoint. Other hosts send what their ports may,
        but version 0.1 checks nothing, and only members are known to be ours."""
        if here.sync is not None:
            segment = here.sync.segment
            segment.hosts_only = here.network.port_security and segment.members_only
        alone = endpoint is not None and here.network.layout == "direct"
        ids = [endpoint.id] if endpoint is not None and alone else list(here.ports)
        ports = [(here.endpoints[i], here.ports[i]) for i in ids if i in here.ports and i in here.endpoints]
        gateway = self._driver(here.network).gateway_port(here.network)
        secure(here.network, ports, gateway)
        if gateway is not None:
            gateway.label = here.network.name
        for each, port in ports:  # in the layout bridge all share one
            port.label = each.label if here.network.layout == "direct" else here.network.name

    def _close(self, here: _Here, plan: NetworkPlan) -> None:
        """Say whether the engine knows all addresses of the network. It does where only endpoints may send, from
        addresses that the store knows, and only peers. Routers' addresses may be anybody's."""
        if here.sync is None:
            return
        network = plan.network
        if here.sync.failed or not plan.complete or not network.port_security or not here.sync.segment.members_only:
            here.sync.close(None)
        else:
            routers = (*network.kept, *(subnet.gateway for subnet in network.subnets))
            here.sync.close((subnet.pool for subnet in network.subnets), routers)

    def _drop(self, here: _Here, endpoint: Endpoint) -> None:
        if here.sync is not None:
            here.sync.set(endpoint.id, None)
        self._driver(here.network).remove_endpoint(here.network, endpoint)
        here.endpoints.pop(endpoint.id, None)
        here.mtus.pop(endpoint.id, None)
        here.ports.pop(endpoint.id, None)

    def _program(self, here: _Here, plan: NetworkPlan) -> dict[str, Problem]:
        """Program the plan's endpoints, and return what the engine refused. This comes before the interfaces: a
        container whose first ARP request gets no answer repeats it only after a second."""
        return here.sync.update(self._entries(here, plan)) if here.sync is not None else {}

    def _entries(self, here: _Here, plan: NetworkPlan) -> dict[str, EngineEntry]:
        """Return what the engine should know of the network, by endpoint."""
        found = {e.id: entry for e in plan.endpoints if (entry := self._entry(here, e, plan.peers)) is not None}
        port = self._driver(plan.network).gateway_port(plan.network)
        if port is not None:
            # Every host has the gateway, with the same MAC address: it is here, whatever other hosts send.
            gateways = tuple(subnet.gateway for subnet in plan.network.subnets)
            found["gateway"] = EngineEntry(plan.network.gateway_mac, gateways, port=port)
        return found

    def _entry(self, here: _Here, endpoint: Endpoint, peers: Mapping[str, Peer]) -> EngineEntry | None:
        port = here.ports.get(endpoint.id)
        entry = entry_for(endpoint, self._host, peers, port if port is not None and not port.removed else None)
        if entry is None or here.sync is None or here.sync.kernel is None:
            return entry
        return replace(entry, reach=self._reach(here.network, here.sync.kernel, endpoint, entry))

    def _reach(self, network: Network, kernel: KernelNetwork, endpoint: Endpoint, entry: EngineEntry) -> Reach | None:
        """Return how the kernel path reaches an endpoint; None: the engine alone does."""
        senders = frozenset((*entry.addresses, *(address.ip for address in endpoint.allowed)))
        checked = senders if network.port_security else None
        if entry.vtep is None:
            place = kernel.places.get(endpoint.id)
            return Reach(entry.mac, checked, place) if place is not None and entry.port is not None else None
        if not endpoint.kernel_path:
            return None
        mtu = self._kernel_mtu(endpoint.host, lambda: kernel.sends_to(entry.mac))
        return Reach(entry.mac, checked, vtep=entry.vtep, mtu=mtu)


def _failure(endpoint: Endpoint, error: FastpathError | OSError) -> Problem:
    log.debug("endpoint %s of %s fails", endpoint.id, endpoint.network, exc_info=error)
    return problem_of(endpoint.network, endpoint.id, error)
