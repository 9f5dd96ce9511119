# SPDX-License-Identifier: Apache-2.0
"""Addresses that macvlan networks share with their LAN."""

from fastpath.addresses import IPAddress
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.underlay_watch import own_addresses


async def hosts_addresses(kernel: KernelThread, mirror: Mirror) -> set[IPAddress]:
    """Return the known addresses of hosts: all of this host, and every VTEP. No endpoint may get one of them."""
    own = await kernel.run(own_addresses)
    return own | {peer.vtep for peer in mirror.known_peers.values()}
