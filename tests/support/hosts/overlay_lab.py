# SPDX-License-Identifier: Apache-2.0
"""What a daemon does with the overlay driver, on the hosts of a Lab, without a daemon: two engines in one process,
since sockets and TAPs belong to the namespace of the thread that makes them."""

import contextlib
import ipaddress
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fastpath import Engine, Port
from fastpath.control.drivers import cleanup
from fastpath.control.drivers.gateway.bridge import GatewayBridge
from fastpath.control.drivers.gateway.config import GatewaySettings
from fastpath.control.drivers.overlay.driver import Overlay
from fastpath.control.kernel import netns
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.choices import Layout
from fastpath.control.model.objects import Endpoint, Network
from tests.support.hosts.hosts import Lab, Namespace, ip, namespaces, wait_for

T = TypeVar("T")
MTU = 1450
GATEWAY = GatewaySettings(address6=ipaddress.IPv6Interface("fd77::1/64"), underlay="u0")
HOST = "fpt"  # what the hosts are called, and so what their networks' namespaces begin with


def network(layout: Layout = "direct", name: str = "blue", number: int = 0, **more: Any) -> Network:
    subnets = [{"pool": f"10.{number}.0.0/24", "gateway": f"10.{number}.0.254"}]
    subnets.append({"pool": f"fd00:{number}::/64", "gateway": f"fd00:{number}::fe"})
    # Nobody tells the engine here who may send.
    given = {"name": name, "vni": 300 + number, "layout": layout, "subnets": subnets, "port_security": False}
    return Network.model_validate(given | more)


def endpoint(where: Namespace, number: int, of: Network, host: str, ifname: str = "eth0") -> Endpoint:
    net = of.vni - 300 if of.vni is not None else 0
    return Endpoint(
        id=f"{net:08x}{number:08x}"[::-1],
        network=of.name,
        host=host,
        mac=f"02:42:0a:{net:02x}:00:{number:02x}",
        addresses=(
            ipaddress.ip_interface(f"10.{net}.0.{number}/24"),
            ipaddress.ip_interface(f"fd00:{net}::{number}/64"),
        ),
        sandbox=netns.resolve(where.name),
        ifname=ifname,
    )


class Daemon:
    """What runs on one host."""

    def __init__(self, host: Namespace, *, gateway: bool = False) -> None:
        self.host = host
        self.name = f"{HOST}-{os.getpid()}-{host.label}"
        self.visits = Visits()
        self.gateway = GatewayBridge(self.name, GATEWAY, self.visits) if gateway else None
        self.ends: dict[str, dict[str, Endpoint]] = {}  # by network and id
        self.engine: Engine
        self.overlay: Overlay
        self.start()

    def start(self) -> None:
        """As a new process would."""
        local = f"192.0.2.{self.host.label[1:]}"
        self.engine = self.do(lambda: Engine(local))
        self.overlay = Overlay(self.engine, self.name, self.gateway, visits=self.visits)
        if self.gateway is not None:
            self.do(self.gateway.ensure)
        self.engine.start()

    def restart(self) -> None:
        """As after a crash: what is persistent stays."""
        self.engine.close()
        self.start()

    def do(self, function: Callable[[], T]) -> T:
        return self.host.inside(function)

    def ensure(self, of: Network, what: Endpoint, mtu: int = MTU) -> Port:
        self.ends.setdefault(of.name, {})[what.id] = what

        def both() -> Port:
            self.overlay.ensure_network(of, mtu)
            self.overlay.check_senders(of, self.ends[of.name].values())
            return self.overlay.ensure_endpoint(of, what, mtu)

        return self.do(both)

    def remove(self, of: Network, what: Endpoint) -> None:
        self.ends.get(of.name, {}).pop(what.id, None)
        self.do(lambda: self.overlay.remove_endpoint(of, what))

    def remove_network(self, of: Network) -> None:
        self.do(lambda: self.overlay.remove_network(of))

    def close(self) -> None:
        if self.gateway is not None:
            self.do(self.gateway.remove)
        self.engine.close()


@contextlib.contextmanager
def daemons(lab: Lab, *, gateway: bool = False) -> Iterator[list[Daemon]]:
    """One on each host; their namespaces are removed in the end."""
    started: list[Daemon] = []
    try:
        for host in lab.hosts:
            started.append(Daemon(host, gateway=gateway))
        yield started
    finally:
        for each in started:
            each.close()
        remove_namespaces(f"fastpath-{HOST}-{os.getpid()}-")


def remove_namespaces(prefix: str) -> None:
    for name in namespaces():
        if name.startswith(prefix):
            netns.remove_namespace(name)


def exactly(*places: str) -> Any:
    """Everything that `ip` says of namespaces, for "nothing changed"; but for clocks, and operstate, which is
    UNKNOWN until a carrier was lost once."""

    def still(value: Any) -> Any:
        if isinstance(value, list):
            return [still(each) for each in value]
        if isinstance(value, dict):
            return {key: still(each) for key, each in value.items() if not key.endswith("timer") and key != "operstate"}
        return value

    words = (["address"], ["route"], ["-6", "route"], ["neighbour", "show", "nud", "permanent"])
    return {name: [still(json.loads(ip("-n", name, "-d", "-json", *w) or "[]")) for w in words] for name in places}


def settle(*places: str) -> Any:
    """Wait until all interfaces of namespaces have the link-local addresses that the kernel gives them, which takes a
    while after they are up, and these are no more tentative; then return what `exactly` does."""

    def settled() -> Any:
        found = exactly(*places)
        links = [link for of_place in found.values() for link in of_place[0]]
        return found if all(_has_its_addresses(link) for link in links) else None

    return wait_for(settled, "link-local addresses are settled")


def _has_its_addresses(link: dict[str, Any]) -> bool:
    """Whether nothing is to come for an interface by itself."""
    waits = "LOWER_UP" in link["flags"] and link.get("inet6_addr_gen_mode") == "eui64" and link["link_type"] == "ether"
    addresses = [each for each in link["addr_info"] if each["family"] == "inet6"]
    if waits and not any(each["scope"] == "link" for each in addresses):
        return False
    return not any(each.get("tentative") for each in addresses)


def told(name: str) -> list[Any]:
    """What `ip` says of a namespace's interfaces, and of its routes; one process for both, since the tests that kill
    something after every step ask hundreds of times."""
    command = ["ip", "-n", name, "-d", "-json", "-batch", "-"]
    done = subprocess.run(command, input="address\nroute\n", capture_output=True, text=True, check=True)
    links, routes = (json.loads(line) for line in done.stdout.splitlines())
    return [links, routes]


def summary(name: str) -> Any:
    """What matters of a namespace, without what differs from time to time: indices, random MAC addresses."""
    return condensed(*told(name))


def condensed(links: Any, routes: Any) -> Any:
    """The same of what was `told`."""
    found = {}
    for link in links:
        addresses = {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] != "link"}
        alias = link.get("ifalias", "").rpartition(":")[2]
        mac = link["address"] if link["address"].startswith("02:42") else ""
        shape = (link.get("linkinfo", {}).get("info_kind"), link["mtu"], "UP" in link["flags"], link.get("master"))
        found[link["ifname"]] = (*shape, alias, mac, tuple(sorted(addresses)))
    return found, sorted((r["dst"], r.get("gateway", ""), r["dev"]) for r in routes)


def _lasting(rules: str) -> str:
    """Tables in a fixed order, without what packets add to their sets."""
    still = re.sub(r"(flags dynamic\n)\s*elements = \{[^}]*\}\n", r"\1", rules)
    return "\n".join(sorted(re.findall(r"^table .*?^\}", still, re.MULTILINE | re.DOTALL)))


def ours(daemon: Daemon, *containers: Namespace) -> Any:
    """All that a daemon has to do with."""
    names = [daemon.host.name, *(container.name for container in containers)]
    names += sorted(cleanup.network_namespaces(daemon.name))
    rules = _lasting(daemon.host.run("nft", "-s", "list", "ruleset").stdout)
    files = sorted(str(path) for path in netns.NAMED.glob(f"fastpath-{daemon.name}-*"))
    return {name: summary(name) for name in names}, rules, files
