# SPDX-License-Identifier: Apache-2.0
"""Where it is measured.

s000 … s099   c1      c2      sandboxes of local endpoints; containers that talk to each other
h1                    h2      hosts with a daemon each: 192.0.2.1 and .2
+--------- sw --------+       the underlay; etcd and the fictitious hosts have addresses on its bridge
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastpath.bench.common import namespaces
from fastpath.bench.common.etcd import ADDRESS, etcd
from fastpath.bench.common.namespaces import Namespace, ip, wait_for
from fastpath.bench.scale import content
from fastpath.bench.scale.content import PEERS, Variant
from fastpath.bench.scale.others import Orders
from fastpath.control import sandbox
from fastpath.control.client import DaemonClient
from fastpath.control.model import Sandbox
from fastpath.errors import FastpathError, RefusedError

PREFIX = "fpscale-"
STORES = ("sqlite", "etcd")
PATIENCE_S = 120.0


class Daemon:
    """A host's daemon, which may be killed and started again. All settings are the defaults, but metrics are on, and
    what `settings` has, as lines of TOML."""

    def __init__(self, label: str, host: Namespace, folder: Path, store: str, settings: str = "") -> None:
        self.name = f"fpbench-{os.getpid()}-{label}"
        self.host = host
        self.client = DaemonClient(folder / f"{label}.sock")
        self.metrics = folder / f"{label}.metrics"
        self.log = folder / f"{label}.log"
        self._config = folder / f"{label}.toml"
        self._config.write_text(
            f'host = "{self.name}"\nvtep = "u0"\nstore = "{store}"\nsocket = "{self.client.path}"\n'
            f'state_dir = "{folder}/{label}"\nmetrics = "{self.metrics}"\n{settings}'
        )
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.bind(str(folder / f"{label}.notify"))
        self._environ = os.environ | {"NOTIFY_SOCKET": str(folder / f"{label}.notify")}
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> float:
        """Start it, and don't wait: when that was (time.monotonic)."""
        enter = ["nsenter", f"--net=/run/netns/{self.host.name}"]
        command = [*enter, sys.executable, "-m", "fastpath", "daemon", "--config", str(self._config)]
        started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ
            )
        return started

    def ready(self) -> float:
        """Wait until it says that it is ready, as systemd would: when that was."""
        end = time.monotonic() + PATIENCE_S
        while select.select([self._told], [], [], max(0.0, end - time.monotonic()))[0]:
            if b"READY=1" in self._told.recv(4096):
                return time.monotonic()
        raise RefusedError(f"the daemon did not become ready:\n{self.log.read_text()}")

    def answering(self) -> float:
        """Wait until it answers a question for its status: when that was."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(FastpathError):
                self.client.status()
                return time.monotonic()
            time.sleep(0.01)
        raise RefusedError(f"the daemon does not answer:\n{self.log.read_text()}")

    @property
    def pid(self) -> int:
        """Its process; nsenter becomes the daemon."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """kill -9"""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def close(self) -> None:
        """End it, and forget its socket."""
        self.kill()
        self._told.close()


@dataclass
class Others:
    """The process of the other hosts (others.py)."""

    process: subprocess.Popen[str]

    def lines(self, last: str) -> Iterator[list[str]]:
        """What it says, in words, up to a line that begins with the word `last`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            words = line.split()
            yield words
            if words[0] == last:
                return
        raise RefusedError("the process of the other hosts ended")

    def tell(self, line: str) -> None:
        """A line on its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()


@dataclass
class Bed:
    """All of it, with the store filled; no daemon runs yet."""

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
    """What runs that were killed left."""
    namespaces.remove_leftovers(PREFIX)


@contextlib.contextmanager
def bed(variant: Variant, kind: str, folder: Path) -> Iterator[Bed]:
    """Everything is removed at the end in any case."""
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
        places = [sandbox.resolve(each.name) for each in sandboxes]
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
    """Without a look for processes in it, which takes long: those that were started are ended before."""
    ip("netns", "delete", name)


def remove_named(host: str) -> None:
    """The namespaces of the host's networks."""
    for name in namespaces.namespaces():
        if name.startswith(f"fastpath-{host}-"):
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
    """Wait until h1 is well and hears from all others."""
    wanted = PEERS + hosts - 1

    def check() -> bool:
        status = found.h1.client.status()
        return status.healthy and status.peers_up == wanted

    wait_for(check, f"h1 is well: {found.h1.client.status()}")
