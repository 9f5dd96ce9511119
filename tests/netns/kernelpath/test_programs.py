# SPDX-License-Identifier: Apache-2.0
"""The decisions of the kernel path's programs, frame by frame, beside a slow twin. They run on the loopback's index."""

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from fastpath.errors import RefusedError, UsageError
from fastpath.kernelpath import OBJECT
from fastpath.kernelpath.path import Destination, KernelPath
from fastpath.kernelpath.programs import VERDICT_SENTENCES, Programs
from tests.attacks import spoofing
from tests.support import bpf
from tests.support.engine.frames import mac, mutants
from tests.support.engine.twin_allowed import Senders, refusal
from tests.support.engine.twin_kernel_path import decide

LOOPBACK, OTHER_PORT, TAP, VNI, MTU, PEER = 1, 0x7F000001, 0x7F000002, 42, 1450, 0xC0000202
OWN, LOCAL, REMOTE, UNKNOWN = mac(1), mac(2), mac(3), mac(4)
SENDERS: Senders = {
    OWN: (ip_address("10.9.0.1"), ip_address("fd09::1")),
    mac(5): (ip_address("10.9.0.5"),),
}


@pytest.fixture(scope="module")
def path() -> Iterator[KernelPath]:
    with KernelPath() as made:
        made.set_port(LOOPBACK, vni=VNI, tap=TAP, on=True)
        made.set_port(OTHER_PORT, vni=VNI, tap=TAP + 1, on=True)
        for sender, addresses in SENDERS.items():
            made.set_sender(LOOPBACK, sender, addresses)
        made.set_destination(VNI, LOCAL, Destination(OTHER_PORT))
        made.set_destination(VNI, REMOTE, Destination(TAP + 2, MTU))
        yield made


def verdict(path: KernelPath, frame: Packet | bytes, program: str = "from_port", **more: int) -> str:
    """The name of the only counter that has changed."""
    before = path.verdicts()
    returned = bpf.run(getattr(path, program).fd, bytes(frame), **more)
    (name,) = [name for name, count in path.verdicts().items() if count != before[name]]
    assert returned == (bpf.SHOT if name.startswith("drop") else bpf.REDIRECT)
    return name


def ip(dst: str = REMOTE, src: str = OWN, ip: str = "10.9.0.1", **more: Any) -> Packet:
    return Ether(dst=dst, src=src) / IP(src=ip, dst="10.9.0.9", **more)


def ip6(dst: str = REMOTE, src: str = OWN, ip: str = "fd09::1") -> Packet:
    return Ether(dst=dst, src=src) / IPv6(src=ip, dst="fd09::9")


FRAMES: dict[str, tuple[Packet, str]] = {
    "tcp": (ip() / TCP(), "to_remote"),
    "tcp6": (ip6() / TCP(), "to_remote"),
    "tcp6, link-local": (ip6(ip="fe80::ff:fe00:1") / TCP(), "to_remote"),
    "tcp6, another one's link-local": (ip6(ip="fe80::ff:fe00:2") / TCP(), "engine_source"),
    "tcp6, mapped": (ip6(ip="::ffff:10.9.0.1") / TCP(), "engine_source"),
    "tcp6, from nowhere": (ip6(ip="::") / TCP(), "engine_source"),
    "tcp, local": (ip(LOCAL) / TCP(), "to_local"),
    "tcp, unknown": (ip(UNKNOWN) / TCP(), "engine_destination"),
    "tcp, broadcast": (ip("ff:ff:ff:ff:ff:ff") / TCP(), "engine_destination"),
    "tcp, spoofed address": (ip(ip="10.9.0.5") / TCP(), "engine_source"),
    "tcp, spoofed MAC": (ip(src=LOCAL) / TCP(), "engine_source"),
    "tcp, options of IP": (ip(options=b"\x94\x04\0\0") / TCP(), "engine_kind"),
    "tcp, first fragment": (ip(flags="MF") / TCP() / Raw(bytes(64)), "engine_kind"),
    "tcp, later fragment": (ip(frag=8) / TCP(), "engine_kind"),
    "tcp, tagged": (Ether(dst=REMOTE, src=OWN) / Dot1Q(vlan=7) / IP(src="10.9.0.1") / TCP(), "engine_kind"),
    "tcp, header cut off": (Ether(bytes(ip() / TCP())[:50]), "engine_kind"),
    "tcp, offset past the end": (ip() / TCP(dataofs=15), "engine_kind"),
    "tcp, as big as it may be": (ip() / TCP() / Raw(bytes(MTU - 40)), "to_remote"),
    "tcp, too big": (ip() / TCP() / Raw(bytes(MTU - 39)), "engine_size"),
    "tcp, local and too big": (ip(LOCAL) / TCP() / Raw(bytes(MTU)), "to_local"),
    "udp": (ip() / UDP(), "engine_kind"),
    "udp, local": (ip(LOCAL) / UDP(sport=9, dport=9), "to_local"),
    "udp, local, later fragment": (ip(LOCAL, frag=8, proto=17) / Raw(bytes(64)), "to_local"),
    "udp, a DHCP server": (ip(LOCAL) / UDP(sport=67, dport=9), "engine_kind"),
    "udp, an answer to a DHCP client": (ip(LOCAL) / UDP(sport=9, dport=68), "engine_kind"),
    "udp6, a DHCP server": (ip6(LOCAL) / UDP(sport=547, dport=9), "engine_kind"),
    "ping": (ip() / ICMP(), "engine_kind"),
    "ping, local": (ip(LOCAL) / ICMP(), "to_local"),
    "arp reply": (spoofing.arp_reply(OWN, REMOTE, "10.9.0.1", "10.9.0.9"), "to_remote"),
    "arp request": (Ether(dst=REMOTE, src=OWN) / ARP(hwsrc=OWN, psrc="10.9.0.1"), "to_remote"),
    "arp, spoofed address": (spoofing.arp_reply(OWN, REMOTE, "10.9.0.5", "10.9.0.9"), "engine_source"),
    "arp, spoofed MAC": (Ether(dst=REMOTE, src=OWN) / ARP(hwsrc=mac(5), psrc="10.9.0.1"), "engine_kind"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_each_kind_of_frame(path: KernelPath, name: str) -> None:
    frame, wanted = FRAMES[name]
    assert verdict(path, frame) == wanted
    assert decide(bytes(frame), SENDERS, {LOCAL}, {REMOTE}, MTU) == wanted


def discovery(kind: int, source: str, target: str, option: bytes = b"", hops: int = 255) -> bytes:
    body = struct.pack(">BBHI", kind, 0, 0, 0) + ip_address(target).packed + option
    head = struct.pack(">IHBB", 6 << 28, len(body), 58, hops)
    ethernet = bytes.fromhex((REMOTE + OWN).replace(":", "")) + b"\x86\xdd"
    return ethernet + head + ip_address(source).packed + ip_address("fd09::9").packed + body


@pytest.mark.parametrize(
    ("frame", "wanted"),
    [
        (discovery(135, "fd09::1", "fd09::9"), "to_remote"),
        (discovery(135, "fd09::1", "fd09::9", b"\1\1" + bytes.fromhex(OWN.replace(":", ""))), "to_remote"),
        (discovery(135, "fd09::1", "fd09::9", b"\1\1" + bytes(6)), "engine_kind"),
        (discovery(136, "fd09::1", "fd09::1", b"\2\1" + bytes.fromhex(OWN.replace(":", ""))), "to_remote"),
        (discovery(136, "fd09::1", "fd09::5"), "engine_kind"),
        (discovery(136, "fd09::5", "fd09::5"), "engine_source"),
        (discovery(135, "fd09::1", "fd09::9", hops=254), "engine_kind"),
        (discovery(134, "fd09::1", "fd09::9"), "engine_kind"),
        (discovery(137, "fd09::1", "fd09::9"), "engine_kind"),
    ],
)
def test_neighbour_discovery(path: KernelPath, frame: bytes, wanted: str) -> None:
    assert verdict(path, frame) == wanted
    assert decide(frame, SENDERS, {LOCAL}, {REMOTE}, MTU) == wanted


def known_places(frame: bytes) -> bytes:
    """Mutants rarely come from anybody that is known."""
    return bytes.fromhex((REMOTE if len(frame) % 2 else LOCAL).replace(":", "") + OWN.replace(":", "")) + frame[12:]


def known_addresses(frame: bytes) -> bytes:
    if frame[12:14] == b"\x08\x00":
        return frame[:26] + ip_address("10.9.0.1").packed + frame[30:]
    return frame[:22] + ip_address("fd09::1").packed + frame[38:] if frame[12:14] == b"\x86\xdd" else frame


@settings(max_examples=400, deadline=None, database=None)
@example(bytes(ip() / TCP()))
@given(mutants().map(lambda frame: known_addresses(known_places(frame))) | mutants().map(known_places) | mutants())
def test_any_frame_meets_the_fate_that_the_twin_says(path: KernelPath, frame: bytes) -> None:
    assume(len(frame) > bpf.shortest(frame))
    found = verdict(path, frame)
    assert found == decide(frame, SENDERS, {LOCAL}, {REMOTE}, MTU), frame.hex()
    if found in ("to_local", "to_remote"):
        assert refusal(frame, SENDERS) is None, f"the engine would refuse {frame.hex()}"


@settings(max_examples=50, deadline=None, database=None)
@given(st.integers(1, 65535), st.integers(1, 40000))
def test_super_frames_fit_by_their_segments(path: KernelPath, segment: int, size: int) -> None:
    """The headers have 54 bytes."""
    frame = bytes(ip() / TCP() / Raw(bytes(min(size, 3000))))
    wanted = "to_remote" if segment + 40 <= MTU else "engine_size"
    if segment * 2048 < len(frame):
        wanted = "engine_kind"
    assert verdict(path, frame, gso_size=segment, gso_segs=2) == wanted


def test_a_super_frame_of_thousands_of_packets_is_left_to_the_engine(path: KernelPath) -> None:
    frame = ip() / TCP() / Raw(bytes(3000))
    assert verdict(path, frame, gso_size=1, gso_segs=3000) == "engine_kind"
    assert verdict(path, frame, gso_size=2, gso_segs=1500) == "to_remote"


def test_a_port_that_is_off_sends_everything_to_the_engine(path: KernelPath) -> None:
    path.set_port(LOOPBACK, vni=VNI, tap=TAP, on=False)
    try:
        assert verdict(path, ip(LOCAL) / TCP()) == "engine_off"
    finally:
        path.set_port(LOOPBACK, vni=VNI, tap=TAP, on=True)


def test_networks_do_not_see_each_other(path: KernelPath) -> None:
    path.set_port(LOOPBACK, vni=43, tap=TAP, on=True)
    try:
        assert verdict(path, ip(LOCAL) / TCP()) == "engine_destination"
        path.set_destination(43, LOCAL, Destination(OTHER_PORT))  # whose port is of the other network
        assert verdict(path, ip(LOCAL) / TCP()) == "engine_destination"
    finally:
        path.delete_destination(43, LOCAL)
        path.set_port(LOOPBACK, vni=VNI, tap=TAP, on=True)


def test_a_sender_of_any_address(path: KernelPath) -> None:
    path.set_sender(LOOPBACK, OWN, None)
    try:
        assert verdict(path, ip(ip="198.51.100.1") / TCP()) == "to_remote"
        assert verdict(path, ip(src=UNKNOWN) / TCP()) == "engine_source"
    finally:
        path.set_sender(LOOPBACK, OWN, SENDERS[OWN])
    assert verdict(path, ip(ip="198.51.100.1") / TCP()) == "engine_source"


def test_what_is_not_in_the_maps_is_dropped() -> None:
    with KernelPath() as path:
        for program in ("from_port", "from_engine"):
            assert verdict(path, ip() / TCP(), program) == "drop_no_port"
        assert verdict(path, ip() / TCP(), "from_tunnel") == "drop_no_network"


def test_what_a_tunnel_accepts() -> None:
    """From a known endpoint of another host, to a port of this network, and only what senders send this way."""
    there, here = REMOTE, LOCAL
    with KernelPath() as path:
        path.set_tunnel(LOOPBACK, VNI)
        path.set_port(OTHER_PORT, vni=VNI, tap=TAP, on=True)
        path.set_destination(VNI, here, Destination(OTHER_PORT))
        path.set_destination(VNI, there, Destination(LOOPBACK, MTU, PEER))
        path.set_sender(LOOPBACK, there, ["10.9.0.3"])

        def fate(frame: Packet) -> str:
            return verdict(path, frame, "from_tunnel")

        good = ip(here, there, "10.9.0.3") / TCP()
        assert fate(good) == "from_remote"
        carried = (path.port_traffic(OTHER_PORT).tx_frames, path.remote_traffic(VNI, PEER).rx_frames)
        assert carried == (1, 1)
        assert fate(ip(here, there, "10.9.0.4") / TCP()) == "drop_source"
        assert fate(ip(here, UNKNOWN, "10.9.0.3") / TCP()) == "drop_source"
        assert fate(ip(here, here, "10.9.0.3") / TCP()) == "drop_source"
        assert fate(ip(UNKNOWN, there, "10.9.0.3") / TCP()) == "drop_destination"
        assert fate(ip(there, there, "10.9.0.3") / TCP()) == "drop_destination"  # back into a tunnel
        assert fate(ip("ff:ff:ff:ff:ff:ff", there, "10.9.0.3") / TCP()) == "drop_destination"
        assert fate(ip(here, there, "10.9.0.3") / UDP(sport=9, dport=9)) == "drop_kind"
        assert fate(Ether(dst=here, src=there) / Dot1Q(vlan=7) / IP(src="10.9.0.3") / TCP()) == "drop_kind"
        path.set_tunnel(LOOPBACK, 43)
        assert fate(good) == "drop_source"
        path.set_tunnel(LOOPBACK, VNI)
        path.set_destination(VNI, there, Destination(TAP + 9, MTU))  # by another device
        assert fate(good) == "drop_source"
        path.set_destination(VNI, there, Destination(LOOPBACK, MTU))
        path.delete_port(OTHER_PORT)
        assert fate(good) == "drop_destination"


def test_entries_are_read_back_and_deleted(path: KernelPath) -> None:
    assert path.ports == {LOOPBACK: (VNI, TAP, True), OTHER_PORT: (VNI, TAP + 1, True)}
    assert path.destinations == {(VNI, LOCAL): Destination(OTHER_PORT), (VNI, REMOTE): Destination(TAP + 2, MTU)}
    assert path.senders == {(LOOPBACK, sender): frozenset(addresses) for sender, addresses in SENDERS.items()}
    with KernelPath() as empty:
        empty.set_port(7, vni=1, tap=8, on=False)
        empty.set_tunnel(9, 1)
        empty.set_sender(7, OWN, None)
        assert (empty.ports, empty.tunnels, empty.senders) == ({7: (1, 8, False)}, {9: 1}, {(7, OWN): None})
        empty.delete_port(7)
        empty.delete_port(7)
        empty.delete_tunnel(9)
        empty.delete_sender(7, OWN)
        empty.delete_sender(7, OWN)
        empty.delete_destination(1, OWN)
        assert (empty.ports, empty.tunnels, empty.senders) == ({}, {}, {})


def test_group_addresses_are_refused(path: KernelPath) -> None:
    for address in ("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "no"):
        with pytest.raises(UsageError):
            path.set_destination(VNI, address, Destination(7))
        with pytest.raises(UsageError):
            path.set_sender(LOOPBACK, address, [])


def test_the_next_process_takes_the_maps_over(path: KernelPath) -> None:
    numbers = [path.from_port.id, path.from_tunnel.id]
    with KernelPath(numbers) as following:
        assert following.taken_over
        assert following.ports == path.ports
        assert following.senders == path.senders
        assert following.from_port.tag == path.from_port.tag
        assert following.from_port.id != path.from_port.id
        assert verdict(following, ip() / TCP()) == "to_remote"


def test_maps_of_different_origin_are_not_mixed(path: KernelPath) -> None:
    with KernelPath() as other, KernelPath([path.from_port.id, other.from_tunnel.id]) as third:
        assert not third.taken_over
        assert third.ports == {}


def test_programs_that_are_gone_are_passed_over() -> None:
    with KernelPath([0xFFFFFFFE]) as path:
        assert not path.taken_over


def test_what_the_kernel_refuses_is_explained(tmp_path: object) -> None:
    with pytest.raises(RefusedError, match="cannot read the programs in /nowhere: No such file"):
        Programs("/nowhere")


def test_the_verifier_has_the_last_word() -> None:
    """One instruction is made wrong: the helper that is called does not exist."""
    data = bytearray(OBJECT.read_bytes())
    call = bytes([0x85, 0, 0, 0]) + struct.pack("<i", 155)  # bpf_redirect_peer
    assert call in data
    broken = bytes(data).replace(call, bytes([0x85, 0, 0, 0]) + struct.pack("<i", 0x7FFF))
    place = f"/proc/self/fd/{(fd := os.memfd_create('broken'))}"
    try:
        os.write(fd, broken)
        with pytest.raises(RefusedError, match=r"cannot load the kernel path's programs: .*: .*invalid func"):
            Programs(place)
    finally:
        os.close(fd)


def test_three_capabilities_are_enough_to_load() -> None:
    """Linux 6.1 wants CAP_PERFMON, 6.18 does not. To take over takes more, and its refusal is no empty map."""
    code = (
        "from fastpath.kernelpath.path import KernelPath\n"
        "with KernelPath() as path:\n"
        "    print(path.ports)\n"
        "    KernelPath([path.from_port.id])"
    )
    only = "-all,+bpf,+net_admin,+perfmon"
    words = ["setpriv", f"--bounding-set={only}", f"--inh-caps={only}", sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == "{}\n", done.stderr
    assert "CAP_SYS_ADMIN" in done.stderr


def test_every_verdict_has_a_sentence(path: KernelPath) -> None:
    assert path.verdicts().keys() == VERDICT_SENTENCES.keys()
    assert all(VERDICT_SENTENCES.values())
