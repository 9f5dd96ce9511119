# SPDX-License-Identifier: Apache-2.0
"""The daemon's second stage: the store and all that needs it, and what answers others. Loaded when frames flow."""

import asyncio
import contextlib
import logging
import socket

from fastpath.control.api.operations import Operations
from fastpath.control.api.queries import Queries
from fastpath.control.api.server import serving_api
from fastpath.control.cluster.ipam import Pool
from fastpath.control.cluster.membership import Membership
from fastpath.control.cluster.mirrored_store import MirroredStore
from fastpath.control.cluster.reaper import Reaper
from fastpath.control.cluster.registry import Registry
from fastpath.control.cluster.witness import Witness
from fastpath.control.daemon.data_plane import DataPlane
from fastpath.control.dns.counts import Counts
from fastpath.control.docker.plugin_server import serving_docker
from fastpath.control.host.guard.guard import follow_store
from fastpath.control.host.outages import Outages
from fastpath.control.host.own_records import OwnRecords
from fastpath.control.host.probe import PATIENCE
from fastpath.control.host.registration import Registration
from fastpath.control.host.underlay_follower import UnderlayFollower
from fastpath.control.host.underlay_watch import routed_subnets
from fastpath.control.host.worker_watch import WorkerWatch
from fastpath.control.model.store_url import parse_store_url
from fastpath.control.runtime.background import background
from fastpath.control.runtime.config import DaemonConfig
from fastpath.control.runtime.systemd import Notifier
from fastpath.control.store.interface import StoreOptions
from fastpath.control.store.open import open_store

log = logging.getLogger(__name__)


async def serve(config: DaemonConfig, plane: DataPlane, sock: socket.socket, stop: asyncio.Event) -> None:
    """Join the other hosts, and answer on `sock` and to Docker, until `stop` is set, or the VTEP has another address
    (`plane.moved`)."""
    host, underlay, mirror, reconciler = config.host, plane.underlay, plane.mirror, plane.reconciler
    questions, notifier = Counts(), Notifier()
    async with contextlib.AsyncExitStack() as stack:
        store = open_store(config.store_url, StoreOptions(**config.store.credentials()))
        stack.push_async_callback(store.close)
        own_writes = MirroredStore(store, mirror)

        registry = Registry(own_writes, host, Pool(config.pool, config.pool_prefix), underlay.host_id)
        membership = Membership(own_writes, config.lease_ttl, lambda: underlay.describe(config.udp_port))
        registration = Registration(host, membership, mirror, reconciler)
        mirror.subscribe(registration.changed)
        records = OwnRecords(host, mirror, registry, membership, plane.kernel)
        mirror.subscribe(records.changed)
        reconciler.write_to(registry, lambda: membership.owns_name)

        def moved() -> None:
            plane.moved = True
            stop.set()

        follower = UnderlayFollower(
            config.vtep,
            underlay,
            plane.peering,
            reconciler=reconciler,
            kernel=plane.kernel,
            mtu_changed=membership.changed,
            moved=moved,
        )
        mirror.subscribe(follower.changed)
        reaper = Reaper(host, mirror, registry, config.grace)
        witness = Witness(own_writes, host, lambda: membership.lease, plane.unregistered.heard)
        operations = Operations(host, mirror, registry, reconciler, kernel=plane.kernel, routed=routed_subnets)
        queries = Queries(
            underlay=underlay,
            store=config.store_url,
            probe_interval=config.probe_interval,
            engine=plane.engine,
            stats=plane.stats,
            captured=plane.captured,
            mirror=mirror,
            reconciler=reconciler,
            kernel=plane.kernel,
            prober=plane.prober,
            kernel_prober=plane.kernel_prober,
            paths=plane.paths,
            reaper=reaper,
            guard=plane.guard,
            more=lambda: [
                *(p for each in (plane.peering, follower, membership, tasks, watch) for p in each.problems),
                *reconciler.gateway_problems,
                *plane.leftovers,
            ],
        )

        tasks = await stack.enter_async_context(background())
        watch = stack.enter_context(WorkerWatch(plane.engine.worker_states, notifier.fail))
        # A daemon without these does not do what the store says: it ends, and its successor begins with a clean state.
        tasks.essential("mirror", mirror.run(store))
        tasks.essential("reconciler", reconciler.run(config.reconcile_interval))
        # Frames flow, and the host follows the store, without these.
        for name, job in {
            "prober": lambda: plane.prober.run(config.probe_interval),
            "kernel prober": plane.kernel_prober.run,
            "path prober": lambda: plane.paths.run(config.probe_interval),
            "voucher": plane.voucher.run,
            "unregistered": plane.unregistered.run,
            "announcer": plane.announcer.run,
            "witness": witness.run,
            "outages": Outages(mirror, plane.prober, PATIENCE * config.probe_interval).run,
            "reaper": reaper.run,
            "own records": records.run,
            "underlay": follower.run,
        }.items():
            tasks.restarted(name, job)
        if plane.guard is not None:
            guard, members = plane.guard, parse_store_url(config.store_url).members
            tasks.restarted("guard", lambda: follow_store(guard, members))
        tasks.restarted("watchdog", lambda: notifier.beat(watch.well))
        if plane.resolver_sockets is not None:
            from fastpath.control.dns.resolvers import resolvers  # noqa: PLC0415  # dnspython: 75 ms, for those who use it

            tasks.restarted("resolvers", resolvers(config, plane.resolver_sockets, mirror, questions).run)

        api = serving_api(
            sock,
            stats=plane.stats,
            reconciler=reconciler,
            operations=operations,
            queries=queries,
            questions=questions,
            watch=watch,
            metrics=config.metrics,
        )
        await stack.enter_async_context(api)
        docker = serving_docker(
            config,
            tasks=tasks,
            underlay=underlay,
            store=own_writes,
            mirror=mirror,
            registry=registry,
            reconciler=reconciler,
            kernel=plane.kernel,
        )
        await stack.enter_async_context(docker)

        await registration.register(stop)
        tasks.essential("membership", membership.run())
        notifier.ready(f"{host} at {underlay.vtep}, {len(mirror.networks)} networks")
        log.info("ready: host %s, VTEP %s, store %s", host, underlay.vtep, config.store_url)
        await stop.wait()
        if plane.moved:
            notifier.status("the VTEP has another address: starting again")
            return
        notifier.stopping("interfaces stay for the next daemon")
        log.info("ending; interfaces stay for the next daemon")
