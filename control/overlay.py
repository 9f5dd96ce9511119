# SPDX-License-Identifier: Apache-2.0
"""The overlay driver: what networks and endpoints are made of, on this host (docs/overlay.md).

Every method brings about what it says, whatever is there already: nothing, all of it, or what was left when a process
was killed in between. All are for one thread at a time, and not for the event loop's.
"""

from fastpath import Engine, Port, Segment
from fastpath.control.layout_direct import DirectLayout
from fastpath.control.model import Endpoint, Network
from fastpath.errors import UsageError


class Overlay:
    """The networks of driver "overlay" on this host."""

    def __init__(self, engine: Engine, host: str) -> None:
        self._engine = engine
        self._direct = DirectLayout(engine, host)

    def ensure_network(self, network: Network, mtu: int) -> Segment:
        """The network's segment in the engine, and what its layout needs."""
        return self._segment(network)

    def remove_network(self, network: Network) -> None:
        """The segment goes, with every port that is still on it."""
        segment = self._engine.segments.get(_vni(network))
        if segment is not None:
            self._engine.remove_segment(segment)

    def ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> Port:
        """The endpoint's interface in its sandbox, complete; returns the port that its frames come from. `mtu` is
        the interface's. Raises ConflictError where the sandbox is gone, or has another interface of that name:
        nothing is changed then."""
        return self._direct.ensure(self._segment(network), endpoint, mtu)

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """The interface goes. No error where it, or its sandbox, is gone already."""
        self._direct.remove(endpoint)

    def _segment(self, network: Network) -> Segment:
        vni = _vni(network)
        return self._engine.segments.get(vni) or self._engine.add_segment(vni)


def _vni(network: Network) -> int:
    if network.vni is None:
        raise UsageError(f"the network {network.name} has no VNI: it is not one of the overlay's")
    return network.vni
