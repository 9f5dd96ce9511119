# SPDX-License-Identifier: Apache-2.0
"""This host's place in the underlay: its VTEP address, and how large a packet may be, now."""

import logging
from collections.abc import Callable, Iterable

from fastpath.addresses import IPAddress
from fastpath.control.model.objects import OVERHEAD_V4, OVERHEAD_V6, Peer
from fastpath.version import VERSION

log = logging.getLogger(__name__)

MIN_MTU = 68  # RFC 791


class HostUnderlay:
    """`mtu` is that of this host's way out, in bytes; containers get what is left of the smallest MTU of all peers,
    so that every host gives them the same."""

    def __init__(self, host: str, host_id: str, vtep: IPAddress, mtu: int) -> None:
        self.host = host
        self.host_id = host_id
        self.vtep = vtep
        self.mtu = mtu
        self._smallest = mtu
        self._listeners: list[Callable[[], object]] = []

    @property
    def overhead(self) -> int:
        """Return what the tunnel adds to a container's packet, in bytes."""
        return OVERHEAD_V4 if self.vtep.version == 4 else OVERHEAD_V6

    def container_mtu(self) -> int:
        """Return what the underlay leaves for the containers' packets."""
        return max(MIN_MTU, self._smallest - self.overhead)

    def subscribe(self, listener: Callable[[], object]) -> None:
        """Call `listener` whenever the containers' MTU is another one."""
        self._listeners.append(listener)

    def describe(self, udp_port: int) -> Peer:
        """Return this host as the others see it."""
        return Peer(host=self.host, id=self.host_id, vtep=self.vtep, udp_port=udp_port, mtu=self.mtu, version=VERSION)

    def measured(self, mtu: int, peers: Iterable[Peer]) -> None:
        """Take this host's MTU and those of its peers."""
        smallest = min([mtu, *(peer.mtu for peer in peers)])
        if mtu != self.mtu:
            log.info("the underlay's MTU is %d now, it was %d", mtu, self.mtu)
        changed = smallest != self._smallest
        self.mtu, self._smallest = mtu, smallest
        for listener in self._listeners if changed else ():
            listener()
