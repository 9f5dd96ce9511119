# SPDX-License-Identifier: Apache-2.0
"""What this host really has: segments, interfaces, gateways, and what the engine knows. Every method is called
from one thread, compares with the plan, and changes what differs. Nothing here waits for the store."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fastpath import Port
from fastpath.control import sandbox
from fastpath.control.driver import Driver
from fastpath.control.marks import gateway_mac
from fastpath.control.model import Endpoint, Network, Peer
from fastpath.control.peers import Entry, NetworkSync, entry_for
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NetworkPlan:
    """How a network should be on this host: a snapshot that no other thread changes."""

    network: Network
    mtu: int
    endpoints: tuple[Endpoint, ...]
    peers: Mapping[str, Peer]


@dataclass
class Outcome:
    """What a pass over a network came to: endpoints whose interface is there for the first time (`made`), those
    whose interface is gone for good (`removed`), and what failed, by id; "" is the network itself."""

    repairs: int = 0
    made: list[Endpoint] = field(default_factory=list)
    removed: list[Endpoint] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Here:
    """A network that this host takes part in. `sync` None: the engine has no part in it."""

    network: Network
    sync: NetworkSync | None
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)


class HostState:
    """The actual side of the reconciler. A network is the business of the driver that it names."""

    def __init__(self, host: str, drivers: Mapping[str, Driver]) -> None:
        self._host = host
        self._drivers = drivers
        self._here: dict[str, _Here] = {}

    def networks_here(self) -> set[str]:
        """The networks that have a segment on this host."""
        return set(self._here)

    def endpoints_here(self) -> set[str]:
        """The ids of the endpoints that have an interface on this host."""
        return {identity for here in self._here.values() for identity in here.endpoints}

    def dead_endpoints(self) -> list[Endpoint]:
        """Endpoints here whose sandbox is gone. Raises RefusedError where that cannot be told at present."""
        return [e for here in self._here.values() for e in here.endpoints.values() if not sandbox.is_named(e.sandbox)]

    def sync_of(self, name: str) -> NetworkSync | None:
        """What the engine was told of a network."""
        here = self._here.get(name)
        return here.sync if here is not None else None

    def check_network(self, network: Network) -> None:
        """Whether this host could have endpoints of a network that is to be made. Raises FastpathError."""
        self._driver(network).check(network)

    def own_mac(self, network: Network) -> str | None:
        """The MAC address that an endpoint gets where none is asked for, unless it follows from its address."""
        return self._driver(network).own_mac(network)

    def reconcile(self, plan: NetworkPlan) -> Outcome:
        """One network and all that belongs to it."""
        here = self._ensure_network(plan)
        outcome = Outcome()
        local = {e.id: e for e in plan.endpoints if e.host == self._host}
        for endpoint in [e for identity, e in here.endpoints.items() if identity not in local]:
            self._drop(here, endpoint)
        for endpoint in local.values():
            try:
                self._reconcile_endpoint(here, plan, endpoint, outcome)
            except (FastpathError, OSError) as error:
                outcome.failed[endpoint.id] = f"endpoint {endpoint.id} of {plan.network.name}: {error}"
        gone = {e.id for e in outcome.removed}
        if here.sync is not None:
            wanted = {i: entry for i, entry in self._entries(here, plan).items() if i not in gone}
            outcome.repairs = here.sync.sync(wanted)
        if (problem := self._driver(plan.network).problem(plan.network)) is not None:
            others = {identity: why for identity, why in outcome.failed.items() if not why.endswith(problem)}
            outcome.failed = {"": problem, **others}
        if not here.endpoints and gone:
            self.remove_network(plan.network.name)
        return outcome

    def ensure_endpoint(self, plan: NetworkPlan, endpoint: Endpoint) -> None:
        """One local endpoint. Raises FastpathError, and then nothing is left of it."""
        here = self._ensure_network(plan)
        self._ensure(here, plan, endpoint)
        if here.sync is not None:
            for identity, entry in self._entries(here, plan).items():  # all: the network may be new here
                here.sync.set(identity, entry)

    def remove_endpoint(self, endpoint: Endpoint) -> None:
        """One local endpoint's interface, also where there is none."""
        here = self._here.get(endpoint.network)
        if here is not None:
            self._drop(here, endpoint)

    def set_endpoints(self, name: str, endpoints: Mapping[str, Endpoint | None], peers: Mapping[str, Peer]) -> None:
        """These endpoints, which are not local, are so now (None: gone)."""
        here = self._here[name]
        if here.sync is not None:
            for identity, endpoint in endpoints.items():
                here.sync.set(identity, self._entry(here, endpoint, peers) if endpoint is not None else None)

    def remove_network(self, name: str) -> None:
        """This host no longer takes part in the network."""
        here = self._here.get(name)
        if here is None:
            return
        for endpoint in list(here.endpoints.values()):
            self._drop(here, endpoint)
        self._driver(here.network).remove_network(here.network)
        del self._here[name]

    def ensure_gateway(self) -> None:
        """The way out of this host's containers."""
        for driver in self._drivers.values():
            driver.ensure_gateway()

    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        """What a predecessor left that nobody wants."""
        wanted, networks = list(wanted), list(networks)
        return [said for driver in self._drivers.values() for said in driver.remove_strays(wanted, networks)]

    def _driver(self, network: Network) -> Driver:
        return self._drivers[network.driver]

    def _ensure_network(self, plan: NetworkPlan) -> _Here:
        name = plan.network.name
        here = self._here.get(name)
        if here is not None and here.network != plan.network:
            log.warning("the network %s was changed in the store: it is made anew here", name)
            self.remove_network(name)
            here = None
        segment = self._driver(plan.network).ensure_network(plan.network, plan.mtu)
        if here is None:
            here = self._here[name] = _Here(plan.network, NetworkSync(segment) if segment is not None else None)
        return here

    def _reconcile_endpoint(self, here: _Here, plan: NetworkPlan, endpoint: Endpoint, outcome: Outcome) -> None:
        if endpoint.state == "leaving" or not sandbox.is_alive(endpoint.sandbox):
            if endpoint.state != "leaving":
                log.info("the sandbox %s of endpoint %s is gone: removing it", endpoint.sandbox.path, endpoint.id)
            self._drop(here, endpoint)
            outcome.removed.append(endpoint)
            return
        self._ensure(here, plan, endpoint)
        if endpoint.state == "joining":
            outcome.made.append(endpoint)

    def _ensure(self, here: _Here, plan: NetworkPlan, endpoint: Endpoint) -> None:
        port = self._driver(plan.network).ensure_endpoint(plan.network, endpoint, plan.mtu)
        if port is not None:
            here.ports[endpoint.id] = port
        here.endpoints[endpoint.id] = endpoint

    def _drop(self, here: _Here, endpoint: Endpoint) -> None:
        if here.sync is not None:
            here.sync.set(endpoint.id, None)
        self._driver(here.network).remove_endpoint(here.network, endpoint)
        here.endpoints.pop(endpoint.id, None)
        here.ports.pop(endpoint.id, None)

    def _entries(self, here: _Here, plan: NetworkPlan) -> dict[str, Entry]:
        """What the engine should know of the network, by endpoint."""
        found = {e.id: entry for e in plan.endpoints if (entry := self._entry(here, e, plan.peers)) is not None}
        if plan.network.layout == "bridge" and here.ports:
            # Every host has the gateway, with one MAC address for all: it is here, whatever the others send.
            gateways = tuple(subnet.gateway for subnet in plan.network.subnets)
            found["gateway"] = Entry(gateway_mac(plan.network), gateways, port=next(iter(here.ports.values())))
        return found

    def _entry(self, here: _Here, endpoint: Endpoint, peers: Mapping[str, Peer]) -> Entry | None:
        port = here.ports.get(endpoint.id) if here.network.layout == "bridge" else None
        return entry_for(endpoint, self._host, peers, port)
