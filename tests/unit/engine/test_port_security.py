# SPDX-License-Identifier: Apache-2.0
"""Port security: what a port's list of senders lets in, and what it refuses, beside a slow twin."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLReport2,
    ICMPv6ND_RS,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from fastpath import ConflictError, UsageError
from fastpath.addresses import IPAddress
from tests.attacks import spoofing
from tests.support.engine.frames import BROADCAST, extension_headers, mac
from tests.support.engine.lab import Lab, drain
from tests.support.engine.streams import Stream, pattern
from tests.support.engine.twin import VNET
from tests.support.engine.twin_allowed import Senders, refusal

OWN, OTHER, BESIDE = mac(1), mac(2), mac(3)
OWN4, OTHER4, FLOATING = "10.9.0.1", "10.9.0.2", "10.9.0.4"
OWN6, OTHER6, LINK_LOCAL = "fd09::1", "fd09::2", "fe80::ff:fe00:1"
SENDERS: Senders = {
    OWN: (ip_address(OWN4), ip_address(FLOATING), ip_address(OWN6)),
    BESIDE: (ip_address("10.9.0.3"),),
}


class Door:
    """A segment with a port that is checked, and another one to which all that enters is flooded."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.segment = lab.engine.add_segment(42)
        self.port, self.other = self.segment.add_memory_port("one"), self.segment.add_memory_port("two")
        self.port.allowed = SENDERS.items()

    def send(self, frame: Packet | bytes, **more: Any) -> str | None:
        """Send a frame from the port; return the reason for which it was refused, or None where it came in."""
        before = self.lab.drops()
        self.lab.send(self.port, bytes(frame), **more)
        self.lab.poll()
        arrived = len(drain(self.other))
        after = self.lab.drops()
        refused = [name for name, count in after.items() if count > before.get(name, 0)]
        assert len(refused) + arrived == 1
        return refused[0] if refused else None

    def claimed(self) -> dict[IPAddress, int]:
        return self.segment.refused_addresses


@pytest.fixture
def door(lab: Lab) -> Door:
    return Door(lab)


def ether(source: str = OWN) -> Packet:
    return Ether(src=source, dst=BROADCAST)


GOOD = {
    "arp request": spoofing.arp_announcement(OWN, OWN4),
    "arp for a floating address": spoofing.arp_announcement(OWN, FLOATING),
    "arp reply": spoofing.arp_reply(OWN, OTHER, OWN4, OTHER4),
    "arp probe": ether() / ARP(hwsrc=OWN, psrc="0.0.0.0", pdst=OWN4),  # noqa: S104
    "arp behind a tag": ether() / Dot1Q(vlan=7) / ARP(hwsrc=OWN, psrc=OWN4, pdst=OTHER4),
    "the other sender": spoofing.echo(BESIDE, OTHER, "10.9.0.3", OTHER4),
    "ping": spoofing.echo(OWN, OTHER, OWN4, OTHER4),
    "udp behind two tags": ether() / Dot1AD(vlan=7) / Dot1Q(vlan=8) / IP(src=OWN4) / UDP(sport=1, dport=2),
    "dhcp client": ether() / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) / BOOTP(),  # noqa: S104
    "a later fragment": ether() / IP(src=OWN4, frag=185, proto=17) / Raw(bytes([0, 67, 0, 68])),
    "another protocol": ether() / IP(src=OWN4, proto=47) / Raw(b"gre"),
    "ping6": spoofing.echo(OWN, OTHER, OWN6, OTHER6),
    "link-local, by EUI-64": spoofing.echo(OWN, OTHER, LINK_LOCAL, OTHER6),
    "link-local, by a secret": spoofing.echo(OWN, OTHER, "fe80::1234:5678:9abc:def0", OTHER6),
    "advertisement": spoofing.advertisement(OWN, OWN6, OWN6),
    "solicitation": spoofing.solicitation(OWN, OWN6, OTHER6),
    "duplicate address detection": spoofing.solicitation(OWN, "::", OWN6),
    "duplicate address detection, link-local": spoofing.solicitation(OWN, "::", LINK_LOCAL),
    "router solicitation": ether() / IPv6(src="::", dst="ff02::2", hlim=255) / ICMPv6ND_RS(),
    "multicast report": ether() / IPv6(src="::", dst="ff02::16", hlim=1) / IPv6ExtHdrHopByHop() / ICMPv6MLReport2(),
    "udp6 fragment": ether() / IPv6(src=OWN6) / IPv6ExtHdrFragment(nh=17, m=1) / UDP(sport=1, dport=2) / Raw(bytes(16)),
    "no next header": ether() / IPv6(src=OWN6, nh=59),
    "neither ip nor arp": ether() / Raw(b"x" * 40),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_a_host_sends_comes_in(door: Door, name: str) -> None:
    assert door.send(GOOD[name]) is None
    assert door.claimed() == {}


NOBODYS = "02:00:00:00:be:ef"
BAD: dict[str, tuple[Packet | bytes, str, str | None]] = {
    "mac": (spoofing.echo(OTHER, BROADCAST, OWN4, OTHER4), "spoofed_source", None),
    "mac of no protocol": (ether(NOBODYS) / Raw(b"x" * 40), "spoofed_source", None),
    "address": (spoofing.echo(OWN, OTHER, OTHER4, OWN4), "spoofed_source", OTHER4),
    "address of the sender beside": (spoofing.echo(OWN, OTHER, "10.9.0.3", OTHER4), "spoofed_source", "10.9.0.3"),
    "address behind a tag": (ether() / Dot1Q(vlan=7) / IP(src=OTHER4) / ICMP(), "spoofed_source", OTHER4),
    "address of a fragment": (ether() / IP(src=OTHER4, frag=185, proto=17) / Raw(b"x"), "spoofed_source", OTHER4),
    "group": (ether() / IP(src="224.0.0.1") / ICMP(), "spoofed_source", "224.0.0.1"),
    "unspecified": (ether() / IP(src="0.0.0.0") / ICMP(), "spoofed_source", None),  # noqa: S104
    "address6": (spoofing.echo(OWN, OTHER, OTHER6, OWN6), "spoofed_source", OTHER6),
    "mapped": (spoofing.echo(OWN, OTHER, "::ffff:10.9.0.1", OWN6), "spoofed_source", OWN4),
    "link-local of another": (spoofing.echo(OWN, OTHER, "fe80::ff:fe00:2", OWN6), "spoofed_source", "fe80::ff:fe00:2"),
    "unspecified6": (ether() / IPv6(src="::") / ICMPv6EchoRequest(), "spoofed_source", None),
    "unspecified6 udp": (ether() / IPv6(src="::") / UDP(sport=1, dport=2), "spoofed_source", None),
    "arp": (spoofing.arp_announcement(OWN, OTHER4), "spoofed_arp", OTHER4),
    "arp reply": (spoofing.arp_reply(OWN, OTHER, "10.9.0.254", OTHER4), "spoofed_arp", "10.9.0.254"),
    "arp behind a tag": (ether() / Dot1Q(vlan=7) / ARP(hwsrc=OWN, psrc=OTHER4), "spoofed_arp", OTHER4),
    "arp for another mac": (spoofing.arp_announcement(OWN, OWN4, sender=OTHER), "spoofed_arp", None),
    "arp that answers from nowhere": (
        ether() / ARP(op=2, hwsrc=OWN, psrc="0.0.0.0"),  # noqa: S104
        "spoofed_arp",
        None,
    ),
    "arp cut off": (bytes(spoofing.arp_announcement(OWN, OWN4))[:41], "spoofed_arp", None),
    "advertisement": (spoofing.advertisement(OWN, OWN6, OTHER6), "spoofed_arp", OTHER6),
    "advertisement for another mac": (spoofing.advertisement(OWN, OWN6, OWN6, at=OTHER), "spoofed_arp", None),
    "advertisement from ::": (spoofing.advertisement(OWN, "::", OWN6), "spoofed_source", None),
    "solicitation for another mac": (spoofing.solicitation(OWN, OWN6, OTHER6, at=OTHER), "spoofed_arp", None),
    "detection of another's": (spoofing.solicitation(OWN, "::", OTHER6), "spoofed_arp", OTHER6),
    "option without length": (spoofing.solicitation(OWN, OWN6, OTHER6) / Raw(bytes(8)), "spoofed_arp", None),
    "short solicitation": (ether() / IPv6(src=OWN6, nh=58) / Raw(bytes([135, 0, 0, 0])), "hidden_headers", None),
    "router": (spoofing.router_advertisement(OWN, LINK_LOCAL), "rogue_router", None),
    "redirect": (spoofing.redirect(OWN, LINK_LOCAL, OTHER6, via=LINK_LOCAL), "rogue_router", None),
    "dhcp": (spoofing.dhcp_offer(OWN, OWN4, server=OWN4), "rogue_dhcp", None),
    "dhcp from another port": (spoofing.dhcp_offer(OWN, OWN4, server=OWN4, port=4711), "rogue_dhcp", None),
    "dhcp6": (spoofing.dhcp6_advertise(OWN, LINK_LOCAL), "rogue_dhcp", None),
    "dhcp6 from another port": (spoofing.dhcp6_advertise(OWN, LINK_LOCAL, port=4711), "rogue_dhcp", None),
    "dhcp6 in a fragment": (
        ether() / IPv6(src=OWN6) / IPv6ExtHdrFragment(nh=17, m=1) / UDP(sport=547, dport=546) / Raw(bytes(16)),
        "rogue_dhcp",
        None,
    ),
    "three tags": (ether() / Dot1Q() / Dot1Q() / Dot1Q() / ARP(hwsrc=OWN, psrc=OTHER4), "hidden_headers", None),
    "malformed ip": (ether() / IP(src=OWN4, len=4000) / ICMP(), "hidden_headers", None),
    "malformed ip6": (ether() / IPv6(src=OWN6, plen=4000) / ICMPv6EchoRequest(), "hidden_headers", None),
    "icmp6 of nothing": (ether() / IPv6(src=OWN6, nh=58), "hidden_headers", None),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_an_attacker_sends_is_refused(door: Door, name: str) -> None:
    frame, reason, claimed = BAD[name]
    assert door.send(frame) == reason
    assert set(door.claimed()) == (set() if claimed is None else {ip_address(claimed)})


@pytest.mark.parametrize("name", spoofing.hidden_router_advertisements(OWN, LINK_LOCAL))
def test_no_disguise_hides_a_router(door: Door, name: str) -> None:
    """RFC 7113, RFC 6980. A fragment whose header is in an earlier one may pass: without that it is nothing."""
    first, *later = spoofing.hidden_router_advertisements(OWN, LINK_LOCAL)[name]
    assert door.send(first) in ("rogue_router", "hidden_headers")
    assert [door.send(frame) for frame in later] == [None] * len(later)


@pytest.mark.parametrize("kind", [133, 135, 136])
def test_discovery_in_fragments_is_refused(door: Door, kind: int) -> None:
    message = bytes([kind, 0]) + bytes(30)
    frame = ether() / IPv6(src=OWN6, dst="ff02::1", hlim=255) / IPv6ExtHdrFragment(nh=58, m=1) / Raw(message)
    assert door.send(frame) == "hidden_headers"


def open_checksum(start: int, offset: int) -> bytes:
    """The virtio-net header of a frame whose checksum is left open. A container can write it (PACKET_VNET_HDR)."""
    return VNET.pack(1, 0, 0, 0, start, offset, 0)


UDP4 = ether() / IP(src=OWN4) / UDP(sport=68, dport=67) / Raw(bytes(30))
PROBE6 = spoofing.solicitation(OWN, OWN6, OTHER6)
HIDES: dict[str, tuple[Packet, int, int]] = {
    "the source mac": (UDP4, 0, 8),
    "the source address": (UDP4, 0, 28),
    "the source address behind a tag": (ether() / Dot1Q() / IP(src=OWN4) / TCP(), 18, 14),
    "the ports": (UDP4, 34, 0),
    "the destination port": (UDP4, 34, 2),
    "the address of a fragment": (ether() / IP(src=OWN4, frag=185, proto=17) / Raw(bytes(30)), 14, 14),
    "the sender of arp": (spoofing.arp_announcement(OWN, OWN4), 0, 30),
    "the mac of arp": (spoofing.arp_announcement(OWN, OWN4), 20, 4),
    "the source address of ip6": (spoofing.echo(OWN, OTHER, OWN6, OTHER6), 0, 36),
    "the type of icmp6": (spoofing.echo(OWN, OTHER, OWN6, OTHER6), 54, 0),
    "the mac of a solicitation": (PROBE6, 54, 30),
    "the next header": (ether() / IPv6(src=OWN6) / IPv6ExtHdrHopByHop() / UDP(sport=1, dport=2), 54, 0),
    "a later fragment": (ether() / IPv6(src=OWN6) / IPv6ExtHdrFragment(nh=58, offset=1) / Raw(bytes(30)), 62, 2),
    "the mac of no protocol": (ether() / Raw(bytes(40)), 0, 10),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDES)
def test_no_checksum_is_written_over_what_was_checked(door: Door, name: str) -> None:
    """A checksum comes out as the sender wants it, and is finished when the frame leaves."""
    frame, start, offset = HIDES[name]
    assert door.send(frame) is None
    assert door.send(frame, vnet=open_checksum(start, offset)) == "hidden_headers"


OPEN: dict[str, tuple[Packet, int, int]] = {
    "udp": (UDP4, 34, 6),
    "tcp behind a tag": (ether() / Dot1Q() / IP(src=OWN4) / TCP(), 38, 16),
    "udp6": (ether() / IPv6(src=OWN6) / UDP(sport=1, dport=2), 54, 6),
    "tcp6 behind options": (ether() / IPv6(src=OWN6) / IPv6ExtHdrHopByHop() / TCP(), 62, 16),
    "icmp6": (spoofing.echo(OWN, OTHER, OWN6, OTHER6), 54, 2),
    "in a tunnel": (ether() / IP(src=OWN4, proto=47) / Raw(bytes(60)), 58, 16),
    "in a tunnel over ip6": (ether() / IPv6(src=OWN6, nh=47) / Raw(bytes(60)), 78, 16),
    "of no protocol": (ether() / Raw(bytes(40)), 14, 2),
}


@pytest.mark.parametrize("name", OPEN)
def test_checksums_that_the_kernel_leaves_open_come_in(door: Door, name: str) -> None:
    frame, start, offset = OPEN[name]
    assert door.send(frame, vnet=open_checksum(start, offset)) is None


def test_a_super_frame_is_checked(door: Door) -> None:
    stream = Stream()
    vnet, frame = stream.super_frame(pattern(4000), 1390)
    source = ".".join(str(byte) for byte in frame[26:30])
    sender = frame[6:12].hex(":")
    door.segment.fdb.set(frame[:6], door.other)
    assert door.send(frame, vnet=vnet, segments=3) == "spoofed_source"
    door.port.allowed = [(sender, [source])]
    assert door.send(frame, vnet=vnet, segments=3) is None


def test_without_a_list_nothing_is_checked(door: Door) -> None:
    door.port.allowed = None
    assert door.port.allowed is None
    assert [door.send(frame) for frame, reason, _ in BAD.values() if reason != "hidden_headers"].count(None) > 20
    assert door.claimed() == {}


def test_an_empty_list_refuses_everything(door: Door) -> None:
    door.port.allowed = ()
    assert door.port.allowed == ()
    assert door.send(spoofing.echo(OWN, OTHER, OWN4, OTHER4)) == "spoofed_source"


def test_other_ports_are_not_checked(door: Door) -> None:
    door.lab.send(door.other, bytes(spoofing.arp_announcement(OTHER, OTHER4)))
    door.lab.poll()
    assert len(drain(door.port)) == 1


def test_the_list_is_read_as_it_was_written(door: Door) -> None:
    door.port.allowed = [("02-00-00-00-00-02", ["fd09::2", OTHER4]), (1, [OWN4]), (bytes([2, 0, 0, 0, 0, 2]), [OTHER4])]
    assert door.port.allowed == (
        ("00:00:00:00:00:01", (IPv4Address(OWN4),)),
        (OTHER, (IPv4Address(OTHER4), IPv6Address("fd09::2"))),
    )


@pytest.mark.parametrize(
    ("senders", "message"),
    [
        ([("02:00", [OWN4])], "is not a MAC address"),
        ([(BROADCAST, [OWN4])], "not the address of one host"),
        ([(OWN, ["10.9.0"])], "is not an IP address"),
        ([(OWN, ["224.0.0.1"])], "not the address of one host"),
        ([(OWN, ["::"])], "not the address of one host"),
    ],
)
def test_misuse(door: Door, senders: Any, message: str) -> None:
    before = door.port.allowed
    with pytest.raises(UsageError, match=message):
        door.port.allowed = senders
    assert door.port.allowed == before


def test_of_a_port_that_was_removed(door: Door) -> None:
    door.segment.remove_port(door.port)
    with pytest.raises(ConflictError, match="was removed"):
        door.port.allowed = None
    with pytest.raises(ConflictError, match="was removed"):
        door.port.flood_limit = 1


def test_many_senders(door: Door) -> None:
    """As behind the one port of the bridge layout."""
    door.port.allowed = [(mac(i), [f"10.9.{i >> 8}.{i & 255}", f"fd09::{i:x}"]) for i in range(1, 500)]
    for i in (1, 2, 250, 256, 498, 499):
        assert door.send(spoofing.echo(mac(i), BROADCAST, f"10.9.{i >> 8}.{i & 255}", OTHER4)) is None
        assert door.send(spoofing.echo(mac(i), BROADCAST, f"fd09::{i:x}", OTHER6)) is None
        assert door.send(spoofing.echo(mac(i), BROADCAST, f"fd09::{i + 1:x}", OTHER6)) == "spoofed_source"
    assert door.send(spoofing.echo(mac(500), BROADCAST, "10.9.1.244", OTHER4)) == "spoofed_source"


def test_claims_are_forgotten(door: Door) -> None:
    door.send(spoofing.arp_announcement(OWN, OTHER4))
    door.lab.engine.advance_clock(300)
    assert IPv4Address(OTHER4) in door.claimed()
    door.lab.engine.advance_clock(310)
    assert door.claimed() == {}


@pytest.mark.slow
def test_claims_are_few(door: Door) -> None:
    for number in range(500):
        door.send(spoofing.arp_announcement(OWN, f"10.10.{number >> 8}.{number & 255}"))
    assert 8 < len(door.claimed()) <= 32


@pytest.fixture(scope="module")
def shared() -> Iterator[Door]:
    with Lab() as lab:
        yield Door(lab)


any_mac = st.sampled_from([OWN, OWN, OWN, OTHER, BESIDE])
any4 = st.sampled_from([OWN4, OWN4, OTHER4, FLOATING, "0.0.0.0", "10.9.0.3"])  # noqa: S104
any6 = st.sampled_from([OWN6, OWN6, OTHER6, LINK_LOCAL, "fe80::ff:fe00:2", "fe80::5", "::", "::ffff:10.9.0.1"])
any_ports = st.sampled_from([(68, 67), (67, 68), (53, 1024), (547, 546), (1024, 68), (1024, 546)])


@st.composite
def upper(draw: st.DrawFn) -> Packet:
    """What may stand behind an IPv6 header and its extensions."""
    kind = draw(st.sampled_from(["udp", "nd", "other icmp", "tcp"]))
    if kind == "udp":
        source, destination = draw(any_ports)
        return UDP(sport=source, dport=destination)
    if kind == "tcp":
        return TCP()
    number = draw(st.sampled_from([133, 134, 135, 136, 137] if kind == "nd" else [128, 131, 132, 143]))
    option = b"".join(draw(st.lists(options, max_size=2)))
    target = ip_address(draw(any6)).packed
    return Raw(bytes([number, 0, 0, 0, 0, 0, 0, 0]) + (target if number > 133 else b"") + option)


options = st.builds(
    lambda kind, size, address: bytes([kind, size]) + bytes.fromhex(address.replace(":", "")),
    st.sampled_from([1, 2, 3, 14]),
    st.sampled_from([1, 1, 1, 0, 2]),
    any_mac,
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Good and bad ones, and such that differ in a byte or are cut."""
    frame = Ether(src=draw(any_mac), dst=BROADCAST)
    for tag in draw(st.lists(st.builds(Dot1Q, vlan=st.integers(1, 9)), max_size=3)):
        frame = frame / tag
    kind = draw(st.sampled_from(["arp", "four", "six", "six"]))
    if kind == "arp":
        frame = frame / ARP(op=draw(st.integers(1, 2)), hwsrc=draw(any_mac), psrc=draw(any4), pdst=draw(any4))
    elif kind == "four":
        source, destination = draw(any_ports)
        ip = IP(src=draw(any4), flags=draw(st.sampled_from(["", "MF"])), frag=draw(st.sampled_from([0, 0, 1])))
        frame = frame / ip / UDP(sport=source, dport=destination) / Raw(draw(st.binary(max_size=9)))
    else:
        headers, last = draw(extension_headers()), draw(upper())
        data = bytes(last)
        number = {UDP: 17, TCP: 6}.get(type(last), 58)
        ip6 = IPv6(src=draw(any6), dst="ff02::1", hlim=255)
        numbers = [twin_number(header) for header in headers] + [number]
        ip6.nh = numbers[0]
        for header, following in zip(headers, numbers[1:], strict=True):
            header.nh = following
            ip6 = ip6 / header
        frame = frame / ip6 / Raw(data)
    changed = bytearray(bytes(frame))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(12, len(changed) - 1))
        changed[at] = draw(st.sampled_from([0, 1, 2, 6, 58, 134, 0xFF, changed[at] ^ 1]))
    return bytes(changed[: draw(st.just(len(changed)) | st.integers(14, len(changed)))])


def twin_number(header: Packet) -> int:
    """The number by which the header before an extension header names it."""
    names = {"IPv6ExtHdrHopByHop": 0, "IPv6ExtHdrRouting": 43, "IPv6ExtHdrFragment": 44, "AH": 51}
    return names.get(type(header).__name__, 60)


@given(frames())
def test_like_the_twin(shared: Door, frame: bytes) -> None:
    expected = refusal(frame, SENDERS)
    assert shared.send(frame) == (None if expected is None else expected[0])
    if expected is not None and expected[1] is not None:
        assert (getattr(expected[1], "ipv4_mapped", None) or expected[1]) in shared.claimed()
