# SPDX-License-Identifier: Apache-2.0
"""The interface of a driver, which does the work for one kind of network (`Network.driver`) on this host.

Every method reaches its result from any state: nothing is there, everything, or the rest from a killed process. All
methods are for one thread at a time, and not for the event loop's thread.

To ensure is to bring about from any state: create, repair, or leave as it is. Each level adds something: the reconciler
(host/reconciler.py) decides what and when, HostState remembers and tells the engine, a driver knows which interfaces an
endpoint has, a layout knows where they are, and Links (kernel/netlink/links.py) sets what differs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastpath import Port, Segment
from fastpath.control.model.objects import Endpoint, Network
from fastpath.control.model.problem import Problem

if TYPE_CHECKING:
    from fastpath.control.drivers.kernel_network import KernelNetwork


class HostDriver(ABC):
    """The base of drivers/overlay/driver.py and drivers/macvlan/driver.py. Methods with a body here are optional."""

    @abstractmethod
    def ensure_network(self, network: Network, mtu: int) -> Segment | None:
        """Create everything that the network needs on a host with endpoints of it. Return its segment in the engine,
        which then gets the endpoints of other hosts; None if the engine has no part in the network."""

    @abstractmethod
    def remove_network(self, network: Network) -> None:
        """Remove everything of the network, with the rest of its endpoints."""

    @abstractmethod
    def ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> Port | None:
        """Create the endpoint's interface in its sandbox, and return the port for its frames, if the engine has one.
        `mtu` is the network's, or what the underlay leaves. Undo everything on failure."""

    @abstractmethod
    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the interface. No error if it, or its sandbox, is gone already."""

    @abstractmethod
    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        """Remove what is ours and nothing needs; return what was done, in sentences. `wanted` and `networks` are the
        endpoints and networks of this host, of all drivers."""

    def check(self, network: Network) -> None:  # noqa: B027  # every host can have every network
        """Raise FastpathError if this host could not have endpoints of a network that is about to be created. Leave
        nothing behind."""

    def own_mac(self, network: Network) -> str | None:
        """Return the MAC address of an endpoint that requests none; None if it is derived from its IP address."""
        return None

    def segment(self, network: Network) -> Segment | None:
        """Return the network's segment in the engine; None if the engine has no part in it."""
        return None

    def take_over(self, network: Network, endpoint: Endpoint) -> Port | None:
        """Return the port of the endpoint's interface that an earlier process left, unchanged; None if it left none,
        or frames never stopped."""
        return None

    def ensure_gateway(self) -> bool:
        """Repair what all networks share on this host, if it exists. Return whether endpoints have to be ensured,
        too."""
        return False

    def follow_way_out(self) -> bool:
        """Repair what depends on the host's routes. Return whether endpoints have to be ensured, too."""
        return False

    def gateway_problems(self) -> list[Problem]:
        """Return what is wrong with what `ensure_gateway` repairs, as it was then."""
        return []

    def ensure_resolver(self, network: Network, mtu: int) -> None:  # noqa: B027  # there may be none
        """Create the network's resolver. The network has to be ensured before."""

    def gateway_port(self, network: Network) -> Port | None:
        """Return the port in front of this host's own gateway addresses of the network; None if it has none."""
        return None

    def check_senders(self, network: Network, endpoints: Iterable[Endpoint]) -> None:  # noqa: B027  # the engine may do
        """Let the kernel check what these endpoints, the network's on this host, send where the engine does not see
        it. The network has to be ensured before. `problems` reports failures."""

    def kernel_network(self, network: Network) -> "KernelNetwork | None":
        """Return the kernel path's part in the network, which is told of endpoints as the engine is; None if it has
        none."""
        return None

    def carries(self, network: Network) -> bool:
        """Return whether frames to new endpoints of the network may come by the kernel path."""
        return False

    def ensure_kernel_path(self) -> int:
        """Make the kernel path what all networks want, after all were ensured. Return how many repairs were needed."""
        return 0

    def problems(self, network: Network) -> list[Problem]:
        """Return the problems of an ensured network that do not keep its endpoints from being ensured."""
        return []
