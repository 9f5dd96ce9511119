# SPDX-License-Identifier: Apache-2.0
"""Send forged VXLAN packets: by an ordinary UDP socket, or with a source address that is not the sender's. What gets in
is seen by `tcpdump -e ether proto 0x88b6` in a container of the network."""

import argparse
import ipaddress
import os
import socket
import struct
import sys
import time

VXLAN_PORT = 4789
ETHERTYPE = 0x88B6  # for local experiments (IEEE 802)
BROADCAST = "ff:ff:ff:ff:ff:ff"
_SO_MARK = 36
_FREEBIND = {socket.AF_INET: (socket.IPPROTO_IP, 15), socket.AF_INET6: (socket.IPPROTO_IPV6, 78)}
_RTHDR, _SEGMENT_ROUTING = 57, 4  # IPV6_RTHDR, and the type of such a header (RFC 8754)
_LOOSE_SOURCE_ROUTE = 131  # RFC 791
_TTL = 64


def frame(payload: bytes, to: str = BROADCAST, frm: str = "02:00:00:00:66:66", ethertype: int = ETHERTYPE) -> bytes:
    """Return an Ethernet frame."""
    macs = b"".join(bytes.fromhex(mac.replace(":", "")) for mac in (to, frm))
    return macs + struct.pack("!H", ethertype) + payload.ljust(46, b"\0")


def vxlan(vni: int, inner: bytes) -> bytes:
    """Return the UDP payload that carries a frame in a network (RFC 7348 section 5)."""
    return struct.pack("!II", 1 << 27, vni << 8) + inner


def forge(
    to: str, vni: int, inner: bytes, *, udp_port: int = VXLAN_PORT, mark: int = 0, frm: str = "", via: str = ""
) -> None:
    """Send a frame to a VTEP by an ordinary UDP socket, as any process can. A `mark` needs CAP_NET_ADMIN or
    CAP_NET_RAW. `frm` is an address that this host need not have: for IPv6 the kernel sends such packets. `via` is a
    router that the packet has a source route by."""
    family = _family(to)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if mark:
            sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
        if frm:
            sock.setsockopt(*_FREEBIND[family], 1)
            sock.bind((frm, 0))
        if via and family == socket.AF_INET:
            route = struct.pack("!BBB", _LOOSE_SOURCE_ROUTE, 7, 4) + ipaddress.IPv4Address(via).packed
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, route + b"\0")
        elif via:
            header = struct.pack("!BBBBBBH", 0, 4, _SEGMENT_ROUTING, 1, 1, 0, 0)
            segments = ipaddress.IPv6Address(to).packed + ipaddress.IPv6Address(via).packed
            sock.setsockopt(socket.IPPROTO_IPV6, _RTHDR, header + segments)
        sock.sendto(vxlan(vni, inner), (to, udp_port))


def spoof(frm: str, to: str, vni: int, inner: bytes, *, udp_port: int = VXLAN_PORT) -> None:
    """Send a frame to a VTEP in a packet with the source address `frm`, by a raw socket (CAP_NET_RAW)."""
    source, target = ipaddress.ip_address(frm), ipaddress.ip_address(to)
    datagram = udp(source.packed, target.packed, 49152 + os.getpid() % 16384, udp_port, vxlan(vni, inner))
    with socket.socket(_family(to), socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        if target.version == 4:
            # Length, identification and checksum are the kernel's to fill in: raw(7).
            header = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, _TTL, socket.IPPROTO_UDP, 0)
        else:
            header = struct.pack("!IHBB", 6 << 28, len(datagram), socket.IPPROTO_UDP, _TTL)
        packet = header + source.packed + target.packed + datagram
        sock.sendto(packet, (to, 0))  # IPPROTO_RAW means that the packet has its header, for IPv6, too


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def udp(source: bytes, target: bytes, sport: int, dport: int, payload: bytes) -> bytes:
    """Return a UDP datagram with its checksum (RFC 768)."""
    length = 8 + len(payload)
    pseudo = source + target + struct.pack("!IHBB", length, 0, 0, socket.IPPROTO_UDP)
    checksum = _checksum(pseudo + struct.pack("!HHHH", sport, dport, length, 0) + payload)
    return struct.pack("!HHHH", sport, dport, length, checksum or 0xFFFF) + payload


def _checksum(data: bytes) -> int:
    """Return the ones' complement of the ones' complement sum (RFC 1071). The order of words does not matter."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def main() -> int:
    """Send forged packets. The exit status is 1 if one cannot be sent."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.vxlan", description=__doc__)
    attacks = parser.add_subparsers(dest="attack", required=True)
    by_socket = attacks.add_parser("forge", help="send a VXLAN packet by an ordinary UDP socket")
    raw = attacks.add_parser("spoof", help="send a VXLAN packet with a source address of another host (CAP_NET_RAW)")
    raw.add_argument("source", help="the address to pretend, such as a peer's VTEP")
    by_socket.add_argument("--from", dest="source", default="", help="the address to pretend, over IPv6")
    by_socket.add_argument("--via", default="", help="a router for a source route")
    for each in (by_socket, raw):
        each.add_argument("vtep", help="the address to send to")
        each.add_argument("--vni", type=int, required=True, help="of the network: `fastpath network ls`")
        each.add_argument("--port", type=int, default=VXLAN_PORT, help="UDP port (default: %(default)s)")
        each.add_argument("--to", default=BROADCAST, help="MAC address in the network (default: %(default)s)")
        each.add_argument("--text", default="forged", help="what the frame carries (default: %(default)s)")
        each.add_argument("--count", type=int, default=1, help="number of packets (default: %(default)s)")
        each.add_argument("--persist", action="store_true", help="go on when the kernel refuses to send")
        each.add_argument("--interval", type=float, default=0.01, help="seconds between two (default: %(default)s)")
    words = parser.parse_args()
    inner = frame(words.text.encode(), words.to)
    for number in range(words.count):
        time.sleep(words.interval if number else 0)
        try:
            if words.attack == "forge":
                forge(words.vtep, words.vni, inner, udp_port=words.port, frm=words.source, via=words.via)
            else:
                spoof(words.source, words.vtep, words.vni, inner, udp_port=words.port)
        except OSError as error:
            if words.persist:
                continue
            print(f"not sent: {error.strerror}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
