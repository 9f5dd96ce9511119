# SPDX-License-Identifier: Apache-2.0
"""`fastpath daemon`: wires the parts together, and ends them in order.

    store ── mirror ──┬── reconciler ── host_state ── overlay driver, engine     this host as the store says
                      ├── membership                                            this host's key and lease
                      ├── reaper                                                what dead hosts had
                      └── prober                                                do the peers' data paths answer
    api ── operations ── registry ── store                                      what users ask for

The engine's workers run beside all this and wait for none of it. At start the interfaces that a predecessor left
are taken over first, by what it kept on disk; the store may be away.
"""

import asyncio
import contextlib
import gc
import logging
import socket

from fastpath import Engine, Port
from fastpath.addresses import IPAddress
from fastpath.control.api.unix_socket import listening_socket
from fastpath.control.cluster.cache import Cache
from fastpath.control.cluster.ipam import Pool
from fastpath.control.cluster.membership import Membership
from fastpath.control.cluster.mirror import Changes, Mirror
from fastpath.control.dns.counts import Counts
from fastpath.control.dns.names import Names
from fastpath.control.dns.sockets import Sockets
from fastpath.control.drivers.macvlan.driver import Macvlan
from fastpath.control.drivers.overlay.driver import Overlay
from fastpath.control.drivers.overlay.gateway import GatewayBridge
from fastpath.control.host.host_state import HostState
from fastpath.control.host.network_sync import admit, usable_peers
from fastpath.control.host.probe import Prober
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.host.underlay import Underlay
from fastpath.control.host.underlay_watch import QUIET_S, UnderlayWatch, resolve_vtep, routed_subnets, underlay_mtu
from fastpath.control.model.objects import Peer
from fastpath.control.model.problem import Problem, problem_of
from fastpath.control.runtime.config import DaemonConfig
from fastpath.control.runtime.logs import set_up_logs
from fastpath.control.runtime.signals import StopSignals
from fastpath.control.runtime.state_dir import StateDir
from fastpath.control.runtime.systemd import Notifier
from fastpath.control.store.interface import StoreOptions, UnavailableError
from fastpath.control.store.open import open_store
from fastpath.errors import ConflictError, FastpathError
from fastpath.version import VERSION

log = logging.getLogger(__name__)

ENTRIES = 1 << 18  # addresses in the FDB and neighbours, of all networks that have endpoints on this host
# Of what is known of many endpoints nearly all stays: with Python's own thresholds every look at it made the collector
# go through all of it several times, which took longer than the look.
GC_THRESHOLDS = (50_000, 20, 100)


def run(config: DaemonConfig) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP. Interfaces, leases and the store's entries stay, for a successor.
    Raises FastpathError where it cannot start."""
    set_up_logs(config.log_format, config.log_level)
    gc.set_threshold(*GC_THRESHOLDS)
    with StopSignals() as signals, StateDir(config.state_dir) as state, listening_socket(config.socket) as sock:
        try:
            asyncio.run(Daemon(config, state).run(signals, sock))
        except BaseExceptionGroup as group:  # of the tasks that run beside each other
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise


class Daemon:
    """All parts of it. Made in the event loop's thread, before the loop runs."""

    def __init__(self, config: DaemonConfig, state: StateDir) -> None:
        self._config = config
        vtep, _ = resolve_vtep(config.vtep)
        self._engine = Engine(
            str(vtep),
            udp_port=config.udp_port,
            workers=config.workers,
            source_port_count=config.source_ports,
            fdb_entries=ENTRIES,
            neighbour_entries=ENTRIES,
            known_only=config.known_peers_only,
            spin=config.spin,
            pin=config.pin,
            offloads=config.engine_offloads,
        )
        self._underlay = Underlay(config.host, state.host_id, vtep, underlay_mtu(vtep, ()))
        self._cache = Cache(state.cache, config.store_url)
        self._mirror = Mirror(self._cache)
        self._mirror.subscribe(self._changed)
        self._gateway = GatewayBridge(config.host, str(config.gateway_address)) if config.gateway_bridge else None
        self._names = Names(self._mirror)
        self._resolvers = Sockets() if config.dns else None
        self._questions = Counts()
        overlay = Overlay(self._engine, config.host, self._gateway, self._resolvers)
        self._host_state = HostState(config.host, {"overlay": overlay, "macvlan": Macvlan(config.host)})
        self._reconciler = Reconciler(
            config.host, self._mirror, self._host_state, self._peers, self._underlay.container_mtu
        )
        self._prober = Prober(self._engine, config.host)
        self._notifier = Notifier()
        self._membership: Membership | None = None
        self._peer_problems: list[Problem] = []
        self._vtep_problem: Problem | None = None
        self._underlay_changed = asyncio.Event()
        self._measured: frozenset[IPAddress] = frozenset()  # the VTEPs that the underlay's MTU is known for

    async def run(self, signals: StopSignals, sock: socket.socket) -> None:
        """Take over, join the others, serve; until a signal."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        signals.then(lambda: loop.call_soon_threadsafe(stop.set))
        try:
            await self._take_over(loop)
            await self._serve(sock, stop)
        finally:
            signals.then(lambda: None)
            self._reconciler.close()
            if self._resolvers is not None:
                self._resolvers.close()
            self._engine.close()
            self._cache.close()

    async def _take_over(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make this host what it was when the last daemon ended; frames flow from here on."""

        def port_gone(_: Port) -> None:
            loop.call_soon_threadsafe(self._reconciler.look_at_everything)

        self._engine.on_port_gone(port_gone)
        self._mirror.load(self._config.host)
        self._meet_peers()
        self._engine.start()
        await self._reconciler.take_over()
        self._mirror.load()

    async def _serve(self, sock: socket.socket, stop: asyncio.Event) -> None:
        # Not at the top: the start is in the gap of a restart, and frames flow without these. They take as much
        # CPU time to load as all the rest: aiohttp and the metrics 290 ms, Docker's part 50 ms, the other four 20 ms.
        from fastpath.control.api.operations import Operations  # noqa: PLC0415
        from fastpath.control.api.queries import View  # noqa: PLC0415
        from fastpath.control.api.server import faces  # noqa: PLC0415
        from fastpath.control.cluster.reaper import Reaper  # noqa: PLC0415
        from fastpath.control.cluster.registry import Registry  # noqa: PLC0415
        from fastpath.control.docker.service import docker_plugin  # noqa: PLC0415

        config = self._config
        store = open_store(config.store_url, StoreOptions(**config.store.credentials()))
        try:
            registry = Registry(store, config.host, Pool(config.pool, config.pool_prefix))
            membership = self._membership = Membership(store, config.lease_ttl, self._describe)
            self._reconciler.registry = registry
            self._reconciler.may_write = lambda: membership.holds
            reaper = Reaper(config.host, self._mirror, registry, config.grace)
            operations = Operations(config.host, self._mirror, registry, self._reconciler, routed_subnets)
            view = View(
                underlay=self._underlay,
                store=config.store_url,
                probe_interval=config.probe_interval,
                engine=self._engine,
                mirror=self._mirror,
                reconciler=self._reconciler,
                prober=self._prober,
                reaper=reaper,
                more=self._problems,
            )
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(job, name=name)
                    for name, job in (
                        ("mirror", self._mirror.run(store)),
                        ("reconciler", self._reconciler.run(config.reconcile_interval)),
                        ("prober", self._prober.run(config.probe_interval)),
                        ("reaper", reaper.run()),
                        ("underlay", self._follow_underlay()),
                        ("watchdog", self._notifier.beat()),
                    )
                ]
                shown = faces(
                    sock,
                    engine=self._engine,
                    reconciler=self._reconciler,
                    operations=operations,
                    view=view,
                    questions=self._questions,
                    metrics=config.metrics,
                )
                docker = docker_plugin(
                    config,
                    underlay=self._underlay,
                    store=store,
                    mirror=self._mirror,
                    registry=registry,
                    reconciler=self._reconciler,
                )
                if self._resolvers is not None:
                    # 75 ms for dnspython, for those who want it.
                    from fastpath.control.dns.service import resolvers  # noqa: PLC0415

                    server = resolvers(config, self._resolvers, self._names, self._questions)
                    running.append(tasks.create_task(server.run(), name="resolvers"))
                async with shown, docker:
                    with contextlib.suppress(UnavailableError):  # it goes on trying
                        await self._registered(membership, stop)
                        self._reconciler.look_at_everything()  # what it found may be told now
                    running.append(tasks.create_task(membership.run(), name="membership"))
                    self._notifier.ready(
                        f"{config.host} at {self._underlay.vtep}, {len(self._mirror.networks)} networks"
                    )
                    log.info("ready: host %s, VTEP %s, store %s", config.host, self._underlay.vtep, config.store_url)
                    await stop.wait()
                    self._notifier.stopping("interfaces stay for the next daemon")
                    log.info("ending; interfaces stay for the next daemon")
                for task in running:
                    task.cancel()
        finally:
            await store.close()

    async def _registered(self, membership: Membership, stop: asyncio.Event) -> None:
        """Register, unless a signal comes first."""
        registering = asyncio.ensure_future(membership.register())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({registering, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if registering.done():
                await registering
        except ConflictError as error:
            if not self._mirror.local_endpoints(self._config.host):
                raise
            log.error("%s", error)  # containers here depend on us; `status` tells, and it goes on trying
        finally:
            registering.cancel()
            stopping.cancel()

    def _describe(self) -> Peer:
        return Peer(
            host=self._config.host,
            id=self._underlay.host_id,
            vtep=self._underlay.vtep,
            udp_port=self._config.udp_port,
            mtu=self._underlay.mtu,
            version=VERSION,
        )

    def _peers(self) -> dict[str, Peer]:
        return usable_peers(self._mirror.peers.values(), self._config.host, self._underlay.vtep, self._config.udp_port)[
            0
        ]

    def _changed(self, changes: Changes) -> None:
        """The store says something new."""
        self._names.changed(changes)
        self._reconciler.changed(changes)
        if changes.peers:
            self._meet_peers()
        if self._membership is not None and self._config.host in changes.peers:
            self._membership.seen(self._mirror.peers.get(self._config.host))
            self._reconciler.look_at_everything()

    def _meet_peers(self) -> None:
        peers, self._peer_problems = usable_peers(
            self._mirror.peers.values(), self._config.host, self._underlay.vtep, self._config.udp_port
        )
        admit(self._engine, peers.values())
        vteps = {host: peer.vtep for host, peer in peers.items()}
        self._prober.set_peers(vteps)
        if not self._measured.issuperset(vteps.values()):
            self._underlay_changed.set()  # the way to a new one may take less than the way to all others
        if self._underlay.measured(self._underlay.mtu, peers.values()):
            self._reconciler.look_at_everything()

    async def _follow_underlay(self) -> None:
        """Look again whenever links, addresses or routes of this host change."""
        changed = self._underlay_changed
        watch = UnderlayWatch(changed.set)
        watch.start()
        try:
            while True:
                await changed.wait()
                changed.clear()
                try:
                    await self._look_at_underlay()
                except (FastpathError, OSError) as error:
                    log.warning("cannot look at the underlay: %s", error)
                await asyncio.sleep(QUIET_S)  # many hosts may come at once
        finally:
            watch.close()

    async def _look_at_underlay(self) -> None:
        self._reconciler.links_changed()
        try:
            vtep, _ = await self._reconciler.in_thread(resolve_vtep, self._config.vtep)
            moved = f"this host's VTEP address is {vtep} now, {self._underlay.vtep} is in use: restart the daemon"
            self._vtep_problem = Problem("host", "vtep", "moved", moved) if vtep != self._underlay.vtep else None
        except FastpathError as error:
            self._vtep_problem = problem_of("host", "vtep", error)
        remotes = tuple(peer.vtep for peer in self._peers().values())
        mtu = await self._reconciler.in_thread(underlay_mtu, self._underlay.vtep, remotes)
        if mtu != self._underlay.mtu and self._membership is not None:
            self._membership.changed()
        self._measured = frozenset(remotes)
        if self._underlay.measured(mtu, self._peers().values()):  # who may have told of another MTU meanwhile
            self._reconciler.look_at_everything()

    def _problems(self) -> list[Problem]:
        """What the other parts do not tell themselves."""
        found = list(self._peer_problems)
        if self._vtep_problem is not None:
            found.append(self._vtep_problem)
        if self._membership is not None and self._membership.problem is not None:
            found.append(self._membership.problem)
        return found
