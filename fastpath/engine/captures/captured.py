# SPDX-License-Identifier: Apache-2.0
"""The frames and packets that a capture returns."""

from typing import NamedTuple

from fastpath.pcap.pcapng import Direction

LINKTYPE_RAW = 101  # a packet begins with its IP header
SNAPLEN = 262144  # tcpdump's: more than any frame has
UNKNOWN_PLACE = "underlay"


class Captured(NamedTuple):
    """A frame (from its Ethernet header) or, in an outer capture, a packet (from its outer IP header).

    `where` is the port's name or the remote's address; `drop` is why the frame went no further there, or None;
    `length` is its own, of which `data` has the beginning. `vni` is None where there was none to read.
    """

    time_ns: int
    direction: Direction
    where: str
    drop: str | None
    vni: int | None
    length: int
    data: bytes


# Why packets, not frames, are dropped: what an outer capture can show.
PACKET_DROPS = frozenset(
    (
        "unknown_vtep short_packet no_vni_flag reserved_bits unknown_vni ambiguous_train ecn_invalid runt "
        "bad_super_frame too_big underlay_full underlay_unreachable underlay_error"
    ).split()
)
