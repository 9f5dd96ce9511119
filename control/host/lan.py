# SPDX-License-Identifier: Apache-2.0
"""What macvlan networks share with the LAN that they are in."""

from fastpath.addresses import IPAddress
from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.reconciler import Reconciler
from fastpath.control.host.underlay_watch import own_addresses


async def hosts_addresses(reconciler: Reconciler, mirror: Mirror) -> set[IPAddress]:
    """Those that hosts have, as far as this one knows: all its own, and every VTEP. No endpoint may get one."""
    own = await reconciler.in_thread(own_addresses)
    return own | {peer.vtep for peer in mirror.peers.values()}
