# SPDX-License-Identifier: Apache-2.0
"""The hosts on which the control plane is measured.

s000 … s099   c1      c2      sandboxes of local endpoints; containers that talk to each other
h1                    h2      hosts with a daemon each: 192.0.2.1 and .2
+--------- sw --------+       the underlay; etcd and the fictitious hosts have addresses on its bridge
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastpath.bench.common import namespaces
from fastpath.bench.common.daemon import Daemon, remove_named
from fastpath.bench.common.etcd import ADDRESS, etcd
from fastpath.bench.common.namespaces import Namespace, ip, wait_for
from fastpath.bench.scale import content
from fastpath.bench.scale.content import PEERS, Variant
from fastpath.bench.scale.others import Orders
from fastpath.control.kernel import netns
from fastpath.control.model.objects import Sandbox
from fastpath.errors import RefusedError

PREFIX = "fpscale-"
STORES = ("sqlite", "etcd")


@dataclass
class Others:
    """The process of the other hosts (others.py)."""

    process: subprocess.Popen[str]

    def lines(self, last: str) -> Iterator[list[str]]:
        """Yield its lines as words, up to one that begins with the word `last`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            words = line.split()
            yield words
            if words[0] == last:
                return
        raise RefusedError("the process of the other hosts ended")

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()


@dataclass
class Bed:
    """All hosts, with the store filled; no daemon runs yet."""

    variant: Variant
    store: str
    folder: Path
    h1: Daemon
    h2: Daemon
    c1: Namespace
    c2: Namespace
    others: Others
    sandboxes: list[Namespace] = field(default_factory=list)


def remove_leftovers() -> None:
    """Remove what killed runs left."""
    namespaces.remove_leftovers(PREFIX)


@contextlib.contextmanager
def bed(variant: Variant, kind: str, folder: Path) -> Iterator[Bed]:
    """Make the hosts and fill the store. At the end all of it is removed in any case."""
    with contextlib.ExitStack() as stack:
        switch = _namespace(stack, "sw")
        switch.ip("link add br0 type bridge")
        addresses = [f"{ADDRESS}/24", *(f"{content.peer_vtep(number)}/24" for number in range(PEERS))]
        switch.address(*addresses, device="br0")
        hosts = [_host(stack, switch, number) for number in (1, 2)]
        c1, c2 = (_namespace(stack, label) for label in ("c1", "c2"))
        sandboxes = [_namespace(stack, f"s{number:03}") for number in range(variant.local)]
        url = stack.enter_context(etcd(switch, folder)) if kind == "etcd" else f"sqlite://{folder}/store.db"
        first, second = (Daemon(f"h{number}", host, folder, url) for number, host in enumerate(hosts, 1))
        for daemon in (first, second):
            stack.callback(remove_named, daemon.name)
            stack.callback(daemon.close)
        places = [netns.resolve(each.name) for each in sandboxes]
        others = stack.enter_context(_others(switch, Orders(url, _prefix(), variant.name, _pairs(places)), folder))
        yield Bed(variant, kind, folder, first, second, c1, c2, others, sandboxes)


def _prefix() -> str:
    return f"fpbench-{os.getpid()}-"


def _pairs(places: list[Sandbox]) -> list[tuple[str, int]]:
    return [(place.path, place.inode) for place in places]


def _namespace(stack: contextlib.ExitStack, label: str) -> Namespace:
    made = Namespace.named(PREFIX, label).add()
    stack.callback(_remove, made.name)
    return made


def _remove(name: str) -> None:
    """Remove a namespace without looking for processes in it, which takes long: all have been ended before."""
    ip("netns", "delete", name)


def _host(stack: contextlib.ExitStack, switch: Namespace, number: int) -> Namespace:
    host = _namespace(stack, f"h{number}")
    host.ip(f"link add u0 type veth peer name p{number} netns {switch.name}")
    switch.ip(f"link set p{number} master br0 up")
    host.address(f"192.0.2.{number}/24", device="u0")
    return host


@contextlib.contextmanager
def _others(where: Namespace, orders: Orders, folder: Path) -> Iterator[Others]:
    command = ["nsenter", f"--net=/run/netns/{where.name}", sys.executable, "-m", "fastpath.bench.scale.others"]
    with (folder / "others.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        others = Others(process)
        others.tell(orders.as_line())
        for _ in others.lines("filled"):
            pass
        yield others
    finally:
        process.kill()
        process.communicate()


def settled(found: Bed, hosts: int) -> None:
    """Wait until h1 is healthy and hears from all other hosts."""
    wanted = PEERS + hosts - 1

    def check() -> bool:
        status = found.h1.client.status()
        return status.healthy and status.peers_up == wanted

    wait_for(check, f"h1 is well: {found.h1.client.status()}")
