# SPDX-License-Identifier: Apache-2.0
"""The daemon's first stage: what moves frames, and what keeps it as the store says. It needs no store that answers, and
imports nothing that it does not need: it is in the gap of a restart."""

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from fastpath import Engine, Port
from fastpath.addresses import IPAddress, family_of
from fastpath.control.cluster.cache import Cache
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.daemon import former
from fastpath.control.dns.sockets import Sockets
from fastpath.control.drivers import naming
from fastpath.control.drivers.base import HostDriver
from fastpath.control.drivers.gateway.bridge import GatewayBridge
from fastpath.control.drivers.gateway.config import BRIDGE, GatewaySettings
from fastpath.control.drivers.macvlan.driver import Macvlan
from fastpath.control.drivers.overlay.carrier import Carrier
from fastpath.control.drivers.overlay.driver import Overlay
from fastpath.control.host.announcer import Announcer
from fastpath.control.host.captured import CapturedNetworks
from fastpath.control.host.carried import Carried, with_kernel_path
from fastpath.control.host.guard.guard import Guard, fixed_endpoints
from fastpath.control.host.guard.rules import MARK, Plan, copy_of, table_of
from fastpath.control.host.host_state import HostState
from fastpath.control.host.kernel_probe import KernelProber
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.network_sync import usable_peers
from fastpath.control.host.path_mtu import PathProber
from fastpath.control.host.peering import Peering
from fastpath.control.host.probe import Prober
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.host.underlay import HostUnderlay
from fastpath.control.host.underlay_watch import resolve_vtep, underlay_mtu
from fastpath.control.host.unregistered import Unregistered
from fastpath.control.host.vouching import Voucher
from fastpath.control.kernel.keeper import Keeper
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.problem import Problem, problem_of
from fastpath.control.model.store_url import member_parts, parse_store_url
from fastpath.control.runtime.config import DaemonConfig
from fastpath.control.runtime.incarnation import incarnation
from fastpath.control.runtime.state_dir import StateDir
from fastpath.engine.stats import EngineStats
from fastpath.engine.workers.sockets import may_mark
from fastpath.errors import FastpathError
from fastpath.kernelpath import unavailable

log = logging.getLogger("fastpath")

ENTRIES = 1 << 18  # addresses in the FDB and neighbours, of all networks that have endpoints on this host
LEARNED = ENTRIES // 4  # of these: the store knows all endpoints, so only what is nested behind them is learned


class DataPlane:
    """Make it before the event loop runs, then enter it. Frames flow while it is entered; at the end the interfaces
    stay. `moved`: the VTEP has another address, so another one has to take its place."""

    def __init__(self, config: DaemonConfig, state: StateDir) -> None:
        self._host = config.host
        self._config = config
        self._lives = state.lives
        self.leftovers: list[Problem] = []  # of earlier lives
        self.moved = False
        vtep, underlay = resolve_vtep(config.vtep)
        self.keeper = Keeper()
        self.guard = _guard(config, vtep, self.keeper)
        self.underlay = HostUnderlay(config.host, state.host_id, vtep, underlay_mtu(vtep, ()), incarnation())
        self._cache = Cache(state.cache, config.store_url)
        self.mirror = Mirror(self._cache, config.host, state.host_id)
        self._loaded = False
        if self.guard is not None and not self.guard.stands():
            # What arrives before the rules would wait in the sockets, and be taken for a peer's.
            self._load()
            peers, _ = usable_peers(self.mirror.known_peers.values(), config.host, vtep, config.udp_port)
            self.guard.put_up(peer.vtep for peer in peers.values())
        self.engine = _engine(config, str(vtep))
        self.prober = Prober(self.engine, config.host)
        self.unregistered = Unregistered(self.mirror, self.prober, config.grace)
        self.peering = Peering(self.underlay, self.mirror, self.engine, self.prober, self.guard)
        self.paths = PathProber(self.engine, self.prober, self.underlay, lambda: self.peering.peers)
        self.resolver_sockets = Sockets() if config.dns else None
        self.kernel = KernelThread()
        visits = Visits()
        gateway = None
        if config.gateway_bridge:
            given = _gateway_settings(config, state.host_id, vtep, underlay)
            gateway = GatewayBridge(config.host, given, visits, self.keeper)
        self.kernel_prober = KernelProber(self.prober, lambda: self.peering.peers, self._longest)
        self.captured = CapturedNetworks()
        self._carrier = Carrier(
            self.engine,
            config.host,
            visits,
            vtep=vtep,
            udp_port=config.kernel_port,
            asker=self.kernel_prober,
            mtu=lambda: self.underlay.mtu - self.underlay.overhead,
            captured=self.captured,
            unguarded=self._unguarded,
            members=self.guard.set_members if self.guard is not None else (lambda _: None),
        )
        overlay = Overlay(
            self.engine, config.host, gateway, self.resolver_sockets, visits=visits, carrier=self._carrier
        )
        drivers: dict[str, HostDriver] = {"overlay": overlay, "macvlan": Macvlan(config.host, visits)}
        state_of_host = HostState(config.host, drivers, visits, self._kernel_mtu)
        self.reconciler = Reconciler(
            config.host,
            self.mirror,
            state_of_host,
            self.kernel,
            peers=lambda: self.peering.peers,
            mtu=self.underlay.container_mtu,
            removals=state.removals,
        )
        self.announcer = Announcer(config.host, self.mirror, self.kernel, state_of_host.announce)
        self.voucher = Voucher(self.engine, self.mirror, lambda: self.reconciler.settled)
        self.underlay.subscribe(self.reconciler.look_at_everything)
        self.kernel_prober.subscribe(self.reconciler.kernel_paths_changed)
        self.paths.subscribe(self.reconciler.kernel_paths_changed)
        self.mirror.subscribe(self.voucher.changed)
        self.mirror.subscribe(self.reconciler.changed)
        self.mirror.subscribe(self.peering.changed)
        self.mirror.subscribe(self.unregistered.changed)
        self.mirror.subscribe(self.announcer.changed)

    async def __aenter__(self) -> Self:
        """Make this host what it was when the last daemon ended."""
        loop = asyncio.get_running_loop()

        def port_gone(_: Port) -> None:
            loop.call_soon_threadsafe(self.reconciler.look_at_everything)

        try:
            self.engine.on_port_gone(port_gone)
            self._load()
            self._assume_members()
            self.peering.update()
            self.engine.start()
            await self.reconciler.take_over()
            self.mirror.load()
            self.leftovers = await self.kernel.run(self._begin)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._close()

    def stats(self) -> EngineStats:
        """Return the counters of both paths. For any thread."""
        stats = self.engine.stats()
        return with_kernel_path(stats, (Carried(*each) for each in self._carrier.carried()), self._carrier.verdicts())

    def _load(self) -> None:
        """Load what concerns this host: when it is needed first, since what arrives meanwhile may wait in sockets."""
        if not self._loaded:
            self.mirror.load(self._host)
            self._loaded = True

    def _assume_members(self) -> None:
        """Let the guard's first rules admit what comes by the kernel path, which has gone on."""
        if self.guard is None:
            return
        vteps = {peer.host: peer.vtep for peer in self.mirror.known_peers.values() if peer.host != self._host}
        members = frozenset(
            (vteps[endpoint.host], vni)
            for name, endpoints in self.mirror.endpoints.items()
            if (network := self.mirror.networks.get(name)) is not None and network.vni is not None
            for endpoint in endpoints.values()
            if endpoint.kernel_path and endpoint.host in vteps
            for vni in (network.vni, naming.PROBE_VNI)
        )
        self._carrier.assume(members)
        self.guard.assume_members(members)

    def _unguarded(self) -> str:
        """Return why nobody checks who sends to the kernel path's port; "" if the guard does."""
        if self.guard is None:
            return "the guard is off, which checks who sends to the kernel path"
        return "" if self.guard.state == "in place" else "the guard is not in place, which checks who sends to it"

    def _kernel_mtu(self, host: str, used_before: Callable[[], bool]) -> int:
        """Return the longest IP packet, in bytes, that may be sent to a peer by the kernel path: 0 until that is known
        to work. `used_before` says whether an earlier process did."""
        longest, peer = self._longest(host), self.peering.peers.get(host)
        return longest if peer is not None and self.kernel_prober.usable(peer.vtep, used_before) else 0

    def _longest(self, host: str) -> int:
        """Return the longest IP packet, in bytes, that fits the way to a peer by the kernel path; 0 if either host has
        none, or at another port."""
        peer = self.peering.peers.get(host)
        if peer is None or not peer.kernel_port or peer.kernel_port != self._carrier.udp_port:
            return 0
        return self.paths.mtu(host, min(self.underlay.mtu, peer.mtu)) - self.underlay.overhead

    def _begin(self) -> list[Problem]:
        """Find out whether this host has a kernel path: networks load it. Remove what earlier lives left under other
        settings; return what stays."""
        self.underlay.kernel_port = 0 if unavailable() or self.guard is None else self._carrier.udp_port
        guards = self.guard.tables if self.guard is not None else ()
        try:
            return former.begin(self._lives, self._host, guards, gateway=self._config.gateway_bridge).problems
        except (FastpathError, OSError) as error:
            why = f"what an earlier life left on this host could not be removed: {error}"
            log.warning("%s", why)
            return [problem_of("host", "leftovers", error, why)]

    def _close(self) -> None:
        self.kernel.close()
        self._carrier.close()
        if self.resolver_sockets is not None:
            self.resolver_sockets.close()
        self.engine.close()
        self._cache.close()
        self.keeper.close()


def _guard(config: DaemonConfig, vtep: IPAddress, keeper: Keeper) -> Guard | None:
    table = table_of(vtep, config.udp_port)
    if not config.guard:
        for each in (table, copy_of(table)):
            keeper.release_soon(each)
        return None
    members = parse_store_url(config.store_url).members
    ports = {port for _, port in map(member_parts, members)}
    if isinstance(config.metrics, tuple):
        ports.add(config.metrics[1])
    plan = Plan(
        vtep,
        config.udp_port,
        store=fixed_endpoints(members),
        ports=frozenset(ports),
        bridge=BRIDGE,
        only_peers=config.known_peers_only,
        strict=config.guard != "loose",
        kernel_port=config.kernel_port,
    )
    refusal = None if may_mark() else "no permission to mark packets (CAP_NET_ADMIN)"
    return Guard(keeper, table, plan, refusal, owned=config.guard_owned)


def _gateway_settings(config: DaemonConfig, host_id: str, vtep: IPAddress, underlay: str) -> GatewaySettings:
    given = config.gateway_address6
    own = (naming.unique_local(host_id) if given == "auto" else None) if isinstance(given, str) else given
    return GatewaySettings(
        config.gateway_address,
        own,
        config.gateway_masquerade6,
        config.gateway_connections,
        underlay,
        family_of(vtep),
    )


def _engine(config: DaemonConfig, vtep: str) -> Engine:
    return Engine(
        vtep,
        udp_port=config.udp_port,
        workers=config.workers,
        source_port_count=config.source_ports,
        fdb_entries=ENTRIES,
        fdb_reserve=ENTRIES - LEARNED,
        neighbour_entries=ENTRIES,
        known_only=config.known_peers_only,
        kernel_peers=not config.known_peers_only,
        probed_paths=True,
        mark=MARK if config.guard and may_mark() else 0,
        spin=config.spin,
        pin=config.pin,
        offloads=config.engine_offloads,
    )
