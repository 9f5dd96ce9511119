# SPDX-License-Identifier: Apache-2.0
"""What a driver does: the kind of network that `Network.driver` names, on this host.

Every method brings about what it says, whatever is there already: nothing, all of it, or what was left when a process
was killed in between. All are for one thread at a time, and not for the event loop's.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from fastpath import Port, Segment
from fastpath.control.model.objects import Endpoint, Network
from fastpath.control.model.problem import Problem


class HostDriver(ABC):
    """The base of drivers/overlay/driver.py and drivers/macvlan/driver.py. What has a body here is for drivers that
    have more to do than to ensure and to remove."""

    @abstractmethod
    def ensure_network(self, network: Network, mtu: int) -> Segment | None:
        """Make what the network has on a host with endpoints of it. Return its segment in the engine, which is then
        told of the endpoints of other hosts; None if the engine has no part in it."""

    @abstractmethod
    def remove_network(self, network: Network) -> None:
        """Remove all of it, with what is left of its endpoints."""

    @abstractmethod
    def ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> Port | None:
        """Make the endpoint's interface in its sandbox, and return the port that its frames come from, if the engine
        has one. `mtu` is what the underlay leaves, or the network's. What was made is undone on failure."""

    @abstractmethod
    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the interface. No error if it, or its sandbox, is gone already."""

    @abstractmethod
    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        """Remove what is ours and nothing wants; return what was done, in sentences. `wanted` and `networks` are those
        that this host takes part in, of all drivers."""

    def check(self, network: Network) -> None:  # noqa: B027  # every host can have every network
        """Raise FastpathError if this host could not have endpoints of a network that is to be made. Leave
        nothing."""

    def own_mac(self, network: Network) -> str | None:
        """Return the MAC address that an endpoint gets where none is asked for; None: one that follows from its
        address."""
        return None

    def segment(self, network: Network) -> Segment | None:
        """Return the network's segment in the engine; None if the engine has no part in it."""
        return None

    def take_over(self, network: Network, endpoint: Endpoint) -> Port | None:
        """Return the port of the endpoint's interface that an earlier process left, as it is; None if it left none,
        or frames never ceased to flow."""
        return None

    def ensure_gateway(self) -> None:  # noqa: B027  # there may be none
        """Repair what all networks share on this host, as far as it is there."""

    def ensure_resolver(self, network: Network, mtu: int) -> None:  # noqa: B027  # there may be none
        """Make the network's resolver. It is called once the network has been ensured before."""

    def gateway_port(self, network: Network) -> Port | None:
        """Return the port behind which this host itself has the network's gateway addresses; None if it has not."""
        return None

    def problem(self, network: Network) -> Problem | None:
        """Return what is wrong with a network that was ensured, but does not keep its endpoints from being ensured."""
        return None
