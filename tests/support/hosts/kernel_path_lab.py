# SPDX-License-Identifier: Apache-2.0
"""Two hosts with an engine and a kernel path each, without a daemon.

c1   c3        c2         containers: 10.9.0.N/24 and fd09::N/64, MAC 02:09:00:00:00:0N
 |   |         |
veth, TAP, vxlan          in a pen for each host: a namespace without addresses
  |             |
  h1 ---------- h2        hosts: the sockets of the engine (4789) and of the vxlan device (14789)
"""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from fastpath import Engine, Segment, TapPort
from fastpath.control.drivers import naming
from fastpath.control.drivers.overlay.pen import Pen
from fastpath.control.drivers.overlay.penned import PennedLayout
from fastpath.control.kernel import netns
from fastpath.control.kernel.netlink import filters
from fastpath.control.kernel.netlink.tunnels import Tunnel
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.objects import Endpoint, Network
from fastpath.kernelpath.path import Destination, KernelPath
from fastpath.kernelpath.programs import Program
from fastpath.kernelpath.sync import Wanted, sync
from tests.support.hosts.hosts import Lab, Namespace, ip

T = TypeVar("T")
VNI, UDP_PORT, MTU = 342, 14789, 1450
TUNNEL = naming.tunnel_name(VNI)
NETWORK = Network.model_validate(
    {"name": "blue", "vni": VNI, "subnets": [{"pool": "10.9.0.0/24", "gateway": "10.9.0.254"}]}
)


def mac(number: int) -> str:
    return f"02:09:00:00:00:{number:02x}"


def addresses(number: int) -> tuple[str, str]:
    return f"10.9.0.{number}", f"fd09::{number}"


def vtep(number: int) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(f"192.0.2.{number}")


class Host:
    """One host: its engine, its kernel path, and its pen."""

    def __init__(self, number: int, namespace: Namespace) -> None:
        self.number = number
        self.namespace = namespace
        self.name = namespace.name
        self.pen = Namespace("pen", naming.pen_name(self.name))
        self.visits = Visits()
        self.ports: dict[int, TapPort] = {}
        self.endpoints: dict[int, Endpoint] = {}
        self._containers: dict[int, Namespace] = {}
        self._remotes: dict[int, int] = {}
        self._tunnel = 0
        self._pen = Pen(self.name, self.visits)
        self._start()

    def _start(self) -> None:
        """As a new process would."""
        self.path = KernelPath(self.do(self._pen.programs).values())
        self.engine = self.do(lambda: Engine(vtep(self.number)))
        self.engine.add_segment(VNI, learning=False)
        self.layout = PennedLayout(self.engine, self.name, self._pen, lambda: self.path, self.visits)
        self.engine.start()

    def restart(self) -> None:
        """As after a crash: what is persistent stays."""
        self.engine.close()
        self.path.close()
        self._start()
        for number, container in self._containers.items():
            assert self.do(lambda n=number: self.layout.take_over(self.segment, NETWORK, self.endpoints[n]))  # type: ignore[misc]
            self.add_container(number, container)
        for number, host in self._remotes.items():
            self.add_remote(number, host)

    def do(self, function: Callable[[], T]) -> T:
        def call() -> T:
            with self.visits:
                return function()

        return self.namespace.inside(call)

    @property
    def segment(self) -> Segment:
        return self.engine.segments[VNI]

    def veth(self, number: int) -> str:
        return naming.veth_name(self.endpoints[number])

    def tap(self, number: int) -> str:
        return naming.tap_name(self.endpoints[number])

    def index(self, name: str) -> int:
        return int(self.pen.run("cat", f"/sys/class/net/{name}/ifindex").stdout)

    def attach(self, name: str, program: Program) -> None:
        def make() -> None:
            visit = self._pen.enter()
            filters.attach(visit.netlink, visit.links.get(name), program.fd, program.name)

        self.do(make)

    def attached(self, name: str) -> filters.Attached | None:
        def look() -> filters.Attached | None:
            visit = self._pen.enter()
            return filters.attached(visit.netlink, visit.links.get(name))

        return self.do(look)

    def add_container(self, number: int, container: Namespace, mtu: int = MTU) -> None:
        """A container of this host."""
        self._containers[number] = container
        self.endpoints[number] = endpoint = Endpoint(
            id=f"{number:016x}"[::-1],
            network=NETWORK.name,
            host=self.name,
            mac=mac(number),
            addresses=tuple(ipaddress.ip_interface(f"{a}/{64 if ':' in a else 24}") for a in addresses(number)),
            sandbox=netns.resolve(container.name),
            ifname="eth0",
        )
        port = self.do(lambda: self.layout.ensure_endpoint(self.segment, NETWORK, endpoint, mtu))
        port.allowed = [(mac(number), addresses(number))]
        self.segment.fdb.set(mac(number), port)
        self.ports[number] = port

    def remove_container(self, number: int) -> None:
        """The maps come first: nobody is sent to what goes."""
        endpoint = self.endpoints.pop(number)
        self.sync()
        self.segment.fdb.delete(mac(number))
        self.do(lambda: self.layout.remove_endpoint(NETWORK, endpoint))

    def add_remote(self, number: int, host: int) -> None:
        """A container of another host."""
        address = vtep(host)
        if address not in {remote.address for remote in self.segment.remotes}:
            self.segment.add_remote(address)
        self.segment.fdb.set(mac(number), self.segment.remote(address))
        self._remotes[number] = host
        entries = {mac(known): vtep(of) for known, of in self._remotes.items()}
        tunnel = Tunnel(VNI, vtep(self.number), UDP_PORT, (49152, 65535))

        def make() -> int:
            index = self._pen.ensure_tunnel(
                naming.of_network(self.name, NETWORK.name), tunnel, MTU, self.path.from_tunnel
            )
            self._pen.ensure_tunnel_entries(VNI, entries)
            return index

        self._tunnel = self.do(make)

    def sync(self, on: bool = True) -> int:
        """Program the maps. If it is not `on`, the engine carries all that containers send."""
        places = {number: self.layout.places[endpoint.id] for number, endpoint in self.endpoints.items()}
        ports = {place.veth: (VNI, place.tap, on) for place in places.values()}
        scopes = {n: place.veth for n, place in places.items()} | dict.fromkeys(self._remotes, self._tunnel)
        senders = {(scope, mac(n)): frozenset(map(ipaddress.ip_address, addresses(n))) for n, scope in scopes.items()}
        destinations = {(VNI, mac(n)): Destination(place.veth) for n, place in places.items()}
        destinations |= {(VNI, mac(n)): Destination(self._tunnel, MTU) for n in self._remotes}
        return sync(self.path, Wanted(ports, {self._tunnel: VNI}, senders, destinations))

    def close(self) -> None:
        self.path.close()
        self.engine.close()
        self.do(self._pen.remove)


class KernelPathLab(Lab):
    """h1 with c1 and c3, h2 with c2."""

    def __init__(self) -> None:
        self.sides: list[Host] = []
        super().__init__(2)
        try:
            self.containers.append(self.add("c3"))
            for number, namespace in enumerate(self.hosts, 1):
                self.sides.append(Host(number, namespace))
            one, two = self.sides
            for host, number in ((one, 1), (two, 2), (one, 3)):
                host.add_container(number, self.containers[number - 1])
            for host, number, of in ((one, 2, 2), (two, 1, 1), (two, 3, 1)):
                host.add_remote(number, of)
            for host in self.sides:
                host.sync()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for host in self.sides:
            host.close()
        self.sides.clear()
        super().close()


@contextmanager
def lab() -> Iterator[KernelPathLab]:
    made = KernelPathLab()
    try:
        yield made
    finally:
        made.close()


def neighbour(container: Namespace, number: int) -> None:
    """Tell a container another one's MAC address, so that it does not ask."""
    for address in addresses(number):
        ip("-n", container.name, "neigh", "replace", address, "lladdr", mac(number), "dev", "eth0")
