# SPDX-License-Identifier: Apache-2.0
"""What macvlan networks share with the LAN that they are in."""

from fastpath.addresses import IPAddress
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.kernel_thread import KernelThread
from fastpath.control.host.underlay_watch import own_addresses


async def hosts_addresses(kernel: KernelThread, mirror: Mirror) -> set[IPAddress]:
    """Return the addresses that hosts have, as far as this one knows: all its own, and every VTEP. No endpoint may get
    one."""
    own = await kernel.run(own_addresses)
    return own | {peer.vtep for peer in mirror.peers.values()}
