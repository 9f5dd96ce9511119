# SPDX-License-Identifier: Apache-2.0
"""The vxlan device in the pen by which the daemon asks whether the kernel path carries packets to a peer, and hears
such questions (control/host/kernel_probe.py)."""

import hashlib
import socket
from collections.abc import Set
from typing import Protocol

from fastpath.addresses import IPAddress, format_mac
from fastpath.control.drivers import naming
from fastpath.control.drivers.naming import PROBE_VNI
from fastpath.control.drivers.overlay.pen import Pen
from fastpath.control.kernel.netlink.tunnels import Tunnel
from fastpath.errors import RefusedError

ETHERTYPE = 0x88B5  # local experiments (IEEE 802)


class Asker(Protocol):
    """Who asks."""

    def use(self, sock: socket.socket | None) -> None:
        """Ask by another packet socket from now on, or by none, and close the one before."""

    def set_vteps(self, vteps: frozenset[IPAddress]) -> None:
        """Ask these from now on."""


def probe_mac(vtep: IPAddress) -> bytes:
    """Return the MAC address behind which the daemon at a VTEP is asked: locally administered."""
    return b"\x02\xfb" + hashlib.sha256(vtep.packed).digest()[:4]


class ProbeDevice:
    """All methods are called within a pass."""

    def __init__(self, host: str, pen: Pen, asker: Asker) -> None:
        self._alias = naming.of_probes(host)
        self._pen = pen
        self._asker = asker
        self._used: tuple[int, int] | None = None  # the cookie of the pen, and the device's ifindex there
        self._vteps: frozenset[IPAddress] = frozenset()

    def ensure(self, tunnel: Tunnel, mtu: int) -> None:
        """Create or repair the device, and have it used. Its packets are never fragmented on the way."""
        ifindex, visit = self._pen.ensure_tunnel(self._alias, tunnel, mtu, None), self._pen.enter()
        used = (visit.sandbox.cookie, ifindex)
        if used != self._used:
            self._asker.use(visit.run(lambda: _packet_socket(ifindex)))
            self._used = used
            self.sync()

    def set_vteps(self, vteps: Set[IPAddress]) -> None:
        """Ask these from now on."""
        before, self._vteps = self._vteps, frozenset(vteps)
        if before == self._vteps:
            return
        for vtep in self._vteps - before:
            self._pen.set_tunnel_entry(PROBE_VNI, _mac(vtep), vtep)
        self._asker.set_vteps(self._vteps)
        for vtep in before - self._vteps:
            self._pen.delete_tunnel_entry(PROBE_VNI, _mac(vtep), vtep)

    def sync(self) -> int:
        """Compare what the device knows, and repair it. Return the number of repairs."""
        return self._pen.ensure_tunnel_entries(PROBE_VNI, {_mac(vtep): vtep for vtep in self._vteps})

    def close(self) -> None:
        """Ask nobody any more: the device goes with the pen."""
        if self._used is not None:
            self._asker.use(None)
            self._used = None


def _mac(vtep: IPAddress) -> str:
    return format_mac(int.from_bytes(probe_mac(vtep)))


def _packet_socket(ifindex: int) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    except OSError as error:
        needs = "it takes CAP_NET_RAW, and AF_PACKET in the service's unit"
        raise RefusedError(f"cannot open a packet socket: {error.strerror} ({needs})") from error
    try:
        sock.bind((socket.if_indextoname(ifindex), ETHERTYPE))
    except BaseException:
        sock.close()
        raise
    return sock
