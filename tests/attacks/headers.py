# SPDX-License-Identifier: Apache-2.0
"""VXLAN packets in forms in which a packet filter may overlook the port: fragments, options, extension headers. It
takes CAP_NET_RAW."""

import ipaddress
import socket
import struct

from tests.attacks import vxlan

_FRAGMENT, _HOP_BY_HOP, _DESTINATION = 44, 0, 60
_CUTS = (8, 800)  # bytes in the first fragment: the UDP header alone, or more


def send(frm: str, to: str, vni: int, inner: bytes) -> int:
    """Send a frame in each form, from the address `frm`, and return the number of forms."""
    source, target = ipaddress.ip_address(frm), ipaddress.ip_address(to)
    datagram = vxlan.udp(source.packed, target.packed, 50001, vxlan.VXLAN_PORT, vxlan.vxlan(vni, inner.ljust(1200)))
    forms = _forms4(datagram) if target.version == 4 else _forms6(datagram)
    family = socket.AF_INET if target.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        for number, form in enumerate(forms, 1):
            for begin, payload in form:
                if target.version == 4:
                    header = struct.pack("!BBHHH", 0x40 | 5 + begin[2] // 4, 0, 0, number, begin[1] << 13 | begin[0])
                    header += struct.pack("!BBH", 64, socket.IPPROTO_UDP, 0)
                else:
                    header = struct.pack("!IHBB", 6 << 28, len(payload), begin[0], 64)
                sock.sendto(header + source.packed + target.packed + payload, (to, 0))
    return len(forms)


def _forms4(datagram: bytes) -> list[list[tuple[tuple[int, int, int], bytes]]]:
    """Return packets as (offset, more fragments, length of options) and what follows the fixed header."""
    cut = [[((0, 1, 0), datagram[:at]), ((at // 8, 0, 0), datagram[at:])] for at in _CUTS]
    return [*cut, cut[-1][::-1], [((0, 0, 4), b"\x01\x01\x01\x00" + datagram)]]


def _forms6(datagram: bytes) -> list[list[tuple[tuple[int, int, int], bytes]]]:
    """Return packets as (next header, 0, 0) and what follows the fixed header."""

    def padded(following: int) -> bytes:
        return bytes([following, 0, 1, 4, 0, 0, 0, 0])

    def fragment(number: int, field: int, payload: bytes) -> bytes:
        return struct.pack("!BBHI", socket.IPPROTO_UDP, 0, field, number) + payload

    cut = [[fragment(at, 1, datagram[:at]), fragment(at, at, datagram[at:])] for at in _CUTS]
    back = [fragment(1, _CUTS[-1], datagram[_CUTS[-1] :]), fragment(1, 1, datagram[: _CUTS[-1]])]
    forms = [(_FRAGMENT, form) for form in (*cut, back, [fragment(2, 0, datagram)])]
    options = padded(_DESTINATION) + padded(socket.IPPROTO_UDP) + datagram
    forms += [(_HOP_BY_HOP, [options]), (_DESTINATION, [padded(socket.IPPROTO_UDP) + datagram])]
    return [[((first, 0, 0), payload) for payload in form] for first, form in forms]
