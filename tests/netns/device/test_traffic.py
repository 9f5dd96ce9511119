# SPDX-License-Identifier: Apache-2.0
"""Real traffic between two hosts: fastpath with fastpath, and fastpath with the kernel's vxlan."""

import hashlib
import json
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.support.engine import twin
from tests.support.engine.streams import Stream, pattern
from tests.support.hosts.hosts import Lab, Namespace, ip, listening, server, wait_for
from tests.support.hosts.relay import Relay

SOL_PACKET, PACKET_VNET_HDR = 263, 15  # <linux/if_packet.h>
UNDERLAYS = {"ipv4": "192.0.2.", "ipv6": "2001:db8::"}
MTU = {"ipv4": 1450, "ipv6": 1430}


def add_fastpath(lab: Lab, number: int, underlay: str) -> None:
    net, other, container = UNDERLAYS[underlay], 3 - number, lab.containers[number - 1]
    lab.hosts[number - 1].fastpath(
        *f"vxlan add vx0 id 42 local {net}{number} remote {net}{other} netns {container.name} -d".split()
    )


def add_kernel(lab: Lab, number: int, underlay: str) -> None:
    net, other, host = UNDERLAYS[underlay], 3 - number, lab.hosts[number - 1]
    ip("-n", host.name, *f"link add vx0 type vxlan id 42 local {net}{number} remote {net}{other} dstport 4789".split())
    ip("-n", host.name, "link", "set", "vx0", "netns", lab.containers[number - 1].name)
    ip("-n", lab.containers[number - 1].name, "link", "set", "vx0", "mtu", str(MTU[underlay]))


@pytest.fixture(params=["ipv4", "ipv6"])
def underlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["fastpath", "kernel"])
def pair(request: pytest.FixtureRequest, two: Lab, underlay: str) -> Lab:
    """c1 on fastpath, c2 on fastpath or on the kernel's vxlan."""
    add_fastpath(two, 1, underlay)
    (add_fastpath if request.param == "fastpath" else add_kernel)(two, 2, underlay)
    for number, container in enumerate(two.containers, 1):
        container.address(f"10.9.0.{number}/24", f"fd00:9::{number}/64")
    return two


def iperf(client: Namespace, at: Namespace, address: str, size: str, *options: str) -> dict[str, float]:
    """Send so many bytes to a server of its own (one that served listens anew, a little later); what was sent and
    received."""
    with server(at, "iperf3", "-s", "-1", port=5201):
        done = client.run("iperf3", "-c", address, "-J", "-n", size, *options)
    end = json.loads(done.stdout)["end"]
    return (
        {"sent": end["sum_sent"]["bytes"], "received": end["sum_received"]["bytes"]}
        if "sum_sent" in end
        else end["sum"]
    )


def test_everything_passes(pair: Lab, underlay: str, request: pytest.FixtureRequest) -> None:
    c1, c2 = pair.containers
    assert json.loads(ip("-n", c1.name, "-json", "link", "show", "vx0"))[0]["mtu"] == MTU[underlay]
    for address in ("10.9.0.2", "fd00:9::2"):
        c1.run("ping", "-c", "3", "-i", "0.2", address)
    # The largest packet that fits, unfragmented: 28 is the ICMP and IPv4 headers.
    c1.run("ping", "-c", "2", "-i", "0.2", "-M", "do", "-s", str(MTU[underlay] - 28), "10.9.0.2")
    c2.run("ping", "-c", "2", "-i", "0.2", "-M", "do", "-s", str(MTU[underlay] - 28), "10.9.0.1")
    for address, octets in (("10.9.0.2", "IpExtInOctets"), ("fd00:9::2", "Ip6InOctets")):
        for direction, receiver in (((), c2), (("-R",), c1)):
            tcp = iperf(c1, c2, address, "100M", *direction)
            assert tcp["received"] > 90e6, "TCP hardly moves"
            before = receiver.counts()[octets]
            udp = iperf(c1, c2, address, "1M", "-u", "-b", "20M", "-l", "1200", *direction)
            # What came in, not what iperf3 took: its socket loses many at once while it waits for a CPU.
            assert receiver.counts()[octets] - before > 0.5 * udp["sent"], "most datagrams were lost"
    worker = pair.hosts[0].stats()["workers"][0]
    if "kernel" in request.node.name:
        # A veth carries what the kernel's vxlan sends unfinished: open checksums, super-frames.
        assert worker["events"]["checksum_inferred"] > 1000
        assert worker["events"]["super_frame_inferred"] > 10
    drops = worker["drops"]
    # Nothing but what a busy machine may cause, and an IPv6 multicast before both ends were up.
    assert set(drops) <= {"underlay_full", "port_full", "port_down", "no_destination", "underlay_unreachable"}, drops


def events(host: Namespace) -> dict[str, int]:
    """The events of a host's device, summed over its workers."""
    total: Counter[str] = Counter()
    for worker in host.stats()["workers"]:
        total.update(worker["events"])
    return total


def transfer(sender: Namespace, receiver: Namespace, address: str, mebibytes: int, folder: Path) -> None:
    """Send that much by TCP, and compare what arrives."""
    block = b"".join(hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(1 << 15))  # 1 MiB, no repeats
    source, target, digest = folder / "source", folder / "target", hashlib.sha256()
    with source.open("wb") as file:
        for number in range(mebibytes):
            piece = number.to_bytes(8, "big") + block[8:]
            digest.update(piece)
            file.write(piece)
    with target.open("wb") as sink:
        listen = ["ip", "netns", "exec", receiver.name, "nc", "-l", address, "5000"]
        with subprocess.Popen(listen, stdout=sink) as listener:
            wait_for(partial(listening, receiver, 5000), "nc listens")
            with source.open("rb") as data:
                subprocess.run(
                    ["ip", "netns", "exec", sender.name, "nc", "-N", address, "5000"],
                    stdin=data,
                    check=True,
                    timeout=240,
                )
            assert listener.wait(timeout=60) == 0
    with target.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest.digest()


@pytest.mark.parametrize("form", ["offload", "wire"])
@pytest.mark.parametrize("far", ["fastpath", "kernel"])
def test_a_quarter_of_a_gigabyte_arrives_identical(two: Lab, far: str, form: str, tmp_path: Path) -> None:
    """Half of it each way, since only one end may be ours; through split, trains and merge. On `wire` no packet is
    larger than the MTU, whoever sent it."""
    if form == "wire":
        two.wire()
        if far == "kernel":  # it leaves inner checksums to the card, and a veth finishes none
            two.hosts[1].run("ethtool", "-K", "u0", "tx", "off")
    add_fastpath(two, 1, "ipv4")
    (add_fastpath if far == "fastpath" else add_kernel)(two, 2, "ipv4")
    c1, c2 = two.containers
    c1.address("10.9.0.1/24")
    c2.address("10.9.0.2/24")
    transfer(c1, c2, "10.9.0.2", 128, tmp_path)
    sent = events(two.hosts[0])
    assert sent["split"] > 1000
    assert sent["trains"] > 1000
    assert sent["train_refused"] == 0
    transfer(c2, c1, "10.9.0.1", 128, tmp_path)
    here = events(two.hosts[0])
    assert here["super_frame_refused"] == 0
    if far == "kernel" and form == "offload":
        assert here["super_frame_inferred"] > 1000  # they come in one piece
        return
    assert here["merged"] > 50_000
    assert here["trains_received"] > 1000


@pytest.mark.parametrize("inner", ["ipv4", "ipv6"])
def test_a_path_that_loses_doubles_reorders_and_marks(two: Lab, underlay: str, inner: str, tmp_path: Path) -> None:
    """Five in a hundred each: what arrives is what was sent, and congestion marks reach the connection's ends."""
    two.wire("gro", "off", "tx", "off")  # the relay reads from the wire what a card would have finished
    for number, container in enumerate(two.containers, 1):
        add_fastpath(two, number, underlay)
        container.address(f"10.9.0.{number}/24", f"fd00:9::{number}/64")
        # Without the fallback: a connection whose first SYN is lost would do without ECN.
        container.run("sysctl", "-qw", "net.ipv4.tcp_ecn=1", "net.ipv4.tcp_ecn_fallback=0")
    c1, c2 = two.containers
    c1.run("ping", "-c", "1", "10.9.0.2")
    address = {"ipv4": "10.9.0.2", "ipv6": "fd00:9::2"}[inner]
    with Relay(two, share=0.05, marks=True) as relay:
        transfer(c1, c2, address, 20, tmp_path)
    for what in ("lost", "doubled", "delayed", "marked"):
        assert relay.counts[what] > 0.02 * relay.counts["all"], relay.counts
    assert events(two.hosts[0])["split"] > 0
    there = events(two.hosts[1])
    assert there["merged"] > 0
    assert there["ecn_marked"] > 0


def test_vlan_tagged_super_frames(two: Lab) -> None:
    """A super-frame with a tag in the frame itself, as a bridge in a container passes it on."""
    for number, container in enumerate(two.containers, 1):
        add_fastpath(two, number, "ipv4")
        container.address(f"10.9.0.{number}/24")
    c1, c2 = two.containers
    c1.run("ping", "-c", "1", "10.9.0.2")
    stream = Stream(tags=(5,))
    payload = pattern(30000)
    vnet, frame = stream.super_frame(payload, 1390)
    with c1.raw() as sender, c2.raw() as receiver:
        sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        sender.send(vnet[:10] + frame)
        received: dict[int, bytes] = {}  # by where it belongs
        while sum(map(len, received.values())) < len(payload):
            data = receiver.recv(1 << 17)
            flow = twin.parse(data)
            if flow.transport and data[flow.transport : flow.transport + 4] == frame[38:42]:
                sequence = int.from_bytes(data[flow.transport + 4 : flow.transport + 8], "big")
                received[sequence] = data[flow.transport + 20 : flow.end]
    assert b"".join(received[at] for at in sorted(received)) == payload
    assert events(two.hosts[0])["split"] == 1
    assert events(two.hosts[1])["merged"] > 0
