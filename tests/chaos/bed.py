# SPDX-License-Identifier: Apache-2.0
"""The bed: hosts with daemons, an etcd of three members on the underlay, and containers that talk all the time.

m1 m2 m3      members, at addresses of the switch
h1 h2 h3      hosts; each has two containers that stay, and sandboxes for endpoints that come and go
"""

import contextlib
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint, Network
from tests.chaos.talk import Station, Talk
from tests.chaos.walls import Walls
from tests.support.hosts.hosts import Namespace
from tests.support.servers.etcd_server import Etcd, Place
from tests.support.servers.site import HostDaemon, Site

MEMBERS = ("192.0.2.101", "192.0.2.102", "192.0.2.103")
QUOTA = 16 << 20  # bytes
STAY = 2  # containers of each host that stay
SPARE = 17  # sandboxes of each host for endpoints that come and go
NETWORK = "web"
LEASE_S, GRACE_S = 6, 6.0
FORGOTTEN_S = LEASE_S + GRACE_S
SETTINGS = f"""
lease_ttl = {LEASE_S}
grace = {GRACE_S}
probe_interval = 1.0
reconcile_interval = 2.0
"""
Pair = frozenset[int]  # the numbers of two hosts; of one: its own containers


@dataclass
class Disturbance:
    """Pairs of hosts whose containers need not hear each other. `ended` is None while it lasts."""

    pairs: frozenset[Pair]
    kinds: tuple[str, ...]
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None


class Bed:
    """Call `prepare` and `populate` within `with`. `acknowledged` are the endpoints that a daemon said it made and was
    not asked to remove; `removed` are those that have to be gone."""

    def __init__(self, hosts: int, folder: Path) -> None:
        self.site = Site(hosts, folder, "etcd://" + ",".join(f"{each}:2379" for each in MEMBERS), SETTINGS)
        self.lab, self.daemons = self.site.lab, self.site.daemons
        self.switch = self.lab.switch
        for address in MEMBERS:
            self.switch.ip(f"address add {address}/24 dev br0")
        places = [Place(f"m{number}", 2379, 2380 + number) for number in range(1, len(MEMBERS) + 1)]
        self.members = [
            Etcd(
                folder,
                host=address,
                place=place,
                peers=places,
                within=self.switch,
                arguments=[f"--quota-backend-bytes={QUOTA}", "--snapshot-count=1000"],
            )
            for address, place in zip(MEMBERS, places, strict=True)
        ]
        self.walls = Walls(self.switch, {daemon.vtep: f"p{n}" for n, daemon in enumerate(self.daemons, 1)})
        self.talk = Talk()
        self.disturbances: list[Disturbance] = []
        self.acknowledged: dict[str, Endpoint] = {}
        self.removed: set[str] = set()
        self.spares = [[self.lab.add(f"x{number}-{each}") for each in range(SPARE)] for number in range(1, hosts + 1)]
        self._stay = [self.lab.containers] + [
            [self.lab.add(f"c{number}-{more}") for number in range(1, hosts + 1)] for more in range(2, STAY + 1)
        ]
        self._lock = threading.Lock()  # of `acknowledged` and `removed`: bursts come from many threads

    def __enter__(self) -> "Bed":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self.site.close)
            for member in self.members:
                stack.push(member)
            if self.talk.members():
                stack.push(self.talk)

    @property
    def everybody(self) -> frozenset[Pair]:
        """All pairs of hosts, each with itself, too."""
        numbers = range(len(self.daemons))
        return frozenset(frozenset((one, other)) for one in numbers for other in numbers)

    def pairs_of(self, host: int) -> frozenset[Pair]:
        """The pairs of one host with others."""
        return frozenset(pair for pair in self.everybody if host in pair and len(pair) > 1)

    def prepare(self) -> None:
        """Start the store and the daemons, until they hear each other. Each has had an endpoint then: the gateway
        bridge stays for a minute after the last one, and some descriptors for good."""
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait()
        self.site.start()
        self.daemons[0].network(NETWORK, subnets=["10.9.0.0/16"])
        for host, sandboxes in enumerate(self.spares):
            self.leave(self.join(host, sandboxes[0]))
        self.daemons[0].client.remove_network(NETWORK)

    def populate(self) -> None:
        """Make the network and the containers that stay, and let them talk."""
        self.daemons[0].network(NETWORK, subnets=["10.9.0.0/16"])
        self.talk.__enter__()
        for containers in self._stay:
            for host, container in enumerate(containers):
                endpoint = self.join(host, container)
                station = Station(endpoint.id, host, str(endpoint.addresses[0].ip), container)
                self.talk.add(station, connect=True)

    def join(self, host: int, sandbox: Namespace) -> Endpoint:
        """Make an endpoint, and remember that it was made. Raise FastpathError."""
        made = self.daemons[host].join(sandbox, NETWORK)
        with self._lock:
            self.acknowledged[made.id] = made
        return made

    def leave(self, endpoint: Endpoint) -> None:
        """Remove an endpoint by its host. Raise FastpathError; then it is unknown whether it will be gone."""
        daemon = next(daemon for daemon in self.daemons if daemon.name == endpoint.host)
        with self._lock:
            self.acknowledged.pop(endpoint.id, None)
        daemon.client.remove_endpoint(endpoint.id)
        with self._lock:
            self.removed.add(endpoint.id)

    def forget(self, endpoint: Endpoint) -> None:
        """Expect nothing of an endpoint any more."""
        with self._lock:
            self.acknowledged.pop(endpoint.id, None)

    @contextlib.contextmanager
    def disturbed(self, pairs: Collection[Pair], *kinds: str) -> Iterator[None]:
        """Containers of these pairs of hosts need not hear each other within the block; `kinds`: udp, tcp, or both."""
        mine = Disturbance(frozenset(pairs), kinds or ("udp", "tcp"))
        self.disturbances.append(mine)
        try:
            yield
        finally:
            mine.ended = time.monotonic()

    def well_since(self, kind: str, one: int, other: int) -> float | None:
        """Since when the containers of two hosts have to hear each other; None: they need not at present."""
        pair, since = frozenset((one, other)), 0.0
        for each in self.disturbances:
            if pair in each.pairs and kind in each.kinds:
                if each.ended is None:
                    return None
                # TCP sends again at intervals that doubled while nothing came back.
                since = max(since, each.ended + (each.ended - each.began if kind == "tcp" else 0.0))
        return since

    def members_that_run(self) -> list[Etcd]:
        """Those that were not killed."""
        return [member for member in self.members if member.runs]

    def stored(self, prefix: str) -> dict[str, bytes]:
        """What the store has under a prefix."""
        return self.members[0].items(prefix)

    def stored_endpoints(self) -> list[Endpoint]:
        """The endpoints that the store has."""
        found = self.stored(keys.OBJECTS)
        return [Endpoint.model_validate_json(text) for key, text in found.items() if keys.network_of(key) is not None]

    def stored_networks(self) -> list[Network]:
        """The networks that the store has."""
        return [Network.model_validate_json(text) for text in self.stored(keys.NETWORKS).values()]

    def daemon_of(self, endpoint: Endpoint) -> HostDaemon | None:
        """The daemon of an endpoint's host."""
        return next((daemon for daemon in self.daemons if daemon.name == endpoint.host), None)
