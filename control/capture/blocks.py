# SPDX-License-Identifier: Apache-2.0
"""Read a capture as whole blocks, so that a file of them is complete whenever the capture ends.

It reads what stream.py writes: one section, little-endian (draft-ietf-opsawg-pcapng, section 3).
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fastpath.errors import RefusedError
from fastpath.pcap.pcapng import Direction

SECTION_HEADER, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
COMMENT, NAME, FLAGS, DROPPED = 1, 2, 2, 5
LARGEST = 1 << 20
DIRECTIONS: tuple[Direction | None, ...] = (None, "in", "out", None)


class Block(NamedTuple):
    """`kind` is a block type, `data` all of its bytes."""

    kind: int
    data: bytes

    @property
    def body(self) -> bytes:
        """Return what lies between the two lengths."""
        return self.data[8:-4]


@dataclass(frozen=True)
class Packet:
    """An Enhanced Packet Block, with its interface's name and link type."""

    time_ns: int
    interface: str
    linktype: int
    direction: Direction | None
    comment: str | None
    length: int
    data: bytes


def blocks(pieces: Iterable[bytes]) -> Iterator[Block]:
    """Cut pieces of any size into blocks; drop an incomplete last one. Raise RefusedError if that is not pcapng."""
    waiting = bytearray()
    first = True
    for piece in pieces:
        waiting += piece
        at = 0
        while len(waiting) - at >= 12:
            kind, size = struct.unpack_from("<II", waiting, at)
            if size % 4 or not 12 <= size <= LARGEST or (first and kind != SECTION_HEADER):
                raise RefusedError("the answer is not a capture: does the other side run another version?")
            if len(waiting) - at < size:
                break
            first = False
            yield Block(kind, bytes(waiting[at : at + size]))
            at += size
        del waiting[:at]


def options(data: bytes) -> dict[int, bytes]:
    """Return the options at the end of a block, by their code."""
    found, at = {}, 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from("<HH", data, at)
        if code == 0:
            break
        found[code] = data[at + 4 : at + 4 + size]
        at += 4 + (size + 3) // 4 * 4
    return found


def dropped(block: Block) -> int:
    """Return how many frames were missed, by an Interface Statistics Block."""
    return int.from_bytes(options(block.body[12:]).get(DROPPED, b""), "little")


def packets(found: Iterable[Block]) -> Iterator[Packet]:
    """Yield the packets among the blocks."""
    interfaces: list[tuple[str, int]] = []
    for block in found:
        body = block.body
        if block.kind == INTERFACE and len(body) >= 8:
            name = options(body[8:]).get(NAME, b"").decode(errors="replace")
            interfaces.append((name, int.from_bytes(body[:2], "little")))
        elif block.kind == PACKET and len(body) >= 20:
            number, high, low, kept, length = struct.unpack_from("<IIIII", body)
            if number >= len(interfaces) or kept > len(body) - 20:
                raise RefusedError("the answer is not a capture: does the other side run another version?")
            more = options(body[20 + (kept + 3) // 4 * 4 :])
            comment = more[COMMENT].decode(errors="replace") if COMMENT in more else None
            direction = DIRECTIONS[int.from_bytes(more.get(FLAGS, b""), "little") & 3]
            name, linktype = interfaces[number]
            yield Packet(high << 32 | low, name, linktype, direction, comment, length, body[20 : 20 + kept])
