# SPDX-License-Identifier: Apache-2.0
"""Replays: the engine does to a capture's frames what it does to live ones, the same every time, and sends nothing."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, in4_chksum
from scapy.layers.inet6 import IPv6, in6_chksum
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from fastpath import FLOOD, Forwarder, Hub
from fastpath.addresses import parse_ip
from fastpath.errors import UsageError
from fastpath.forwarder.burst import Burst
from fastpath.pcap.pcapng import PcapngWriter
from tests.support.engine import captures
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import vxlan
from tests.support.engine.replays import outer, replay
from tests.support.engine.twin_bridge import PORT, REMOTE, TwinBridge
from tests.support.examples import times

START = 1_700_000_000
HOSTS = [mac(n) for n in range(1, 7)]


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


class Twin(TwinBridge):
    """The twin with a replay's housekeeping: every ten seconds of the capture, at most."""

    aged = 0

    def pass_time(self, second: int) -> None:
        if second <= self.now:
            return
        self.aged = self.aged or second
        self.now = second
        if second - self.aged >= 10:
            self.aged = second
            self.fdb.age(second)


sources = st.sampled_from([*HOSTS * 3, BROADCAST, "00:00:00:00:00:00"])
destinations = st.sampled_from([*HOSTS * 2, BROADCAST, "01:00:5e:00:00:fb"])
pauses = st.sampled_from([0, 0, 0, 1, 4, 150, 400, -100])


@settings(max_examples=times(0.6), deadline=None)
@given(history=st.lists(st.tuples(st.integers(0, 2), sources, destinations, pauses, st.sampled_from([2, 46]))))
def test_frames_go_where_the_twin_sends_them(directory: Path, history: list[tuple[int, str, str, int, int]]) -> None:
    twin, second = Twin(range(3), (), ageing=300), START
    capture = captures.section() + b"".join(captures.interface(name=f"port{n}") for n in range(3))
    expected, drops = [], dict[str, int]()
    for serial, (port, source, destination, pause, size) in enumerate(history):
        second += pause
        data = frame(destination, source, b"\x88\xb5" + serial.to_bytes(4, "big") + bytes(size))
        capture += captures.packet(port, second * 10**6 + serial, data)
        twin.pass_time(second)
        decision = twin.forward(data, (PORT, port))
        time_ns = second * 10**9 + serial * 1000
        expected += [(f"port{n}", time_ns, data) for n in range(3) if (PORT, n) in decision.outputs]
        if decision.drop is not None:
            drops[decision.drop] = drops.get(decision.drop, 0) + 1
    found = replay(capture, directory, burst=1)
    assert found.left() == expected
    if history:
        assert found.drops == drops
        assert found.result.stats.segments[0].fdb_entries == len(twin.fdb.table)


@settings(max_examples=times(0.6), deadline=None)
@given(history=st.lists(st.tuples(st.integers(0, 2), sources, destinations), min_size=1))
def test_packets_go_where_the_twin_sends_them(directory: Path, history: list[tuple[int, str, str]]) -> None:
    """Place 0 is this VTEP's port, the others are remotes."""
    local, twin = parse_ip("192.0.2.10"), Twin([0], ())
    packets, expected, drops = [], [], dict[str, int]()
    for serial, (place, source, destination) in enumerate(history):
        data = frame(destination, source, b"\x88\xb5" + serial.to_bytes(4, "big"))
        packets.append((START * 10**9 + serial * 1000, outer(vxlan(42, data), f"192.0.2.{10 + place}")))
        decision = twin.forward(data, (REMOTE, place) if place else (PORT, 0))
        expected += [(place, packets[-1][0], data) for place in decision.outputs]
        if decision.drop is not None:
            drops[decision.drop] = drops.get(decision.drop, 0) + 1
    found = replay(captures.pcap(packets), directory, vxlan=True, local=local, burst=1)
    left = []
    for record in found.records:
        if record.interface == "local@42":
            left.append(((PORT, 0), record.time_ns, record.data))
            continue
        packet = IP(record.data)
        assert record.linktype == 101
        assert record.interface == f"remote {packet.dst} port 4789"
        assert (packet.src, packet[UDP].dport, packet[VXLAN].vni) == ("192.0.2.10", 4789, 42)
        assert packet[UDP].sport >= 49152
        given_checksum = packet.chksum
        del packet.chksum
        assert IP(bytes(packet)).chksum == given_checksum
        left.append(((REMOTE, int(packet.dst.split(".")[3]) - 10), record.time_ns, bytes(packet[VXLAN].payload)))
    assert left == expected
    assert found.drops == drops


def random_capture(count: int = 20_000) -> bytes:
    generator = np.random.default_rng(1)
    pairs = generator.integers(1, 60, (count, 2))
    packets = [
        (START * 10**9 + n * 40_000_000, frame(mac(int(to)), mac(int(of)), b"\x88\xb5" + bytes(n % 400)))
        for n, (to, of) in enumerate(pairs)
    ]
    return captures.pcap(packets)


MAP = f"a={','.join(mac(n) for n in range(1, 20))} b={','.join(mac(n) for n in range(20, 40))} c=*"


def test_the_same_capture_gives_the_same_result(directory: Path) -> None:
    capture = random_capture()
    first, second = (replay(capture, directory, ports=MAP, remotes=(parse_ip("192.0.2.2"),)) for _ in range(2))
    assert first.output == second.output
    assert first.result == second.result
    assert len({interface for interface, _, _ in first.left()}) == 4


def test_a_pipe_gives_the_same_result_as_a_file(tmp_path: Path) -> None:
    capture = random_capture()
    whole = replay(capture, tmp_path, ports=MAP)
    command = [sys.executable, "-m", "fastpath", "replay", "-", "--ports", MAP, "-o", str(tmp_path / "piped")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        for at in range(0, len(capture), 7919):
            process.stdin.write(capture[at : at + 7919])
        process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "piped").read_bytes() == whole.output


def test_a_hub_sends_every_frame_to_all_other_ports(directory: Path) -> None:
    found = replay(random_capture(500), directory, ports=MAP, make_forwarder=Hub)
    assert len(found.records) == 1000
    assert {port.traffic.drops for port in found.result.stats.ports} == {0}
    assert sum(port.traffic.rx_frames for port in found.result.stats.ports) == 500


def test_one_interface_has_two_ports(directory: Path) -> None:
    capture = captures.pcap([(0, frame(HOSTS[0], HOSTS[1])), (1, frame(HOSTS[1], HOSTS[0]))])
    found = replay(capture, directory, burst=1)
    assert found.left() == [("out", 0, frame(HOSTS[0], HOSTS[1]))]
    assert found.drops == {"same_port": 1}


def test_interfaces_that_come_later_and_other_sections(directory: Path) -> None:
    data = [frame(BROADCAST, host) for host in HOSTS]
    capture = captures.section() + captures.interface(name="a") + captures.interface()
    capture += captures.packet(0, 0, data[0]) + captures.interface(name="c") + captures.packet(2, 0, data[1])
    capture += captures.section(">") + captures.interface(name="c", order=">")
    capture += captures.packet(0, 0, data[2], order=">")
    found = replay(capture, directory, burst=1)
    left = [(name, payload) for name, _, payload in found.left()]
    assert left == [("if1", data[0]), ("a", data[1]), ("if1", data[1]), ("a", data[2]), ("if1", data[2])]


def test_names_of_interfaces_do_nothing_to_a_terminal(directory: Path) -> None:
    capture = captures.section() + captures.interface(name="a\x1b[2J") + captures.interface((2, b"\xff\n"))
    found = replay(capture + captures.packet(0, 0, frame(BROADCAST, HOSTS[0])), directory)
    assert [port.name for port in found.result.stats.ports] == ["a\\x1b[2J", "\N{REPLACEMENT CHARACTER}\\x0a"]


def test_what_is_not_replayed_is_counted(directory: Path) -> None:
    whole = frame(BROADCAST, HOSTS[0])
    capture = captures.section() + captures.interface() + captures.interface(linktype=101)
    capture += captures.packet(0, 0, whole) + captures.packet(0, 0, whole, original=70_000)
    capture += captures.packet(0, 0, whole, outbound=True) + captures.packet(1, 0, whole)
    capture += captures.packet(0, 0, whole + bytes(66_000)) + captures.packet(0, 0, frame(BROADCAST, HOSTS[1]))
    capture += captures.packet(0, 0, whole[:13]) + captures.packet(7, 0, whole)
    found = replay(capture + b"\6\0\0\0", directory, ports=f"a={HOSTS[0]} b=")
    skipped = {"odd": 1, "cut_off": 1, "outbound": 1, "other_link": 1, "too_long": 1, "no_port": 2}
    assert found.result.skipped == skipped
    assert found.result.records == 7
    assert found.result.cut
    assert [data for _, _, data in found.left()] == [whole]


def test_what_was_cut_off_has_its_length_again(directory: Path) -> None:
    """With zeros for what is not known; as many of them as one burst takes, and more, of different lengths."""
    frames = [frame(BROADCAST, HOSTS[0], bytes([n % 250 + 1]) * (50 + n)) for n in range(200)]
    capture = captures.section() + captures.interface()
    capture += b"".join(captures.packet(0, 0, data[:40], original=len(data)) for data in frames)
    found = replay(capture, directory, ports=f"a={HOSTS[0]} b=")
    assert found.result.skipped == {}
    assert found.result.mended == {"filled": len(frames)}
    assert [data for _, _, data in found.left()] == [data[:40].ljust(len(data), b"\0") for data in frames]


@pytest.mark.parametrize("kind", [TCP, UDP])
@pytest.mark.parametrize("ip", [IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fd00::1", dst="fd00::2")])
def test_open_checksums_are_computed(directory: Path, kind: type[Packet], ip: Packet) -> None:
    whole = Ether(bytes(Ether(src=HOSTS[0], dst=BROADCAST) / ip / kind(dport=80) / Raw(b"x" * 333)))
    opened = whole.copy()
    protocol, zeros = 6 if kind is TCP else 17, bytes(len(whole[kind]))
    pseudo: Any = in4_chksum if isinstance(ip, IP) else in6_chksum
    opened[kind].chksum = ~pseudo(protocol, whole[type(ip)], zeros) & 0xFFFF
    frames = [bytes(whole), bytes(opened)]
    found = replay(captures.pcap([(0, data) for data in frames]), directory, ports=f"a={HOSTS[0]} b=")
    assert found.result.mended == {"open_checksums": 1}
    assert [data for _, _, data in found.left()] == [bytes(whole)] * 2


@pytest.mark.parametrize("link", [0, 12, 14, 101, 108, 113, 228, 276])
def test_the_outer_packet_may_be_of_many_links(directory: Path, link: int) -> None:
    packet = outer(vxlan(42, frame(BROADCAST, HOSTS[0])), "192.0.2.2")[14:]  # without its Ethernet header
    front = {
        0: struct.pack("<I", 2),
        108: struct.pack(">I", 2),
        113: bytes(14) + b"\x08\x00",
        276: b"\x08\x00" + bytes(18),
    }.get(link, b"")
    found = replay(captures.pcap([(0, front + packet)] * 3, linktype=link), directory, vxlan=True)
    assert found.result.skipped == {}
    assert found.result.stats.tallies[0].traffic.rx_frames == 3


@pytest.mark.parametrize("length", [0, 65535])
def test_an_access_list_sees_what_lies_about_its_length(directory: Path, length: int) -> None:
    class Seen(Forwarder):
        ports: list[int] = []  # noqa: RUF012  # of the class, since the replay makes its own

        def forward(self, burst: Burst) -> None:
            self.ports.extend(burst.dst_port.tolist())

    tagged = Ether(src=HOSTS[0], dst=BROADCAST) / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3)
    ip = IP(src="10.0.0.1", dst="10.0.0.2", len=length) / TCP(dport=22)
    frames = [bytes(Ether(src=HOSTS[0], dst=BROADCAST) / ip), bytes(tagged / ip)]
    replay(captures.pcap([(0, data) for data in frames]), directory, make_forwarder=Seen)
    assert Seen.ports == [22, 22]


def test_packets_are_written_as_the_writer_in_python_does(directory: Path) -> None:
    packets = [(size * 9_000_000_001, frame(BROADCAST, HOSTS[0], bytes(size))) for size in range(2, 12)]
    found = replay(captures.pcap(packets, magic=captures.NANO), directory)
    file = io.BytesIO()
    writer = PcapngWriter(file)
    _, out = writer.interface("in"), writer.interface("out")
    for time_ns, data in packets:
        writer.packet(out, time_ns, data)
    assert found.output == file.getvalue()


def test_runts_are_dropped(directory: Path) -> None:
    assert replay(captures.pcap([(0, bytes(size)) for size in range(14)]), directory).drops == {"runt": 14}


def test_vxlan_packets_and_others(directory: Path) -> None:
    data = frame(BROADCAST, HOSTS[0])
    packets = [
        outer(vxlan(7, data), "192.0.2.2"),
        outer(vxlan(8, data), "192.0.2.3"),
        outer(vxlan(7, data), "192.0.2.2", udp_port=53),
        outer(vxlan(7, data), "192.0.2.2")[:-1],
        outer(vxlan(7, data, flags=0), "192.0.2.2"),
        outer(b"short", "192.0.2.2"),
        data,
    ]
    found = replay(captures.pcap([(n, packet) for n, packet in enumerate(packets)]), directory, vxlan=True)
    assert found.left() == [("local@7", 0, data), ("local@8", 0, data)]
    assert found.result.skipped == {"not_vxlan": 3}
    assert found.result.stats.workers[0].drops == {"no_vni_flag": 1, "short_packet": 1}
    assert [(remote.address, remote.traffic.rx_frames) for remote in found.result.stats.remotes] == [
        ("192.0.2.2", 1),
        ("192.0.2.3", 1),
    ]


@pytest.mark.parametrize(("linktype", "head"), [(101, b""), (113, bytes(14) + b"\x08\0")])
def test_vxlan_packets_without_an_ethernet_header(directory: Path, linktype: int, head: bytes) -> None:
    data = frame(BROADCAST, HOSTS[0])
    packet = head + outer(vxlan(7, data), "192.0.2.2")[14:]
    found = replay(captures.pcap([(5000, packet)] * 2, linktype=linktype), directory, vxlan=True)
    assert found.left() == [("local@7", 5000, data)] * 2


def test_segments_are_bounded(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastpath.control.replay.session.MOST_SEGMENTS", 3)
    packets = [(0, outer(vxlan(vni, frame(BROADCAST, HOSTS[0])), "192.0.2.2")) for vni in range(5)]
    found = replay(captures.pcap(packets), directory, vxlan=True)
    assert [segment.vni for segment in found.result.stats.segments] == [0, 1, 2]
    assert found.result.stats.workers[0].drops == {"unknown_vni": 2}


def test_congestion_marks_of_the_underlay_count(directory: Path) -> None:
    inner = frame(BROADCAST, HOSTS[0], b"\x08\0" + bytes(IP(src="10.0.0.1", dst="10.0.0.2", tos=2) / UDP()))
    found = replay(captures.pcap([(0, outer(vxlan(7, inner), "192.0.2.2", tos=3))]), directory, vxlan=True)
    assert found.result.stats.workers[0].events["ecn_marked"] == 1
    assert IP(found.records[0].data[14:]).tos == 3


def test_what_was_written_can_be_replayed(directory: Path) -> None:
    capture = captures.pcap([(9000, frame(BROADCAST, HOSTS[0]))])
    first = replay(capture, directory, remotes=(parse_ip("192.0.2.2"),))
    assert [record.interface for record in first.records] == ["out", "remote 192.0.2.2 port 4789"]
    again = replay(first.output, directory, vxlan=True)
    assert again.left() == [("local@1", 9000, frame(BROADCAST, HOSTS[0]))]


def test_ipv6_underlays(directory: Path) -> None:
    local, remote = parse_ip("2001:db8::1"), parse_ip("2001:db8::2")
    first = replay(captures.pcap([(9000, frame(BROADCAST, HOSTS[0]))]), directory, remotes=(remote,))
    again = replay(first.output, directory, vxlan=True)
    assert again.left() == [("local@1", 9000, frame(BROADCAST, HOSTS[0]))]
    assert local.version == first.records[1].data[0] >> 4


def test_pauses_are_kept_by_the_clock_that_is_given(directory: Path) -> None:
    now, slept = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(round(seconds, 6))
        now += seconds

    times = [5_000_000_000, 5_000_000_000, 5_250_000_000, 5_100_000_000, 7_250_000_000]
    capture = captures.pcap([(time_ns, frame(BROADCAST, HOSTS[0])) for time_ns in times])
    found = replay(capture, directory, timed=True, sleep=sleep, clock=lambda: now)
    assert slept == [0.25, 2.0]
    assert [time_ns for _, time_ns, _ in found.left()] == times


class Odd(Forwarder):
    """In Python: frames with an odd last byte of the source address go to c, the others are dropped."""

    tick_interval = 10.0

    def __init__(self) -> None:
        self.ticks = 0
        self.sizes: list[int] = []

    def start(self) -> None:
        self.even = self.reason("even")

    def forward(self, burst: Burst) -> None:
        self.sizes.append(len(burst))
        burst.out = np.where(burst.src_mac & np.uint64(1) == 1, self.port("c"), self.even)

    def tick(self) -> None:
        self.ticks += 1


def test_a_forwarder_in_python(directory: Path) -> None:
    capture = random_capture(10_000)
    odd: list[Odd] = []

    def make() -> Odd:
        odd.append(Odd())
        return odd[-1]

    first, second = (replay(capture, directory, ports=MAP, make_forwarder=make) for _ in range(2))
    assert first.output == second.output
    assert first.result == second.result
    sent = [(time_ns, data) for time_ns, data in captures.read_pcap(capture) if data[11] & 1]
    assert [(time_ns, data) for _, time_ns, data in first.left()] == sent
    assert {name for name, _, _ in first.left()} == {"c"}
    assert first.result.stats.segments[0].forwarder.counters == {"even": 10_000 - len(sent)}
    assert odd[0].ticks == odd[1].ticks == 39  # 400 seconds; the first at 10 s after the first frame
    assert odd[0].sizes == odd[1].sizes
    assert max(odd[0].sizes) <= 64


class Watch(Forwarder):
    """In Python: notes when it was asked, in seconds since its start."""

    tick_interval = 1.0

    def __init__(self) -> None:
        self.said: list[tuple[str, float]] = []

    def start(self) -> None:
        self.began = self.now

    def forward(self, burst: Burst) -> None:
        self.said.append(("frames", round(burst.now - self.began, 3)))
        burst.out[:] = FLOOD

    def tick(self) -> None:
        self.said.append(("tick", round(self.now - self.began, 3)))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 0.5, 3.2], [("frames", 0.5), ("tick", 1.0), ("tick", 2.0), ("tick", 3.0), ("frames", 3.2)]),
        ([0.0, 0.25, 0.75], [("frames", 0.75)]),
        ([0.0, 1.0], [("frames", 0.0), ("tick", 1.0), ("frames", 1.0)]),
    ],
)
def test_time_is_that_of_the_frames(directory: Path, times: list[float], expected: list[tuple[str, float]]) -> None:
    """A burst is as late as its last frame, and what is due in a pause comes before the frames behind it."""
    watch = Watch()
    frames = [(10**18 + int(seconds * 10**9), frame(BROADCAST, HOSTS[0])) for seconds in times]
    replay(captures.pcap(frames), directory, ports=MAP, make_forwarder=lambda: watch)
    assert [(what, round(at, 2)) for what, at in watch.said] == expected


def test_a_long_pause_has_a_thousand_ticks_at_most(directory: Path) -> None:
    watch = Watch()
    frames = [(10**18 + int(seconds * 10**9), frame(BROADCAST, HOSTS[0])) for seconds in (0, 10**6)]
    replay(captures.pcap(frames), directory, ports=MAP, make_forwarder=lambda: watch)
    ticks = [at for what, at in watch.said if what == "tick"]
    assert len(ticks) == 1001
    assert ticks[-1] == pytest.approx(10**6, abs=0.01)


def test_no_socket_is_opened(directory: Path) -> None:
    def sockets() -> set[str]:
        found = set()
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # that of the directory itself
                found.add(os.readlink(f"/proc/self/fd/{fd}"))
        return {link for link in found if link.startswith("socket:")}

    before, during = sockets(), []
    packets = [(0, outer(vxlan(7, frame(BROADCAST, HOSTS[0])), "192.0.2.2")), (10**9, b"")]
    replay(captures.pcap(packets), directory, vxlan=True, timed=True, sleep=lambda _: during.append(sockets()))
    assert during == [before]


def test_a_damaged_capture_is_one_line(directory: Path) -> None:
    damaged = captures.pcap([(0, frame(BROADCAST, HOSTS[0]))]) + struct.pack("<IIII", 0, 0, 1 << 20, 1)
    with pytest.raises(UsageError, match=r"^in: a record claims to be longer than any packet is \(byte \d+\)$"):
        replay(damaged, directory)


MEMORY = """
import resource, sys
from fastpath.control.replay.session import Plan, Session
from fastpath.forwarder.forwarder import LearningBridge
from fastpath.pcap.pcap import CaptureReader

def run(name):
    with open(name, "rb", buffering=0) as file:
        return Session(Plan(LearningBridge), CaptureReader(file, name)).run().records

run(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
records = run(sys.argv[2])
print(records, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_file_needs_no_memory(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(captures.pcap([]) + bytes(16 * 1000))
    with large.open("wb") as file:
        file.write(captures.pcap([]))
        file.truncate(24 + (200 << 20))  # zeros, which take no room on the disk: records without a byte
    done = subprocess.run([sys.executable, "-c", MEMORY, small, large], capture_output=True, check=True)
    records, kilobytes = map(int, done.stdout.split())
    assert records == (200 << 20) // 16
    assert kilobytes < 50 << 10
