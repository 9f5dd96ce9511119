# SPDX-License-Identifier: Apache-2.0
"""Hosts made of network namespaces.

    c1      c2      c3        containers, one behind each host
    |       |       |
    h1      h2      h3        hosts: 192.0.2.N/24 and 2001:db8::N/64 on u0, MTU 1500
    |       |       |
    +------ sw -----+         a switch: a kernel bridge, so that any number of hosts can be joined

Names begin with fpt-PID-: what a run that was killed left is found by its dead PID and removed.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastpath.bench.common import namespaces as base
from fastpath.bench.common.namespaces import DEADLINE_S, ip, namespaces, wait_for
from fastpath.control.kernel import netns
from fastpath.errors import RefusedError
from tests.support.launch import process as launch
from tests.support.launch.process import Process

__all__ = [
    "DEADLINE_S",
    "FASTPATH",
    "Lab",
    "Namespace",
    "ip",
    "listening",
    "namespaces",
    "reaches",
    "remove_leftovers",
    "server",
    "wait_for",
]

PREFIX = "fpt-"
OF_A_DAEMON = re.compile(r"fastpath-(?:fpt|h\d+)-(\d+)[-:]")  # a namespace that one made; its name has the test's PID
FASTPATH = [sys.executable, "-m", "fastpath"]
ETH_P_ALL = 3
# Of its own: else it is the lowest of its ports', and changes under those who talk to it when one comes or goes.
SWITCH_MAC = "02:00:00:00:01:00"
WIRE = "tso off gso off tx-udp-segmentation off tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off gro on"


@dataclass
class Namespace(base.Namespace):
    """One host or container."""

    started: list[Process] = field(default_factory=list)

    def fastpath(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `fastpath …` here and wait for it. Raise RefusedError if it fails."""
        done = launch.run(*words, namespace=self.name)
        if check and done.returncode != 0:
            raise RefusedError(f"fastpath {' '.join(words)}: {(done.stdout + done.stderr).strip()}")
        return done

    def start_fastpath(self, *words: str) -> Process:
        """Start `fastpath …` here; it is killed when the namespace is removed."""
        process = Process(*words, namespace=self.name)
        self.started.append(process)
        return process

    def remove(self) -> None:
        """Kill the processes here, and remove the namespace with its interfaces."""
        super().remove()
        for process in self.started:
            process.communicate()
        self.started.clear()

    def stats(self, device: str = "vx0") -> dict[str, Any]:
        """The counters of a device that runs here."""
        counters: dict[str, Any] = json.loads(self.fastpath("stats", device, "--json").stdout)[device]
        return counters

    def counts(self) -> dict[str, int]:
        """What the kernel counted here since the start, by the names of `nstat`."""
        counts: dict[str, int] = json.loads(self.run("nstat", "-asz", "-j").stdout)["kernel"]
        return counts

    def raw(self, device: str = "vx0") -> socket.socket:
        """A socket that sends and receives whole frames on a device here."""

        def make() -> socket.socket:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            sock.bind((device, ETH_P_ALL))
            sock.settimeout(DEADLINE_S)
            return sock

        return self.inside(make)


class Lab:
    """Hosts h1 … hN with containers c1 … cN."""

    def __init__(self, hosts: int) -> None:
        remove_leftovers()
        self._names: list[Namespace] = []
        self.run_dir = Path(f"/tmp/{PREFIX}{os.getpid()}-run")  # noqa: S108  # removed with the lab
        os.environ["FASTPATH_RUN_DIR"] = str(self.run_dir)
        try:
            self.switch = self.add("sw")
            ip("-n", self.switch.name, "link", "add", "br0", "address", SWITCH_MAC, "type", "bridge")
            ip("-n", self.switch.name, "link", "set", "br0", "up")
            self.hosts = [self._add_host(n) for n in range(1, hosts + 1)]
            self.containers = [self.add(f"c{n}") for n in range(1, hosts + 1)]
            wait_for(self._is_forwarding, "the switch forwards")
        except BaseException:
            self.close()
            raise

    def add(self, label: str) -> Namespace:
        """A further namespace, which is removed with the others."""
        namespace = Namespace.named(PREFIX, label)
        self._names.append(namespace)
        namespace.add()
        return namespace

    def _is_forwarding(self) -> bool:
        """A port does some time after both its ends were set up."""
        ports = json.loads(self.switch.run("bridge", "-json", "link").stdout or "[]")
        return {port["state"] for port in ports} <= {"forwarding"}

    def _add_host(self, number: int) -> Namespace:
        host = self.add(f"h{number}")
        ip(
            "-n",
            host.name,
            "link",
            "add",
            "u0",
            "type",
            "veth",
            "peer",
            "name",
            f"p{number}",
            "netns",
            self.switch.name,
        )
        ip("-n", self.switch.name, "link", "set", f"p{number}", "master", "br0", "up")
        host.address(f"192.0.2.{number}/24", f"2001:db8::{number}/64", device="u0")
        return host

    def wire(self, *more: str) -> None:
        """Make the underlay one of packets: nothing larger than the MTU crosses it, as with a network card that has
        no offloads for tunnels. `more` are further words for `ethtool -K`."""
        for number, host in enumerate(self.hosts, 1):
            for namespace, device in ((host, "u0"), (self.switch, f"p{number}")):
                namespace.run("ethtool", "-K", device, *WIRE.split(), *more)

    def close(self) -> None:
        """Kill what was started here, and remove the namespaces with all they hold."""
        for namespace in self._names:
            namespace.remove()
        shutil.rmtree(self.run_dir, ignore_errors=True)


def remove_leftovers() -> None:
    """Remove the namespaces of runs whose process is no more, and those that their daemons made."""
    base.remove_leftovers(PREFIX)
    for name in namespaces():
        made = OF_A_DAEMON.match(name)
        if made and not Path(f"/proc/{made[1]}").exists():
            netns.remove_namespace(name)


def listening(where: Namespace, port: int, kind: str = "-Hltn") -> bool:
    """Whether something listens on the port, by `ss`."""
    return bool(where.run("ss", kind, f"sport = :{port}").stdout.strip())


def reaches(where: base.Namespace, address: str, seconds: int = 30) -> bool:
    """Whether a ping is answered within so many seconds."""
    return where.run("ping", "-c1", f"-W{seconds}", address, check=False).returncode == 0


@contextlib.contextmanager
def server(where: Namespace, *command: str, port: int, udp: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A server program, ready: something listens on its port."""
    process = where.spawn(*command)
    try:
        kind = "-Hlun" if udp else "-Hltn"
        wait_for(lambda: process.poll() is not None or listening(where, port, kind), f"{command[0]} listens")
        assert process.poll() is None, process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate()
