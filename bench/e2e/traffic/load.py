# SPDX-License-Identifier: Apache-2.0
"""One end of the datagram load, as a process of its own inside a container's namespace:

    python -m fastpath.bench.e2e.traffic.load send|receive|request|respond|learn|spread|watch …

It prints `ready` when its sockets exist, then reads one line, `BEGIN COUNT END` (CLOCK_MONOTONIC, ns):
traffic flows from BEGIN to END, and what happens from COUNT on is counted. At the end it prints one JSON object.
Both ends get the same line, so both count within the same window.
"""

import argparse
import ctypes
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence

from fastpath.bench.e2e.loops import native

PORT = 5001
RECEIVE_BUFFER = 4 << 20  # bytes; a burst that the receiver's core cannot take at once is not lost by the overlay
TIMEOUT_S = 0.2  # how long a receive blocks; an unanswered request counts as lost after it
PR_SET_PDEATHSIG = 1
SO_RCVBUFFORCE, SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC, ETH_P_IP = 33, 263, 1, 1, 0x0800
STATION = bytes.fromhex("02fb00000000")  # of the first of many stations; the last three bytes count


def _set_receive_options(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    seconds, microseconds = divmod(int(TIMEOUT_S * 1e6), 1_000_000)
    value = seconds.to_bytes(8, sys.byteorder) + microseconds.to_bytes(8, sys.byteorder)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)


def _socket(bind: tuple[str, int] | None, connect: tuple[str, int] | None) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    _set_receive_options(sock)
    if bind is not None:
        sock.bind(bind)
    if connect is not None:
        sock.connect(connect)
    return sock


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load", description="one end of the benchmark's datagram load")
    parser.add_argument("role", choices=["send", "receive", "request", "respond", "learn", "spread", "watch"])
    parser.add_argument("--address", default="10.9.0.2", help="where the receiving end listens")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--cpu", type=int, help="the core to stay on")
    parser.add_argument("--size", type=int, default=64, help="bytes of payload")
    parser.add_argument("--flows", type=int, default=1, help="sending sockets, used in turn")
    parser.add_argument("--rate", type=float, default=0, help="datagrams per second; 0: as many as the socket takes")
    parser.add_argument("--device", default="vx0", help="learn, spread, watch: interface for whole frames")
    parser.add_argument("--mac", default="02:00:00:00:00:01", help="learn: destination; spread: source")
    parser.add_argument("--entries", type=int, default=1024, help="learn, spread: number of MAC addresses")
    return parser.parse_args(words)


def _packet_socket(device: str) -> socket.socket:
    """Return a socket for whole IPv4 frames, including those for other stations."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    _set_receive_options(sock)
    sock.bind((device, ETH_P_IP))
    membership = struct.pack("iHH8x", socket.if_nametoindex(device), PACKET_MR_PROMISC, 0)
    sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
    return sock


def _frame(dst: bytes, src: bytes, size: int) -> bytes:
    """Return a UDP datagram of `size` bytes of payload in an Ethernet frame, without UDP checksum."""
    udp = struct.pack("!HHHH", PORT, PORT, 8 + size, 0) + bytes(size)
    addresses = socket.inet_aton("10.9.0.1") + socket.inet_aton("10.9.0.2")
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0) + addresses
    total = sum(struct.unpack("!10H", header))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return dst + src + b"\x08\0" + header[:10] + struct.pack("!H", checksum) + header[12:] + udp


def _frames(given: argparse.Namespace, times: tuple[int, int, int]) -> dict[str, int]:
    """Send frames from (learn) or to (spread) as many stations as there are entries, or count them (watch)."""
    mac = bytes.fromhex(given.mac.replace(":", ""))
    with _packet_socket(given.device) as sock:
        if given.role == "watch":
            return native.receive(sock.fileno(), len(_frame(mac, mac, given.size)), times, numbered=False)
        learns = given.role == "learn"
        frame = _frame(mac, STATION, given.size) if learns else _frame(STATION, mac, given.size)
        limit = given.entries if learns else 0
        return native.frames(sock.fileno(), frame, 6 if learns else 0, given.entries, limit, given.rate, times)


def _percentiles(times_ns: Sequence[int]) -> dict[str, float]:
    """Return one-way times in µs: half of the round trip."""
    if not times_ns:
        return {}
    import numpy as np  # noqa: PLC0415  # it takes longer to load than all else here, and only this role needs it

    one_way = np.asarray(times_ns) / 2000.0
    p50, p99, p999 = np.percentile(one_way, [50, 99, 99.9])
    return {"p50_us": float(p50), "p99_us": float(p99), "p999_us": float(p999), "max_us": float(one_way.max())}


def run(words: Sequence[str]) -> dict[str, float]:
    """Do what the arguments say. Return the tally."""
    given = _arguments(words)
    if given.cpu is not None:
        os.sched_setaffinity(0, {given.cpu})
    sockets = []
    if given.role in ("send", "receive", "request", "respond"):
        peer = (given.address, given.port)
        listens = given.role in ("receive", "respond")
        sockets = [_socket(peer, None) if listens else _socket(None, peer) for _ in range(given.flows)]
    print("ready", flush=True)
    begin, count, end = (int(word) for word in sys.stdin.readline().split())
    times = (begin, count, end)
    descriptors = [sock.fileno() for sock in sockets]
    match given.role:
        case "send":
            return {**native.send(descriptors, given.size, given.rate, times)}
        case "receive":
            return {**native.receive(descriptors[0], given.size, times)}
        case "request":
            tally, times_ns = native.request(descriptors[0], given.size, times)
            return {**tally, **_percentiles(times_ns)}
        case "respond":
            return {**native.respond(descriptors[0], times)}
        case _:
            return {**_frames(given, times)}


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no load without the benchmark
    print(json.dumps(run(sys.argv[1:])))
