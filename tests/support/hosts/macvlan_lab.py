# SPDX-License-Identifier: Apache-2.0
"""What a daemon does with the macvlan driver, on the hosts of a Lab, without a daemon.

c1   c2          containers, both in the LAN by way of h1 (or one by way of h2)
  \\ /
  h1     h2      hosts; u0, 192.0.2.N/24, is the parent
   |      |
   +--sw--+      the LAN, and in it the router: 192.0.2.254, with 198.51.100.1 behind it
"""

import contextlib
import ipaddress
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastpath.control.drivers.macvlan.driver import Macvlan
from fastpath.control.kernel import netns
from fastpath.control.model.objects import Endpoint, Network
from tests.support.hosts.hosts import Lab, Namespace, ip
from tests.support.hosts.overlay_lab import condensed, exactly, summary, told

T = TypeVar("T")
ROUTER, BEYOND = "192.0.2.254", "198.51.100.1"
SUBNETS = [
    {"pool": "192.0.2.0/24", "gateway": ROUTER},
    {"pool": "2001:db8::/64", "gateway": "2001:db8::fe"},
]


def network(name: str = "lan", *, internal: bool = False, mtu: int | None = None, **options: str) -> Network:
    options = {"parent": "u0", "macvlan_mode": "bridge"} | options
    return Network.model_validate(
        {
            "name": name,
            "driver": "macvlan",
            "vni": None,
            "subnets": SUBNETS,
            "internal": internal,
            "mtu": mtu,
            "options": {key: value for key, value in options.items() if value},
        }
    )


class MacvlanHost:
    """What runs on one host."""

    def __init__(self, host: Namespace) -> None:
        self.host = host
        self.name = f"fpt-{os.getpid()}-{host.label}"
        self.restart()

    def restart(self) -> None:
        """As a new process would begin."""
        self.driver = Macvlan(self.name)

    def do(self, function: Callable[[], T]) -> T:
        return self.host.inside(function)

    def endpoint(self, where: Namespace, number: int, of: Network, ifname: str = "eth0", **more: Any) -> Endpoint:
        return Endpoint(
            id=f"{int(of.name.encode().hex(), 16) % 65536:08x}{number:08x}"[::-1],
            network=of.name,
            host=self.name,
            mac=f"02:42:c0:00:02:{number:02x}",
            addresses=(
                ipaddress.ip_interface(f"192.0.2.{number}/24"),
                ipaddress.ip_interface(f"2001:db8::{number}/64"),
            ),
            sandbox=netns.resolve(where.name),
            ifname=ifname,
        ).model_copy(update=more)

    def ensure(self, of: Network, *ends: Endpoint) -> None:
        def all_of_it() -> None:
            self.driver.ensure_network(of, 1450)
            for end in ends:
                self.driver.ensure_endpoint(of, end, 1450)

        self.do(all_of_it)

    def remove(self, of: Network, *ends: Endpoint) -> None:
        def all_of_it() -> None:
            for end in ends:
                self.driver.remove_endpoint(of, end)
            self.driver.remove_network(of)

        self.do(all_of_it)

    def problem(self, of: Network) -> str | None:
        return next((found.text for found in self.do(lambda: self.driver.problems(of))), None)

    def strays(self, ends: list[Endpoint], networks: list[Network]) -> list[str]:
        return self.do(lambda: self.driver.remove_strays(ends, networks))

    def promiscuity(self, name: str = "u0") -> int:
        """How many want the interface promiscuous, as the kernel counts."""
        count: int = json.loads(ip("-n", self.host.name, "-d", "-json", "link", "show", name))[0]["promiscuity"]
        return count


@contextlib.contextmanager
def macvlan_hosts(lab: Lab) -> Iterator[list[MacvlanHost]]:
    """One on each host, and the router. The lab removes all of it."""
    switch = lab.switch
    switch.address(f"{ROUTER}/24", "2001:db8::fe/64", device="br0")
    switch.ip(f"address add {BEYOND}/32 dev lo")
    yield [MacvlanHost(host) for host in lab.hosts]


def macvlan_state(host: MacvlanHost, *containers: Namespace) -> Any:
    """All that the driver has to do with."""
    links, routes = told(host.host.name)
    promiscuity = next(link["promiscuity"] for link in links if link["ifname"] == "u0")
    return condensed(links, routes), {place.name: summary(place.name) for place in containers}, promiscuity


def untouched(*places: Namespace) -> Any:
    """All that `ip` says, but for the operational state of interfaces, which follows their parent's."""
    return exactly(*(place.name for place in places))
