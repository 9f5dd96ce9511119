# SPDX-License-Identifier: Apache-2.0
"""Whole frames, and how to send them."""

import ipaddress
import socket
import struct
import time
from collections.abc import Iterable

BROADCAST = "ff:ff:ff:ff:ff:ff"
LOCAL_EXPERIMENT = 0x88B6  # an EtherType (IEEE 802)
SOL_PACKET, PACKET_VNET_HDR = 263, 15  # <linux/if_packet.h>
_PAUSE_S = 0.002


def send(interface: str, *frames: bytes) -> None:
    """Send frames by an interface of this network namespace, as they are."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, 0))
        for frame in frames:
            sock.send(frame)


def stream(interface: str, frames: Iterable[bytes], rate: float, *, vnet: bool = False) -> int:
    """Send frames, `rate` a second, or as many as a busy machine lets through; return how many the interface took. With
    `vnet`, each begins with a struct virtio_net_hdr."""
    taken, start = 0, time.monotonic()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, int(vnet))
        sock.bind((interface, 0))
        for number, frame in enumerate(frames):
            while number >= rate * (time.monotonic() - start):
                time.sleep(_PAUSE_S)
            try:
                sock.send(frame)
            except OSError:  # its queue is full
                continue
            taken += 1
    return taken


def mac_of(interface: str) -> str:
    """The MAC address of an interface."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, 0))
        return bytes(sock.getsockname()[4]).hex(":")


def ethernet(source: str, destination: str, kind: int, payload: bytes) -> bytes:
    """An Ethernet frame."""
    return mac(destination) + mac(source) + kind.to_bytes(2, "big") + payload


def mac(text: str) -> bytes:
    """The bytes of a MAC address."""
    return bytes.fromhex(text.replace(":", ""))


def udp4(source: str, destination: str, ports: tuple[int, int], payload: bytes) -> bytes:
    """An IPv4 packet with UDP, without a UDP checksum."""
    datagram = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, 64, socket.IPPROTO_UDP, 0)
    return header[:10] + checksum(header + addresses).to_bytes(2, "big") + addresses + datagram


def icmp6(source: str, destination: str, message: bytes) -> bytes:
    """An IPv6 packet with an ICMPv6 message, whose checksum is filled in. The hop limit is that of a neighbour."""
    addresses = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed
    pseudo = addresses + struct.pack("!II", len(message), socket.IPPROTO_ICMPV6)
    summed = message[:2] + checksum(pseudo + message).to_bytes(2, "big") + message[4:]
    return struct.pack("!IHBB", 6 << 28, len(message), socket.IPPROTO_ICMPV6, 255) + addresses + summed


def checksum(data: bytes) -> int:
    """The checksum of the Internet protocols (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
