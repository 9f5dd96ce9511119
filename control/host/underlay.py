# SPDX-License-Identifier: Apache-2.0
"""This host's place in the underlay: its VTEP address, and the current MTU."""

import logging
from collections.abc import Callable, Iterable

from fastpath.addresses import IPAddress
from fastpath.control.model.objects import LARGEST_V4, LARGEST_V6, MIN_MTU_V6, OVERHEAD_V4, OVERHEAD_V6, Peer
from fastpath.version import VERSION

log = logging.getLogger(__name__)

MIN_MTU = 68  # RFC 791
LEAST_OF_PEER = MIN_MTU_V6
"""A peer that says less is not believed: what one host says limits the containers of all."""


class HostUnderlay:
    """`mtu` is this host's underlay MTU, in bytes. The containers' MTU is the smallest MTU of all peers less the
    overhead, so that it is the same on every host."""

    def __init__(self, host: str, host_id: str, vtep: IPAddress, mtu: int, incarnation: str = "") -> None:
        self.host = host
        self.host_id = host_id
        self.incarnation = incarnation
        self.vtep = vtep
        self.mtu = mtu
        self.kernel_port = 0  # of the kernel path, while this host has one
        self._smallest = mtu
        self._listeners: list[Callable[[], object]] = []

    @property
    def overhead(self) -> int:
        """Return the number of bytes that the tunnel adds to a container's packet."""
        return OVERHEAD_V4 if self.vtep.version == 4 else OVERHEAD_V6

    def container_mtu(self) -> int:
        """Return the MTU that the underlay leaves for containers."""
        largest = LARGEST_V4 if self.vtep.version == 4 else LARGEST_V6
        return max(MIN_MTU, min(self._smallest - self.overhead, largest))

    def subscribe(self, listener: Callable[[], object]) -> None:
        """Call `listener` whenever the containers' MTU changes."""
        self._listeners.append(listener)

    def describe(self, udp_port: int) -> Peer:
        """Return this host as a peer of the others."""
        return Peer(
            host=self.host,
            id=self.host_id,
            vtep=self.vtep,
            udp_port=udp_port,
            mtu=self.mtu,
            version=VERSION,
            kernel_port=self.kernel_port,
            incarnation=self.incarnation,
        )

    def measured(self, mtu: int, peers: Iterable[Peer]) -> None:
        """Note this host's MTU and those of its peers, but for those that are too small to be believed."""
        smallest = min([mtu, *(peer.mtu for peer in peers if peer.mtu >= LEAST_OF_PEER)])
        if mtu != self.mtu:
            log.info("the underlay's MTU changed from %d to %d", self.mtu, mtu)
        changed = smallest != self._smallest
        self.mtu, self._smallest = mtu, smallest
        for listener in self._listeners if changed else ():
            listener()
