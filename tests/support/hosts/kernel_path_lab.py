# SPDX-License-Identifier: Apache-2.0
"""Two hosts with an engine and a kernel path each, without a daemon.

c1   c3        c2         containers: 10.9.0.N/24 and fd09::N/64, MAC 02:09:00:00:00:0N
 |   |         |
veth, TAP, vxlan          in a pen for each host: a namespace without addresses
  |             |
  h1 ---------- h2        hosts: the sockets of the engine (4789) and of the vxlan device (14789)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastpath import Engine, Segment, TapPort
from fastpath.control.kernel.netlink import Links, Rtnetlink, filters
from fastpath.kernelpath.path import Destination, KernelPath
from fastpath.kernelpath.programs import Program
from tests.support.hosts.hosts import Lab, Namespace, ip

VNI, UDP_PORT, MTU = 42, 14789, 1450
TUNNEL = "vx"


def mac(number: int) -> str:
    return f"02:09:00:00:00:{number:02x}"


def addresses(number: int) -> tuple[str, str]:
    return f"10.9.0.{number}", f"fd09::{number}"


@dataclass
class Host:
    """One host: its data plane, and the namespace in which its interfaces are."""

    number: int
    namespace: Namespace
    pen: Namespace
    engine: Engine
    path: KernelPath = field(default_factory=KernelPath)
    containers: dict[int, Namespace] = field(default_factory=dict)
    ports: dict[int, TapPort] = field(default_factory=dict)

    @property
    def segment(self) -> Segment:
        return self.engine.segments[VNI]

    def index(self, name: str) -> int:
        return int(self.pen.run("cat", f"/sys/class/net/{name}/ifindex").stdout)

    def start(self) -> None:
        """A segment, and a vxlan device of which the socket stays in the host's namespace."""
        self.engine.add_segment(VNI, learning=False)
        self.pen.ip("link set lo down")
        self.pen.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")
        local = f"192.0.2.{self.number}"
        self.namespace.ip(
            f"link add {TUNNEL} mtu {MTU} type vxlan id {VNI} local {local} dstport {UDP_PORT} nolearning"
        )
        self.namespace.ip(f"link set {TUNNEL} netns {self.pen.name}")
        self.path.set_tunnel(self.index(TUNNEL), VNI)
        self.attach(TUNNEL, self.path.from_tunnel)
        self.pen.ip(f"link set {TUNNEL} up")
        self.engine.start()

    def attach(self, name: str, program: Program) -> None:
        def make() -> None:
            with Rtnetlink() as netlink:
                filters.attach(netlink, Links(netlink).get(name), program.fd, program.name)

        self.pen.inside(make)

    def attached(self, name: str) -> filters.Attached | None:
        def look() -> filters.Attached | None:
            with Rtnetlink() as netlink:
                return filters.attached(netlink, Links(netlink).get(name))

        return self.pen.inside(look)

    def add_container(self, number: int, container: Namespace, mtu: int = MTU) -> None:
        """Filters come before `up`."""
        veth, tap = f"v{number}", f"t{number}"
        self.containers[number] = container
        self.pen.ip(
            f"link add {veth} mtu {mtu} type veth peer name eth0 mtu {mtu} address {mac(number)} netns {container.name}"
        )
        self.ports[number] = self.namespace.inside(lambda: self.segment.add_tap(tap, mtu=mtu))
        self.ports[number].allowed = [(mac(number), addresses(number))]
        self.segment.fdb.set(mac(number), self.ports[number])
        self.namespace.ip(f"link set {tap} netns {self.pen.name}")
        index = self.index(veth)
        self.path.set_port(index, vni=VNI, tap=self.index(tap), on=True)
        self.path.set_sender(index, mac(number), addresses(number))
        self.path.set_destination(VNI, mac(number), Destination(index))
        self.attach(veth, self.path.from_port)
        self.attach(tap, self.path.from_engine)
        self.pen.ip(f"link set {veth} up")
        self.pen.ip(f"link set {tap} up")
        container.address(*(f"{a}/{64 if ':' in a else 24}" for a in addresses(number)), device="eth0")

    def add_remote(self, number: int, host: "Host") -> None:
        """A container of another host."""
        address = f"192.0.2.{host.number}"
        self.segment.fdb.set(mac(number), self.segment.remote(address))
        self.pen.run("bridge", "fdb", "append", mac(number), "dev", TUNNEL, "dst", address)
        tunnel = self.index(TUNNEL)
        self.path.set_sender(tunnel, mac(number), addresses(number))
        self.path.set_destination(VNI, mac(number), Destination(tunnel, MTU))

    def close(self) -> None:
        self.path.close()
        self.engine.close()


class KernelPathLab(Lab):
    """h1 with c1 and c3, h2 with c2."""

    def __init__(self) -> None:
        self.sides: list[Host] = []
        super().__init__(2)
        try:
            self.containers.append(self._add("c3"))
            for number, namespace in enumerate(self.hosts, 1):
                engine = namespace.inside(lambda n=number: Engine(local=f"192.0.2.{n}"))  # type: ignore[misc]
                self.sides.append(Host(number, namespace, self._add(f"pen{number}"), engine))
                self.sides[-1].start()
            one, two = self.sides
            for host, number in ((one, 1), (two, 2), (one, 3)):
                host.add_container(number, self.containers[number - 1])
            one.segment.add_remote("192.0.2.2")
            two.segment.add_remote("192.0.2.1")
            for host, number, of in ((one, 2, two), (two, 1, one), (two, 3, one)):
                host.add_remote(number, of)
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
