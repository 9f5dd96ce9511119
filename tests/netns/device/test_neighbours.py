# SPDX-License-Identifier: Apache-2.0
"""Containers find each other without flooded ARP requests: the engines know every address."""

import contextlib
import json
import select
import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from fastpath import Engine, Segment
from tests.support.hosts.hosts import Lab, Namespace, ip, wait_for

ARP, IPV6 = b"\x08\x06", b"\x86\xdd"
SOLICITATION = 135


class Host(NamedTuple):
    """An engine with one container."""

    engine: Engine
    segment: Segment
    container: Namespace
    mac: str
    capture: socket.socket

    def count(self, event: str) -> int:
        """How often it has happened in the segment."""
        return self.segment.stats().tally.events.get(event, 0)

    def questions(self) -> list[bytes]:
        """The ARP requests and neighbour solicitations to a group that came in here from elsewhere."""
        found = []
        while select.select([self.capture], [], [], 0)[0]:
            data, (_, _, kind, *_) = self.capture.recvfrom(2048)
            asks = data[12:14] == ARP or (data[12:14] == IPV6 and data[54:55] == bytes([SOLICITATION]))
            if kind != socket.PACKET_OUTGOING and data[0] & 1 and asks:
                found.append(data)
        return found


def ask_once(pair: tuple[Host, Host]) -> None:
    """The kernels are not to repeat a question because an answer takes a second."""
    for host in pair:
        for family in ("ipv4", "ipv6"):
            host.container.run("sysctl", "-qw", f"net.{family}.neigh.vx0.retrans_time_ms=20000")


def mac_of(container: Namespace) -> str:
    return str(json.loads(ip("-n", container.name, "-json", "link", "show", "vx0"))[0]["address"])


@pytest.fixture
def pair(two: Lab) -> Iterator[tuple[Host, Host]]:
    """Two engines that know each other's container, 10.9.0.N and fd00:9::N; the containers have no address yet."""
    with contextlib.ExitStack() as stack:
        hosts: list[Host] = []
        for number, (namespace, container) in enumerate(zip(two.hosts, two.containers, strict=True), 1):
            engine = stack.enter_context(
                namespace.inside(lambda n=number: Engine(f"192.0.2.{n}", known_only=True))  # type: ignore[misc]
            )
            segment = engine.add_segment(42)
            namespace.inside(lambda s=segment: s.add_tap("vx0"))  # type: ignore[misc]
            ip("-n", namespace.name, "link", "set", "vx0", "netns", container.name)
            ip("-n", container.name, "link", "set", "vx0", "up")
            hosts.append(Host(engine, segment, container, mac_of(container), container.raw()))
            stack.enter_context(hosts[-1].capture)
        for here, number in ((hosts[0], 2), (hosts[1], 1)):
            here.engine.admit(f"192.0.2.{number}")
            here.segment.fdb.set(hosts[number - 1].mac, here.segment.add_remote(f"192.0.2.{number}"))
            for other, host in enumerate(hosts, 1):
                here.segment.neighbours.set(f"10.9.0.{other}", host.mac)
                here.segment.neighbours.set(f"fd00:9::{other}", host.mac)
        for host in hosts:
            host.engine.start()
        yield hosts[0], hosts[1]


def neighbour(container: Namespace, address: str) -> str:
    """What the kernel found out."""
    found = json.loads(ip("-n", container.name, "-json", "neigh", "show", address))
    return str(found[0].get("lladdr")) if found else "nothing"


def flags(container: Namespace, address: str) -> set[str]:
    """Of an address on vx0: tentative, dadfailed."""
    (link,) = json.loads(ip("-n", container.name, "-json", "address", "show", "dev", "vx0"))
    (info,) = [info for info in link["addr_info"] if info.get("local") == address]
    return {name for name in ("tentative", "dadfailed") if info.get(name)}


@pytest.fixture
def without_ipv6(two: Lab) -> None:
    for container in two.containers:
        container.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1")


@pytest.mark.usefixtures("without_ipv6")
def test_ping(pair: tuple[Host, Host]) -> None:
    """IPv4 only, so that the kernels have nothing else to flood."""
    for number, host in enumerate(pair, 1):
        host.container.address(f"10.9.0.{number}/24")
        assert host.questions() == []
    ask_once(pair)
    before = [host.count("flooded") for host in pair]
    one, two = pair
    one.container.run("ping", "-c", "3", "-i", "0.2", "10.9.0.2")
    assert neighbour(one.container, "10.9.0.2") == two.mac
    two.container.run("ping", "-c", "3", "-i", "0.2", "10.9.0.1")
    assert neighbour(two.container, "10.9.0.1") == one.mac
    assert [host.count("answered") for host in pair] == [1, 1]  # one question each
    assert [host.count("flooded") for host in pair] == before
    assert one.questions() == two.questions() == []


def test_ping_6(pair: tuple[Host, Host]) -> None:
    for number, host in enumerate(pair, 1):
        host.container.address(f"fd00:9::{number}/64")
        host.questions()
    one, two = pair
    ask_once(pair)
    one.container.run("ping", "-6", "-c", "3", "-i", "0.2", "fd00:9::2")
    two.container.run("ping", "-6", "-c", "3", "-i", "0.2", "fd00:9::1")
    assert (neighbour(one.container, "fd00:9::2"), neighbour(two.container, "fd00:9::1")) == (two.mac, one.mac)
    assert one.count("answered") == two.count("answered") == 1
    for host in pair:  # but for those after the link-local addresses, which nobody told the engines about
        assert [data for data in host.questions() if data[62:64] == b"\xfd\0"] == []


def test_whoever_takes_an_address_is_told_that_it_is_taken(pair: tuple[Host, Host]) -> None:
    one, two = pair
    ip("-n", one.container.name, "address", "add", "fd00:9::1/64", "dev", "vx0")  # its own
    ip("-n", two.container.name, "address", "add", "fd00:9::1/64", "dev", "vx0")
    wait_for(lambda: "dadfailed" in flags(two.container, "fd00:9::1"), "the second one gives up")
    wait_for(lambda: not flags(one.container, "fd00:9::1"), "the owner has its address")


def test_an_unknown_address_is_flooded(pair: tuple[Host, Host]) -> None:
    one, two = pair
    one.container.address("10.9.0.1/24")
    two.container.address("10.9.0.77/24")  # nobody told the engines
    ask_once(pair)
    one.container.run("ping", "-c", "1", "-W30", "10.9.0.77")
    assert neighbour(one.container, "10.9.0.77") == two.mac
    assert len([data for data in two.questions() if data[12:14] == ARP]) == 1
