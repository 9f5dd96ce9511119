# SPDX-License-Identifier: Apache-2.0
"""What a driver does: the kind of network that `Network.driver` names, on this host.

Every method brings about what it says, whatever is there already: nothing, all of it, or what was left when a process
was killed in between. All are for one thread at a time, and not for the event loop's.
"""

from collections.abc import Iterable
from typing import Protocol

from fastpath import Port, Segment
from fastpath.control.model.objects import Endpoint, Network
from fastpath.control.model.problem import Problem


class Driver(Protocol):
    """control/drivers/overlay/driver.py and control/drivers/macvlan/driver.py."""

    def check(self, network: Network) -> None:
        """Whether this host could have endpoints of a network that is to be made. Leaves nothing. Raises
        FastpathError."""

    def own_mac(self, network: Network) -> str | None:
        """The MAC address that an endpoint gets where none is asked for; None: one that follows from its address."""

    def segment(self, network: Network) -> Segment | None:
        """The network's segment in the engine; None where the engine has no part in it."""

    def take_over(self, network: Network, endpoint: Endpoint) -> Port | None:
        """The port of the endpoint's interface that an earlier process left, as it is; None where it left none."""

    def ensure_network(self, network: Network, mtu: int) -> Segment | None:
        """What the network has on a host with endpoints of it. Returns its segment in the engine, which is then told
        of the endpoints of other hosts; None where the engine has no part in it."""

    def remove_network(self, network: Network) -> None:
        """All of it goes, with what is left of its endpoints."""

    def gateway_port(self, network: Network) -> Port | None:
        """The port behind which this host itself has the network's gateway addresses; None where it has not."""

    def problem(self, network: Network) -> Problem | None:
        """What is wrong with a network that was ensured, but does not keep its endpoints from being ensured."""

    def ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> Port | None:
        """The endpoint's interface in its sandbox, complete; returns the port that its frames come from, if the engine
        has one. `mtu` is what the underlay leaves, or the network's. What was made is undone on failure."""

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """The interface goes. No error where it, or its sandbox, is gone already."""

    def ensure_gateway(self) -> None:
        """What all networks share on this host, as far as it is there."""

    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        """Remove what is ours and nothing wants; returns what was done, in sentences. `wanted` and `networks` are those
        that this host takes part in, of all drivers."""
