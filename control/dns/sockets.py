# SPDX-License-Identifier: Apache-2.0
"""Where the resolvers listen: UDP and TCP port 53 of each network's gateway addresses, in the network's namespace.

The reconciler's thread opens and closes as networks come and go (`ensure`, `remove`); the event loop serves what is
open (server.py). What arrives in between waits in the socket.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from fastpath.control.kernel import netns, sysctl
from fastpath.control.model.objects import Network, Sandbox

PORT = 53
BACKLOG = 32
STREAM_BUFFER = 1 << 16
UNPRIVILEGED = 1024  # from here on, unless the namespace says otherwise
IPV6_FREEBIND = 78  # <linux/in6.h>; Python has no name for it


@dataclass(eq=False)
class Opened:
    """One network's sockets. What serves them closes them."""

    network: Network
    namespace: Sandbox
    udp: list[socket.socket] = field(default_factory=list)
    tcp: list[socket.socket] = field(default_factory=list)
    served: bool = False

    def close(self) -> None:
        """Close all sockets."""
        for sock in (*self.udp, *self.tcp):
            sock.close()


class Sockets:
    """The sockets of all networks of this host. `port` differs only in tests."""

    def __init__(self, port: int = PORT) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._opened: dict[str, Opened] = {}
        self._on_change: Callable[[], None] = lambda: None

    def on_change(self, function: Callable[[], None]) -> None:
        """Call `function`, in any thread, when `current` would return something else."""
        self._on_change = function

    def current(self) -> dict[str, Opened]:
        """Return what is open now. The caller closes what is not returned any more."""
        with self._lock:
            for opened in self._opened.values():
                opened.served = True
            return dict(self._opened)

    def ensure(self, network: Network, namespace: Sandbox) -> None:
        """Listen in this namespace, if not done yet. Raise RefusedError."""
        there = self._opened.get(network.name)
        if there is not None and (there.network.fixed(), there.namespace) == (network.fixed(), namespace):
            return
        if there is not None:
            self.remove(network.name)
        opened = Opened(network, namespace)
        try:
            netns.inside(namespace, lambda: self._open(opened))
        except BaseException:
            opened.close()
            raise
        with self._lock:
            self._opened[network.name] = opened
        self._on_change()

    def remove(self, name: str) -> None:
        """Stop listening in a network."""
        with self._lock:
            opened = self._opened.pop(name, None)
            if opened is not None and not opened.served:
                opened.close()
        if opened is not None:
            self._on_change()

    def close(self) -> None:
        """Close everything."""
        for name in list(self._opened):
            self.remove(name)

    def _open(self, opened: Opened) -> None:
        # In this namespace of ours, so that the daemon needs no capability for it (NET_BIND_SERVICE).
        sysctl.ensure("ipv4/ip_unprivileged_port_start", min(self._port, UNPRIVILEGED))
        for subnet in opened.network.subnets:
            for kind, where in ((socket.SOCK_DGRAM, opened.udp), (socket.SOCK_STREAM, opened.tcp)):
                where.append(_bound(subnet.gateway.version, kind, str(subnet.gateway), self._port))


def _bound(version: int, kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    try:
        # The address may be away for as long as br0 is being recreated.
        if version == 4:
            sock.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND of <linux/in.h>
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            with contextlib.suppress(OSError):  # Linux 4.15
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a predecessor
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # of the connections: the kernel would grant megabytes
                sock.setsockopt(socket.SOL_SOCKET, option, STREAM_BUFFER)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
