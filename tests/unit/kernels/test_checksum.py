# SPDX-License-Identifier: Apache-2.0
"""The internet checksum: full, in pieces, pseudo-header, repaired."""

import random
import struct
from socket import inet_ntoa

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scapy.layers.inet import IP, in4_pseudoheader
from scapy.layers.inet6 import IPv6, PseudoIPv6
from scapy.utils import checksum as scapy_checksum

from fastpath.testing import oneshot
from tests.support.engine import twin

words = st.binary(min_size=2, max_size=2)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff")
@example(b"\xff" * 64)
def test_full(data: bytes) -> None:
    expected = twin.checksum(data).to_bytes(2, "big")
    assert oneshot.checksum(data) == expected
    assert scapy_checksum(data) == twin.checksum(data)


def test_every_size_and_the_largest() -> None:
    for size in (*range(130), 1499, 1500, 9001, 65535, 65600):
        data = random.Random(size).randbytes(size)
        assert oneshot.checksum(data) == scapy_checksum(data).to_bytes(2, "big"), size


def test_carries_of_the_largest_frame() -> None:
    data = b"\xff" * 65600  # every addition carries
    assert oneshot.checksum(data) == b"\x00\x00"
    assert oneshot.checksum(data[:-1]) == twin.checksum(data[:-1]).to_bytes(2, "big")


@given(st.lists(st.binary(max_size=40)), st.binary(max_size=9))
def test_pieces(even: list[bytes], last: bytes) -> None:
    pieces = [piece[: len(piece) & ~1] for piece in even] + [last]
    assert oneshot.checksum_in_pieces(pieces) == oneshot.checksum(b"".join(pieces))


@given(st.binary(min_size=20, max_size=20), st.sampled_from([6, 17]), st.integers(0, 65515))
def test_pseudo_header_v4(ip: bytes, protocol: int, length: int) -> None:
    ours = oneshot.checksum_pseudo(ip, 4, protocol, length)
    assert ours == twin.ones_sum(twin.pseudo_header(ip, 4, protocol, length)).to_bytes(2, "big")
    parsed = IP(src=inet_ntoa(ip[12:16]), dst=inet_ntoa(ip[16:20]))
    scapys = in4_pseudoheader(protocol, parsed, length)
    assert ours == twin.ones_sum(scapys).to_bytes(2, "big")


@given(st.binary(min_size=40, max_size=40), st.sampled_from([6, 17, 58]), st.integers(0, 70000))
def test_pseudo_header_v6(ip: bytes, protocol: int, length: int) -> None:
    ours = oneshot.checksum_pseudo(ip, 6, protocol, length)
    assert ours == twin.ones_sum(twin.pseudo_header(ip, 6, protocol, length)).to_bytes(2, "big")
    parsed = IPv6(ip)
    scapys = bytes(PseudoIPv6(src=parsed.src, dst=parsed.dst, uplen=length, nh=protocol))
    assert ours == twin.ones_sum(scapys).to_bytes(2, "big")


@given(st.binary(min_size=4, max_size=60), words, st.data())
def test_replace_is_as_good_as_computing_anew(data: bytes, word: bytes, draw: st.DataObject) -> None:
    at = 2 * draw.draw(st.integers(0, len(data) // 2 - 1))
    changed = data[:at] + word + data[at + 2 :]
    assume(any(changed))  # no IP header is all zeros
    repaired = oneshot.checksum_replace(oneshot.checksum(data), data[at : at + 2], word)
    # 0x0000 and 0xffff are one number; RFC 1624 promises no more than that the sum comes out right.
    padded = changed + b"\0" * (len(changed) & 1)
    assert twin.ones_sum(padded + repaired) == 0xFFFF


@given(words, words, words)
def test_replace_follows_rfc1624(stored: bytes, before: bytes, after: bytes) -> None:
    numbers = [int.from_bytes(word, "big") for word in (stored, before, after)]
    assert oneshot.checksum_replace(stored, before, after) == struct.pack(">H", twin.checksum_replace(*numbers))


def test_replace_in_rfc1624s_own_example() -> None:
    # Section 4: HC 0xdd2f, m 0x5555, m' 0x3285 must give 0x0000, where equation 2 of RFC 1141 gave 0xffff.
    assert oneshot.checksum_replace(b"\xdd\x2f", b"\x55\x55", b"\x32\x85") == b"\x00\x00"


@pytest.mark.parametrize("way", oneshot.checksum_ways())
def test_every_way_at_every_length_and_shift(way: int) -> None:
    """Sum and move in one pass: all ends of a block, and source and destination that overlap by any number of bytes."""
    data = random.Random(7).randbytes(300)
    for length in range(len(data) + 1):
        expected = twin.checksum(data[:length]).to_bytes(2, "big"), data[:length]
        for shift in (0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 65, 66, 128, 300):
            assert oneshot.checksum_move(way, data[:length], shift) == expected, (length, shift)


@pytest.mark.parametrize("way", oneshot.checksum_ways())
def test_every_way_in_the_largest_frame(way: int) -> None:
    for data in (b"\xff" * 65600, random.Random(8).randbytes(65599)):
        expected = twin.checksum(data).to_bytes(2, "big"), data
        for shift in (0, 8, 74, 1448, 65536):
            assert oneshot.checksum_move(way, data, shift) == expected, shift


@given(st.sampled_from(oneshot.checksum_ways()), st.binary(max_size=1000), st.integers(0, 1100))
def test_every_way(way: int, data: bytes, shift: int) -> None:
    assert oneshot.checksum_move(way, data, shift) == (twin.checksum(data).to_bytes(2, "big"), data)


def test_the_portable_way_is_always_there() -> None:
    ways = oneshot.checksum_ways()
    assert ways[0] == 0
    assert ways == sorted(set(ways))
