# SPDX-License-Identifier: Apache-2.0
"""The UDP sockets of a VTEP: one to receive on for each worker, and a pool to send from.

One socket has one source port, and the source port is what routers and NICs spread flows by
(RFC 7348 section 5): so each worker sends from several sockets, chosen by the inner flow's hash.
"""

import contextlib
import errno
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from fastpath.addresses import IPAddress
from fastpath.errors import ConflictError, RefusedError, UsageError

# Numbers from <linux/in.h>, <linux/in6.h> and <asm-generic/socket.h> that the socket module lacks.
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23
_PMTUDISC_DONT, _PMTUDISC_DO, _PMTUDISC_PROBE, _PMTUDISC_INTERFACE = 0, 2, 3, 4
_IP_RECVTOS, _IPV6_RECVTCLASS = 13, 66
_UDP_GRO = 104
_UDP_NO_CHECK6_RX = 102
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE, _SO_MARK, _SO_MEMINFO = 33, 32, 36, 55
_MEMINFO = struct.Struct("=9I")  # SK_MEMINFO_*; the last is drops

RECEIVE_BUFFER = 8 << 20
SEND_BUFFER = 4 << 20


@dataclass
class EngineSockets:
    """The UDP sockets of an engine, by worker. The engine closes them. `fragments` are those whose packets the kernel
    may fragment."""

    family: socket.AddressFamily
    receive: list[socket.socket] = field(default_factory=list)
    send: list[list[socket.socket]] = field(default_factory=list)
    fragments: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        """Close every socket."""
        for sock in [*self.receive, *self.fragments, *(s for pool in self.send for s in pool)]:
            sock.close()

    def overflows(self) -> int:
        """Return the number of packets that the kernel discarded because a receive buffer was full."""
        info = (s.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size) for s in self.receive)
        return sum(_MEMINFO.unpack(raw)[8] for raw in info)


def open_sockets(
    local: IPAddress | None,
    family: socket.AddressFamily,
    udp_port: int,
    *,
    workers: int,
    source_ports: tuple[int, int],
    pool_size: int,
    ttl: int,
    mark: int,
    gro: bool,
    probed_paths: bool = False,
    freebind: bool = False,
) -> EngineSockets:
    """Open and bind all sockets, or raise and leave none open.

    `local` None listens on all addresses of `family`. `source_ports` is an inclusive range, `pool_size`
    the number of sockets that each worker sends from, `ttl` 0 means the route's hop limit, `mark` is the
    SO_MARK of what they send (0: none), `gro` means that packets may arrive in trains. `probed_paths`: what ICMP says
    of a path's MTU does not count. `freebind`: this host need not have the address `local` yet.
    """
    sockets = EngineSockets(family)
    everything = "0.0.0.0" if family == socket.AF_INET else "::"  # noqa: S104  # `local` None asks for it
    address = str(local) if local is not None else everything
    try:
        for _ in range(workers):
            sock = _receiver(family, (address, udp_port), sockets.receive, gro=gro, freebind=freebind)
            sockets.receive.append(sock)
            if probed_paths:
                _discover(sockets.receive[-1], _PMTUDISC_INTERFACE)
        ports = _candidates(source_ports, exclude=udp_port)
        discover = _PMTUDISC_PROBE if probed_paths else _PMTUDISC_DO  # VTEPs must not fragment (RFC 7348 section 4.3)
        for left in range(workers, 0, -1):
            fair = max(1, len(ports) // left)  # leave some for the other workers
            size = min(pool_size, fair)
            make = partial(_sender, family, ttl, mark, discover, freebind)
            sockets.send.append(_pool(make, address, ports, size))
        for _ in range(workers):
            fragments = _sender(family, ttl, mark, _PMTUDISC_DONT, freebind)
            sockets.fragments.append(fragments)
            fragments.bind((address, 0))
    except BaseException:
        sockets.close()
        raise
    return sockets


def may_mark() -> bool:
    """Return whether this process may set the mark of its packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, 1)
        except PermissionError:
            return False
        return True


def _socket(family: socket.AddressFamily, freebind: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    if freebind:
        level, option = (
            (socket.IPPROTO_IP, _IP_FREEBIND) if family == socket.AF_INET else (socket.IPPROTO_IPV6, _IPV6_FREEBIND)
        )
        sock.setsockopt(level, option, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _set_buffer(sock: socket.socket, forced: int, plain: int, size: int) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, size)
    except PermissionError:  # without CAP_NET_ADMIN the system's limit applies
        sock.setsockopt(socket.SOL_SOCKET, plain, size)


def _receiver(
    family: socket.AddressFamily, place: tuple[str, int], before: list[socket.socket], *, gro: bool, freebind: bool
) -> socket.socket:
    """Return a socket that receives.

    The first one is bound without SO_REUSEPORT, so that binding fails if another process uses the port; the others then
    join it.
    """
    sock = _socket(family, freebind)
    try:
        _set_buffer(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, RECEIVE_BUFFER)
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTOS, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVTCLASS, 1)
            # A checksum of 0 means that there is none: "it MUST be accepted" (RFC 7348 section 5), and may be since
            # RFC 6935.
            sock.setsockopt(socket.IPPROTO_UDP, _UDP_NO_CHECK6_RX, 1)
        if gro:
            with contextlib.suppress(OSError):  # before Linux 5.0 there is no such thing
                sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
        if before:
            before[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(place)
    except OSError as error:
        sock.close()
        raise _explain(error, *place) from None
    return sock


def _explain(error: OSError, address: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return ConflictError(
            f"UDP port {port} on {address} is in use: stop what listens there (ss -ulpn 'sport = :{port}') "
            "or choose another dstport"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return RefusedError(f"this host does not have the address {address}: see `ip address` for those it has")
    return RefusedError(f"cannot listen on {address} port {port}: {error.strerror}")


def _candidates(source_ports: tuple[int, int], exclude: int) -> list[int]:
    low, high = source_ports if len(source_ports) == 2 else (0, 0)
    if not 1 <= low <= high <= 65535:
        raise UsageError(
            f"source ports {source_ports} are not two numbers, the first not above the second, from 1 to 65535"
        )
    return [port for port in range(low, high + 1) if port != exclude]


def _take(ports: list[int]) -> int:
    """Take any port: several engines on one host should rarely try the same ones."""
    index = random.randrange(len(ports))  # noqa: S311  # no secret
    ports[index], ports[-1] = ports[-1], ports[index]
    return ports.pop()


def _pool(make: Callable[[], socket.socket], address: str, ports: list[int], size: int) -> list[socket.socket]:
    """Return at least one and up to `size` sending sockets that `make` made, on ports taken from `ports`."""
    pool: list[socket.socket] = []
    try:
        while ports and len(pool) < size:
            sock = make()
            try:
                sock.bind((address, _take(ports)))
            except OSError as error:
                sock.close()
                if error.errno != errno.EADDRINUSE:
                    raise _explain(error, address, 0) from None
                continue
            pool.append(sock)
    except BaseException:
        for sock in pool:
            sock.close()
        raise
    if not pool:
        raise ConflictError("the srcport range has no free port left: give a wider range")
    return pool


def _sender(family: socket.AddressFamily, ttl: int, mark: int, discover: int, freebind: bool) -> socket.socket:
    sock = _socket(family, freebind)
    if mark:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
        except PermissionError:
            sock.close()
            raise RefusedError("cannot mark packets: no permission (CAP_NET_ADMIN), run as root") from None
    _set_buffer(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # no answers are expected here; keep nothing
    _discover(sock, discover)
    if ttl and family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    elif ttl:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    return sock


def _discover(sock: socket.socket, how: int) -> None:
    """Set how the path MTU limits packets of a socket, and whether they may be fragmented: see ip(7)."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, how)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, how)
