# SPDX-License-Identifier: Apache-2.0
"""The pen of a host and the vxlan devices in it, from whatever state they are in."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import TypeVar

import pytest

from fastpath.control.drivers import naming
from fastpath.control.drivers.overlay.pen import Pen
from fastpath.control.kernel.netlink.tunnels import Tunnel
from fastpath.control.kernel.visit import Visits
from fastpath.errors import ConflictError
from fastpath.kernelpath.path import KernelPath
from tests.support.hosts import hosts
from tests.support.hosts.hosts import Namespace, ip

T = TypeVar("T")
TUNNEL = Tunnel(42, ip_address("192.0.2.1"), 14789, (49152, 65535))
PEERS = {"02:00:00:00:00:02": ip_address("192.0.2.2"), "02:00:00:00:00:03": ip_address("192.0.2.3")}


class PenLab:
    """A host in a namespace; its name is the namespace's, so that no other test's pen is meant."""

    def __init__(self) -> None:
        self.host = Namespace.named(hosts.PREFIX, "pen").add()
        self.host.ip("link add u0 type bridge")
        self.host.address("192.0.2.1/24", "2001:db8::1/64", device="u0")
        self.pen = naming.pen_name(self.host.name)
        self.path = KernelPath()

    def do(self, function: Callable[[Pen], T]) -> T:
        """Call a function as a process would that knows nothing of the earlier ones."""

        def call() -> T:
            with Visits() as visits:
                return function(Pen(self.host.name, visits))

        return self.host.inside(call)

    def ensure(self, tunnel: Tunnel = TUNNEL, mtu: int = 1450) -> int:
        def make(pen: Pen) -> int:
            index = pen.ensure_tunnel(naming.of_network(self.host.name, "blue"), tunnel, mtu, self.path.from_tunnel)
            pen.ensure_tunnel_entries(tunnel.vni, PEERS)
            return index

        return self.do(make)

    def device(self) -> dict[str, object]:
        (found,) = json.loads(ip("-n", self.pen, "-d", "-json", "link", "show", "vx42"))
        return dict(found)

    def entries(self) -> set[tuple[str, str]]:
        listed = ip("netns", "exec", self.pen, "bridge", "-json", "fdb", "show", "dev", "vx42")
        return {(each["mac"], each["dst"]) for each in json.loads(listed)}

    def close(self) -> None:
        self.do(Pen.remove)
        self.path.close()
        self.host.remove()


@pytest.fixture
def lab() -> Iterator[PenLab]:
    hosts.remove_leftovers()
    made = PenLab()
    try:
        yield made
    finally:
        made.close()


def listening(lab: PenLab) -> bool:
    """Whether the host has the device's socket: another one cannot have its port."""

    def refused() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(("192.0.2.1", 14789))
            except OSError:
                return True
            return False

    return lab.host.inside(refused)


def test_a_device_is_in_the_pen_and_its_socket_in_the_host(lab: PenLab) -> None:
    index = lab.ensure()
    device = lab.device()
    assert (device["ifindex"], device["mtu"], device["ifalias"]) == (
        index,
        1450,
        f"fastpath:{lab.host.name}:network:blue",
    )
    data = device["linkinfo"]["info_data"]  # type: ignore[index]
    assert (data["id"], data["port"], data["local"], data["learning"]) == (42, 14789, "192.0.2.1", False)
    assert data["port_range"] == {"low": 49152, "high": 65535}
    assert lab.entries() == {(mac, str(vtep)) for mac, vtep in PEERS.items()}
    assert listening(lab)
    assert "vx42" not in lab.host.links()
    assert lab.do(Pen.programs) == {"vx42": lab.path.from_tunnel.id}


def test_nothing_in_the_pen_has_an_address(lab: PenLab) -> None:
    lab.ensure()
    assert json.loads(ip("-n", lab.pen, "-json", "address", "show", "up")) != []
    listed = json.loads(ip("-n", lab.pen, "-json", "address"))
    assert [each["addr_info"] for each in listed if each] == [[]] * len(listed)


def test_a_second_look_changes_nothing(lab: PenLab) -> None:
    index, before = lab.ensure(), lab.device()
    assert lab.ensure() == index
    assert lab.device() == before


def test_entries_and_program_are_repaired(lab: PenLab, caplog: pytest.LogCaptureFixture) -> None:
    index = lab.ensure()
    inside = ("netns", "exec", lab.pen)
    ip(*inside, "bridge", "fdb", "del", "02:00:00:00:00:02", "dev", "vx42")
    ip(*inside, "bridge", "fdb", "replace", "02:00:00:00:00:03", "dev", "vx42", "dst", "192.0.2.9")
    ip(*inside, "bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vx42", "dst", "192.0.2.9")
    ip(*inside, "tc", "qdisc", "del", "dev", "vx42", "clsact")
    with caplog.at_level(logging.WARNING):
        assert lab.ensure(mtu=1400) == index
    assert lab.entries() == {(mac, str(vtep)) for mac, vtep in PEERS.items()}
    assert lab.device()["mtu"] == 1400
    assert lab.do(Pen.programs) == {"vx42": lab.path.from_tunnel.id}
    assert "vx42 had lost its program" in caplog.text


@pytest.mark.parametrize(
    "other",
    [
        Tunnel(42, ip_address("192.0.2.1"), 14790, (49152, 65535)),
        Tunnel(42, ip_address("192.0.2.1"), 14789, (50000, 50010)),
        Tunnel(42, ip_address("2001:db8::1"), 14789, (49152, 65535)),
    ],
)
def test_a_device_that_was_made_otherwise_is_made_anew(lab: PenLab, other: Tunnel) -> None:
    index = lab.do(
        lambda pen: pen.ensure_tunnel(naming.of_network(lab.host.name, "blue"), other, 1430, lab.path.from_tunnel)
    )
    assert lab.ensure() != index
    assert lab.entries() == {(mac, str(vtep)) for mac, vtep in PEERS.items()}


def test_a_device_and_the_pen_are_removed(lab: PenLab) -> None:
    lab.ensure()
    lab.do(lambda pen: pen.remove_tunnel(42))
    lab.do(lambda pen: pen.remove_tunnel(42))
    assert not listening(lab)
    assert lab.do(Pen.programs) == {}
    lab.ensure()
    lab.do(Pen.remove)
    assert lab.pen not in hosts.namespaces()
    assert not listening(lab)
    lab.do(Pen.remove)


def test_a_namespace_of_somebody_else_is_left_alone(lab: PenLab) -> None:
    ip("netns", "add", lab.pen)
    try:
        with pytest.raises(ConflictError, match="is not fastpath's"):
            lab.ensure()
    finally:
        ip("netns", "del", lab.pen)
