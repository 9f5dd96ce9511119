# SPDX-License-Identifier: Apache-2.0
"""Filters in tcpdump's language: they take what they say, and read nothing outside of the frame."""

import ctypes
import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q

from fastpath import RefusedError, UsageError
from fastpath.pcap import libpcap
from fastpath.pcap.libpcap import DLT_ETHERNET, DLT_RAW, compile_filter
from tests.support.engine.frames import BROADCAST, ethernet, frame, mac
from tests.support.engine.lab import Lab

PAGE = mmap.PAGESIZE
EXPRESSIONS = (
    "tcp port 80",
    "udp and src host 10.0.0.1",
    "ip6 host fd00::1",
    "vlan 7 and icmp",
    "vlan and vlan and tcp[tcpflags] & tcp-syn != 0",
    "ip[ip[0] & 15 * 4:4] = 0",
    "ether[len - 1] = 3 or ether[0xffffffff] = 1",
    "ether[ether[0] * 256 + ether[1]:4] != 0",
    "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420",
    "len >> ether[0] > 3",
    "arp and arp[6:2] = 1",
    "",
)


class Fenced:
    """Memory whose every byte may be read, between pages of which none may."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 4 * PAGE)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory)) + PAGE
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for fence in (self.start - PAGE, self.start + 2 * PAGE):
            assert protect(fence, PAGE, 0) == 0

    def put(self, data: bytes, *, at_end: bool) -> int:
        """Where the data lies now: against one fence or the other."""
        place = self.start + (2 * PAGE - len(data) if at_end else 0)
        ctypes.memmove(place, data, len(data))
        return place


FENCED = Fenced()
FILTERS = [
    compile_filter(expression, dlt, 262144) for expression in EXPRESSIONS[1:3] for dlt in (DLT_ETHERNET, DLT_RAW)
]
FILTERS += [compile_filter(expression, DLT_ETHERNET, 262144) for expression in EXPRESSIONS]
RUN = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)

REAL = st.sampled_from(
    [
        bytes(ethernet(IP(src="10.0.0.1") / TCP(dport=80) / b"GET / HTTP/1.1")),
        bytes(ethernet(IP(src="10.0.0.1") / UDP(sport=53) / b"x")),
        bytes(ethernet(IPv6(src="fd00::1") / TCP(flags="S"))),
        bytes(ethernet(IP() / TCP(), Dot1Q(vlan=7), Dot1Q(vlan=8))),
        bytes(ethernet(ARP())),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real frame, cut and with some bytes changed."""
    data = bytearray(draw(REAL))
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=5)):
        data[at] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(st.one_of(st.binary(max_size=200), mutated()))
def test_nothing_outside_of_the_frame_is_read(data: bytes) -> None:
    for compiled in FILTERS:
        run = RUN(compiled.function)
        answers = {
            run(compiled.program, FENCED.put(data, at_end=at_end), len(data), len(data)) != 0
            for at_end in (True, False)
        }
        assert len(answers) == 1, "the answer depends on what lies around the frame"


@pytest.mark.parametrize("size", [0, 1, 13, 14, 15, 2 * PAGE])
def test_a_filter_that_takes_everything_takes_any_length(size: int) -> None:
    compiled = compile_filter("", DLT_ETHERNET, 262144)
    assert RUN(compiled.function)(compiled.program, FENCED.put(bytes(size), at_end=True), size, size) != 0


@pytest.mark.parametrize(
    ("expression", "taken"),
    [
        ("tcp port 80", [0]),
        ("tcp port http", [0]),
        ("udp", [1]),
        ("host 10.0.0.1", [0, 1]),
        ("arp or ether broadcast", [2, 3]),
        ("greater 100", [3]),
        ("", [0, 1, 2, 3]),
        ("not ip", [2, 3]),
    ],
)
def test_a_capture_has_what_its_filter_takes(lab: Lab, expression: str, taken: list[int]) -> None:
    frames = [
        bytes(ethernet(IP(src="10.0.0.1") / TCP(dport=80))),
        bytes(ethernet(IP(src="10.0.0.1") / UDP())),
        bytes(ethernet(ARP())),
        frame(BROADCAST, mac(1)) + bytes(100),
    ]
    segment = lab.engine.add_segment(42)
    one, far = segment.add_memory_port("one"), lab.far(2)
    segment.add_remote(far.address)
    with lab.engine.capture(ports=[one], filter=expression, snaplen=14) as capture:
        for data in frames:
            lab.send(one, data)
        lab.poll()
    assert [record.data for record in capture.read()] == [frames[number][:14] for number in taken]


def test_a_filter_sees_whole_outer_packets(lab: Lab) -> None:
    segment = lab.engine.add_segment(42)
    one, far = segment.add_memory_port("one"), lab.far(2)
    segment.add_remote(far.address)
    payload = frame(BROADCAST, mac(1)) + bytes(1000) + b"\x07"
    last = 28 + 8 + len(payload) - 1
    expression = f"udp dst port {far.udp_port} and dst host {far.address} and ip[{last}] = 7"
    with lab.engine.capture(outer=True, filter=expression, snaplen=20) as capture:
        lab.send(one, payload)
        lab.send(one, payload[:-1] + b"\x08")
        lab.poll()
    assert [(record.length, len(record.data)) for record in capture.read()] == [(last + 1, 20)]


def test_an_error_is_libpcap_s_in_one_line() -> None:
    with pytest.raises(UsageError, match=r'^filter "tcp prot 80": .*syntax error') as error:
        compile_filter("tcp prot 80", DLT_ETHERNET, 262144)
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="at most 2000 characters"):
        compile_filter(" or ".join(f"port {port}" for port in range(1, 2000)), DLT_ETHERNET, 262144)


def test_a_filter_that_takes_long_to_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpcap, "_MAX_INSTRUCTIONS", 4)
    assert compile_filter("arp", DLT_ETHERNET, 262144).program
    with pytest.raises(UsageError, match="too many instructions"):
        compile_filter("tcp port 80", DLT_ETHERNET, 262144)


def test_without_libpcap_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpcap, "_NAMES", ("libnothing.so.0",))
    libpcap._library.cache_clear()
    try:
        with pytest.raises(RefusedError, match="install it"):
            compile_filter("tcp", DLT_ETHERNET, 262144)
    finally:
        libpcap._library.cache_clear()
