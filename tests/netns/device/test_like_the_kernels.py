# SPDX-License-Identifier: Apache-2.0
"""A device does as the kernel's vxlan in what happens around it: addresses that come later, interfaces that go down,
namespaces that are deleted, policy routes, and peers without checksums."""

import socket
import struct

import pytest

from tests.support.hosts.hosts import Lab, Namespace, ip, wait_for

FLOOD, STATION = "00:00:00:00:00:00", "02:00:00:00:00:0a"
REMOTE_ARP = b"\xff" * 6 + bytes.fromhex(STATION.replace(":", "")) + b"\x88\xb5" + bytes(46)


def learned(host: Namespace) -> list[str]:
    """The stations that the device heard of."""
    lines = host.fastpath("fdb", "show", "dev", "vx0").stdout.splitlines()
    return [line.split()[0] for line in lines if " dst " in line and not line.startswith(FLOOD)]


def say(host: Namespace, to: str) -> None:
    """Let a remote send a frame of a station there."""

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(struct.pack(">II", 1 << 27, 42 << 8) + REMOTE_ARP, (to, 4789))

    host.inside(send)


def arrived(host: Namespace) -> int:
    """How many frames came from remotes."""
    count: int = host.stats()["segments"][0]["tally"]["traffic"]["rx_frames"]
    return count


def mtu(host: Namespace) -> int:
    """The MTU of vx0."""
    return int(host.run("cat", "/sys/class/net/vx0/mtu").stdout)


def kernels(host: Namespace, words: str) -> None:
    """Make the kernel's device."""
    host.ip(f"link add vx0 type vxlan id 42 dstport 4789 {words}")
    host.address("10.9.0.2/24", "fd00:9::2/64")


def test_what_was_learned_goes_when_the_interface_goes_down(two: Lab) -> None:
    h1, h2 = two.hosts
    h1.fastpath(*"vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 -d".split())
    h1.ip("link set vx0 up")
    wait_for(lambda: say(h2, "192.0.2.1") or STATION in learned(h1), "it is learned")  # type: ignore[func-returns-value]
    h1.ip("link set vx0 down")
    assert STATION not in learned(h1)
    before = arrived(h1)
    say(h2, "192.0.2.1")
    wait_for(lambda: arrived(h1) > before, "it came in")
    assert STATION not in learned(h1)
    h1.ip("link set vx0 up")
    wait_for(lambda: say(h2, "192.0.2.1") or STATION in learned(h1), "it is learned again")  # type: ignore[func-returns-value]


def test_the_local_address_may_come_later(two: Lab) -> None:
    h1, h2 = two.hosts
    kernels(h2, "local 192.0.2.2 remote 192.0.2.1")
    h1.ip("address del 192.0.2.1/24 dev u0")
    h1.fastpath(*"vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 -d".split())
    h1.address("10.9.0.1/24")
    h1.ip("address add 192.0.2.1/24 dev u0")
    wait_for(lambda: h1.run("ping", "-c1", "-W1", "10.9.0.2", check=False).returncode == 0, "they see each other")


def test_a_tentative_local_address(two: Lab) -> None:
    h1 = two.hosts[0]
    h1.run("sysctl", "-qw", "net.ipv6.conf.u0.accept_dad=1", "net.ipv6.conf.u0.dad_transmits=30")
    h1.ip("address add 2001:db8:7::1/64 dev u0")
    assert "tentative" in h1.ip("-6 address show dev u0 to 2001:db8:7::1")
    h1.fastpath(*"vxlan add vx0 id 42 local 2001:db8:7::1 remote 2001:db8:7::2 -d".split())
    assert h1.fastpath("vxlan", "show", "vx0").returncode == 0


def test_the_mtu_is_that_of_the_route_from_the_local_address(two: Lab) -> None:
    """A host with several interfaces has a table for each source address."""
    h1, h2 = two.hosts
    ip(
        "link",
        "add",
        "u1",
        "netns",
        h1.name,
        "mtu",
        "1400",
        "type",
        "veth",
        "peer",
        "u1",
        "netns",
        h2.name,
        "mtu",
        "1400",
    )
    h1.address("198.51.100.1/24", device="u1")
    h2.address("198.51.100.2/24", device="u1")
    h1.ip("route add 203.0.113.2 via 192.0.2.2")
    h1.ip("rule add from 198.51.100.1 table 100")
    h1.ip("route add 203.0.113.2 via 198.51.100.2 table 100")
    h1.fastpath(*"vxlan add vx0 id 42 local 198.51.100.1 remote 203.0.113.2 -d".split())
    assert mtu(h1) == 1350
    h1.fastpath("vxlan", "del", "vx0")
    h1.fastpath(*"vxlan add vx0 id 42 local 192.0.2.1 remote 203.0.113.2 -d".split())
    assert mtu(h1) == 1450


def test_the_mtu_fits_the_largest_packet(two: Lab) -> None:
    """Over the loopback interface, whose MTU is larger than an IPv4 packet can be."""
    h1 = two.hosts[0]
    h1.fastpath(*"vxlan add vx0 id 42 local 127.0.0.1 remote 127.0.0.2 -d".split())
    assert mtu(h1) == 65535 - 20 - 8 - 8 - 14


@pytest.mark.parametrize("words", ["udp6zerocsumtx udp6zerocsumrx", "noudp6zerocsumtx udp6zerocsumrx"])
def test_a_remote_without_checksums(two: Lab, words: str) -> None:
    h1, h2 = two.hosts
    for number, host in enumerate((h1, h2), 1):
        host.address(f"2001:db8:7::{number}/64", device="u0")
    kernels(h2, f"local 2001:db8:7::2 remote 2001:db8:7::1 {words}")
    h1.fastpath(*"vxlan add vx0 id 42 local 2001:db8:7::1 remote 2001:db8:7::2 -d".split())
    h1.address("10.9.0.1/24")
    assert " 0% packet loss" in h1.run("ping", "-c", "5", "-i", "0.2", "-W", "30", "10.9.0.2").stdout


def test_who_deletes_the_namespace_means_the_device(two: Lab) -> None:
    h1 = two.hosts[0]
    h1.fastpath(*"vxlan add vx0 id 42 local 192.0.2.1 remote 192.0.2.2 -d".split())
    pids = h1.pids()
    assert pids
    ip("netns", "delete", h1.name)
    wait_for(lambda: not any(alive(pid) for pid in pids), "the device's process ends")
    ip("netns", "add", h1.name)  # the lab wants to remove it


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
