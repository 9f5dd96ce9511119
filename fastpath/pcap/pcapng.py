# SPDX-License-Identifier: Apache-2.0
"""A writer of pcapng, the file format of tcpdump and Wireshark (draft-ietf-opsawg-pcapng).

One section, little-endian, time stamps in nanoseconds. An interface may be described at any time before its
first packet, so that a capture need not know beforehand what it will see.

Replays write millions of packets: this module describes their interfaces, and src/pcap/pcap_out.c writes the
packet blocks.
"""

import struct
from typing import Literal, Protocol

from fastpath.version import VERSION

Direction = Literal["in", "out"]

LINKTYPE_ETHERNET = 1

_SECTION_HEADER, _INTERFACE_DESCRIPTION, _INTERFACE_STATISTICS, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_VERSION = (1, 0)
_LENGTH_UNKNOWN = (1 << 64) - 1
_END_OF_OPTIONS, _COMMENT, _USER_APPLICATION, _NAME, _FLAGS, _RESOLUTION, _DROPPED = 0, 1, 4, 2, 2, 9, 5
_NANOSECONDS = b"\x09"  # 10^-9
_FLAG = {"in": 1, "out": 2}  # the two lowest bits of epb_flags, section 4.3.1


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(*options: tuple[int, bytes]) -> bytes:
    """Return the encoded options that are not empty, and the end mark if there are any."""
    encoded = b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options if value)
    return encoded + struct.pack("<HH", _END_OF_OPTIONS, 0) if encoded else b""


def _text(text: str | None) -> bytes:
    """Return UTF-8, cut to the size of an option."""
    return (text or "").encode(errors="replace")[:0xFFFF].decode(errors="ignore").encode()


class Output(Protocol):
    """A file that can be written to."""

    def write(self, data: bytes, /) -> object:
        """Write all of the data."""


class PcapngWriter:
    """Writes a section to `file`, which is open for writing bytes. The caller flushes and closes it.

    `snaplen` is the most bytes of a packet that are written; 0: all. Errors are those of `file.write`.
    """

    def __init__(self, file: Output, snaplen: int = 0) -> None:
        self._file = file
        self._snaplen = snaplen
        self._interfaces = 0
        header = struct.pack("<IHHQ", _BYTE_ORDER_MAGIC, *_VERSION, _LENGTH_UNKNOWN)
        self._block(_SECTION_HEADER, header + _options((_USER_APPLICATION, _text(f"fastpath {VERSION}"))))

    def interface(self, name: str, linktype: int = LINKTYPE_ETHERNET) -> int:
        """Describe an interface. Return the number by which packets name it.

        `linktype` is one of the LINKTYPE_ numbers of tcpdump.org.
        """
        options = _options((_NAME, _text(name)), (_RESOLUTION, _NANOSECONDS))
        self._block(_INTERFACE_DESCRIPTION, struct.pack("<HHI", linktype, 0, self._snaplen) + options)
        self._interfaces += 1
        return self._interfaces - 1

    def packet(
        self,
        interface: int,
        timestamp_ns: int,
        data: bytes,
        original_length: int | None = None,
        *,
        direction: Direction | None = None,
        comment: str | None = None,
    ) -> None:
        """Write one packet, captured `timestamp_ns` nanoseconds after the epoch.

        `original_length` is its length before it was cut, by default the length of `data`. `direction` is seen from
        this host. Raise IndexError for an interface that was not described.
        """
        if not 0 <= interface < self._interfaces:
            raise IndexError(f"there is no interface {interface}")
        length = len(data) if original_length is None else original_length
        if self._snaplen:
            data = data[: self._snaplen]
        head = struct.pack("<IIIII", interface, timestamp_ns >> 32, timestamp_ns & 0xFFFFFFFF, len(data), length)
        flags = struct.pack("<I", _FLAG[direction]) if direction is not None else b""
        self._block(_ENHANCED_PACKET, head + _padded(data) + _options((_COMMENT, _text(comment)), (_FLAGS, flags)))

    def statistics(self, interface: int, timestamp_ns: int, *, dropped: int) -> None:
        """Write how many packets were lost so far for lack of room (isb_ifdrop)."""
        head = struct.pack("<III", interface, timestamp_ns >> 32, timestamp_ns & 0xFFFFFFFF)
        self._block(_INTERFACE_STATISTICS, head + _options((_DROPPED, struct.pack("<Q", dropped))))

    def _block(self, kind: int, body: bytes) -> None:
        """Write one block, in one write: a reader of a pipe sees whole blocks."""
        size = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + size + body + size)
