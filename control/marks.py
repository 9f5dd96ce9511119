# SPDX-License-Identifier: Apache-2.0
"""By what we know our own interfaces and namespaces again, after a restart or a crash: names, and the ifalias."""

import re

from fastpath.control.model import Endpoint, Network

VXLAN, BRIDGE = "vxlan0", "br0"  # in a network's namespace, as Docker's overlay has it


def of_endpoint(host: str, identity: str) -> str:
    """The ifalias of an endpoint's interfaces. Names have no colon, so it can't be another host's."""
    return f"fastpath:{host}:{identity}"


def endpoint_id(host: str, alias: str) -> str | None:
    """The inverse, or None where it is no endpoint of this host."""
    found = re.fullmatch(rf"fastpath:{re.escape(host)}:([0-9a-f]{{16}})", alias)
    return found[1] if found else None


def of_network(host: str, name: str) -> str:
    """The ifalias of lo in a network's namespace."""
    return f"fastpath:{host}:network:{name}"


def network_name(host: str, alias: str) -> str | None:
    """The inverse, or None."""
    prefix = of_network(host, "")
    return alias[len(prefix) :] if alias.startswith(prefix) else None


def namespace_name(host: str, network: Network) -> str:
    """The namespace of a network of the bridge layout, as in `ip netns`."""
    return f"fastpath-{host}-{network.name}"


def veth_name(endpoint: Endpoint) -> str:
    """The end of an endpoint's veth that is in the network's namespace."""
    return f"veth{endpoint.id[:11]}"
