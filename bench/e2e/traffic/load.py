# SPDX-License-Identifier: Apache-2.0
"""One end of the datagram load, as a process of its own inside a container's namespace:

    python -m fastpath.bench.e2e.traffic.load send|receive|request|respond|stream|absorb|learn|spread|watch …

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
import time
from collections.abc import Sequence

from fastpath.bench.e2e.loops import native

PORT = 5001
RECEIVE_BUFFER = 4 << 20  # bytes; a burst that the receiver's core cannot take at once is not lost by the overlay
TIMEOUT_S = 0.2  # how long a receive blocks; an unanswered request counts as lost after it
ACK_TIMEOUT_S = 0.02  # of a stream's acknowledgement, about what QUIC waits (RFC 9002 section 6.2)
CONNECT_S = 30.0  # how long the other end may take to listen
TICK_NS = 1_000_000  # how long a sender sleeps that shares its core with others, as iperf3 does
TRAIN, UNDER_WAY = 20, 400  # datagrams of a stream: in one send, and sent but not yet acknowledged
UDP_SEGMENT, UDP_GRO = 103, 104
PR_SET_PDEATHSIG = 1
ROLES = ("send", "receive", "request", "respond", "stream", "absorb", "learn", "spread", "watch")
SO_RCVBUFFORCE, SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC, ETH_P_IP = 33, 263, 1, 1, 0x0800
STATION = bytes.fromhex("02fb00000000")  # of the first of many stations; the last three bytes count


def _set_receive_options(sock: socket.socket, timeout: float = TIMEOUT_S, buffer: int | None = RECEIVE_BUFFER) -> None:
    if buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer)
    seconds, microseconds = divmod(int(timeout * 1e6), 1_000_000)
    value = seconds.to_bytes(8, sys.byteorder) + microseconds.to_bytes(8, sys.byteorder)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)


def _socket(given: argparse.Namespace) -> socket.socket:
    """Return a UDP socket: bound at the end that listens, connected at the other."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    timeout = ACK_TIMEOUT_S if given.role == "stream" else TIMEOUT_S
    _set_receive_options(sock, timeout, None if given.plain else RECEIVE_BUFFER)
    if given.role == "stream":
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, given.size)
    if given.role == "absorb":
        sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    peer = (given.address, given.port)
    if given.role in ("receive", "respond", "absorb"):
        sock.bind(peer)
    else:
        sock.connect(peer)
    return sock


def _tcp_socket(given: argparse.Namespace) -> socket.socket:
    """Return a TCP socket: one that listens where requests are answered, a connected one where they are made."""
    peer = (given.address, given.port)
    if given.role == "respond":
        return socket.create_server(peer)
    end = time.monotonic() + CONNECT_S
    while True:
        try:
            sock = socket.create_connection(peer, CONNECT_S)
        except ConnectionRefusedError:  # the other end does not listen yet
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            break
    return _without_delay(sock)


def _without_delay(sock: socket.socket) -> socket.socket:
    """Make a TCP socket send at once. Receives block for a moment only."""
    sock.setblocking(True)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _set_receive_options(sock, buffer=None)
    return sock


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load", description="one end of the benchmark's datagram load")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--address", default="10.9.0.2", help="where the receiving end listens")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--cpu", type=int, help="the core to stay on")
    parser.add_argument("--size", type=int, default=64, help="bytes of payload")
    parser.add_argument("--flows", type=int, default=1, help="sending sockets, used in turn")
    parser.add_argument("--rate", type=float, default=0, help="datagrams per second; 0: as many as the socket takes")
    parser.add_argument("--plain", action="store_true", help="send, receive: a call for each, no large buffer")
    parser.add_argument("--tcp", action="store_true", help="request, respond: over TCP")
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
    sockets: list[socket.socket] = []
    if given.tcp:
        sockets = [_tcp_socket(given)]
    elif given.role in ("send", "receive", "request", "respond", "stream", "absorb"):
        sockets = [_socket(given) for _ in range(given.flows)]
    print("ready", flush=True)
    begin, count, end = (int(word) for word in sys.stdin.readline().split())
    times = (begin, count, end)
    if given.tcp and given.role == "respond":
        sockets.append(_without_delay(sockets.pop().accept()[0]))
    descriptors = [sock.fileno() for sock in sockets]
    return _flow(given, descriptors, times) if descriptors else {**_frames(given, times)}


def _flow(given: argparse.Namespace, descriptors: list[int], times: tuple[int, int, int]) -> dict[str, float]:
    """Do what the arguments say over sockets."""
    first, tally = descriptors[0], dict[str, int]()
    more: dict[str, float] = {}
    match given.role:
        case "send":
            batch, tick = (1, TICK_NS) if given.plain else (native.BATCH, 0)
            tally = native.send(descriptors, given.size, given.rate, times, batch, tick)
        case "receive":
            tally = native.receive(first, given.size, times)
        case "stream":
            tally = native.stream(first, given.size, TRAIN, UNDER_WAY, times)
        case "absorb":
            tally = native.absorb(first, given.size, times)
        case "request":
            tally, times_ns = native.request(first, given.size, times)
            more = _percentiles(times_ns)
        case "respond":
            tally = native.respond(first, times)
    return {**tally, **more}


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # no load without the benchmark
    print(json.dumps(run(sys.argv[1:])))
