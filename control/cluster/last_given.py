# SPDX-License-Identifier: Apache-2.0
"""The address that was given last in a network: the next one comes after it. What was just given back stays free for a
while: neighbours still have its old MAC address, and a container that was stopped may want it again."""

from ipaddress import ip_address

from fastpath.addresses import IPAddress
from fastpath.control.cluster import keys
from fastpath.control.cluster.transact import ReadView
from fastpath.control.store.interface import Delete, Put

Last = dict[int, IPAddress]
"""By IP version."""


async def read(view: ReadView, network: str) -> Last:
    """Return the last addresses, as far as the store has them. The commit does not depend on them: of two hosts that
    choose the same address, the second one's commit fails by the claim."""
    found: Last = {}
    for item in await view.list(keys.last_given(network)):
        try:
            address = ip_address(item.value.decode())
        except ValueError:
            continue
        found[address.version] = address
    return found


def put(network: str, address: IPAddress) -> Put:
    """Return the change that remembers an address."""
    return Put(f"{keys.last_given(network)}{address.version}", str(address).encode())


def forgotten(network: str) -> list[Delete]:
    """Return the changes that forget a network's addresses."""
    return [Delete(f"{keys.last_given(network)}{version}") for version in (4, 6)]
