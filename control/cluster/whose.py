# SPDX-License-Identifier: Apache-2.0
"""Say who has an address or a MAC address, for the error that refuses it to somebody else."""

from fastpath.control.cluster import allowed, keys
from fastpath.control.cluster.reservations import DOCKER
from fastpath.control.cluster.stored import read_endpoint
from fastpath.control.cluster.transact import ReadView
from fastpath.control.model.objects import Endpoint
from fastpath.control.store.interface import DeniedError, Item
from fastpath.text import printable

MAX_SHOWN = 4  # endpoints of a shared address


async def holder(view: ReadView, network: str, claim: Item) -> str:
    """Return who has what is claimed, as "endpoint ID (NAME) of HOST". This lists the network's endpoints: claims have
    ids only. An endpoint that the store does not have, or does not show to this host, is called by its id."""
    if claim.value.startswith(DOCKER):
        host = printable(claim.value.removeprefix(DOCKER).decode(errors="replace"))[:64]
        return f"Docker of {host}, for a container that starts or was removed just now"
    ids = claim.value.removeprefix(allowed.MARK).decode(errors="replace").split()
    there = await _endpoints(view, network)
    shown = [describe(there[each]) if each in there else f"endpoint {printable(each)[:16]}" for each in ids]
    if len(shown) > MAX_SHOWN:
        shown[MAX_SHOWN:] = [f"{len(shown) - MAX_SHOWN} more"]
    return " and ".join(shown) or "nobody that is known"


def describe(endpoint: Endpoint) -> str:
    """Return the endpoint's id, its first name and its host."""
    name = f" ({endpoint.names[0]})" if endpoint.names else ""
    return f"endpoint {endpoint.id}{name} of {endpoint.host}"


async def _endpoints(view: ReadView, network: str) -> dict[str, Endpoint]:
    try:
        items = [*await view.list(keys.endpoints(network)), *await view.list(keys.HOSTS)]
    except DeniedError:
        return {}
    ends = (read_endpoint(item) for item in items if keys.network_of(item.key) == network)
    return {end.id: end for end in ends if end is not None}
