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
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PREFIX = "fpt-"
FASTPATH = [sys.executable, "-m", "fastpath"]
ETH_P_ALL = 3
CLONE_NEWNET = 0x40000000
DEADLINE_S = 30.0  # how long anything may take on a machine that is busy with other things


def ip(*words: str) -> str:
    """Run `ip`; its standard output."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def wait_for(condition: Callable[[], T], what: str) -> T:
    """Return the first true value of `condition`; fail after DEADLINE_S."""
    end = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {DEADLINE_S:.0f} s in vain: {what}"
        time.sleep(0.01)
    return value


@dataclass
class Namespace:
    """One host or container."""

    label: str
    name: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command here and wait for it."""
        full = ["ip", "netns", "exec", self.name, *command]
        done = subprocess.run(full, capture_output=True, text=True, timeout=120, check=False)
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done

    def spawn(self, *command: str) -> subprocess.Popen[str]:
        """Start a command here; it is killed when the lab is taken down."""
        full = ["ip", "netns", "exec", self.name, *command]
        process = subprocess.Popen(full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def fastpath(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `fastpath …` here."""
        return self.run(*FASTPATH, *words, check=check)

    def stats(self, device: str = "vx0") -> dict[str, Any]:
        """The counters of a device that runs here."""
        counters: dict[str, Any] = json.loads(self.fastpath("stats", device, "--json").stdout)[device]
        return counters

    def inside(self, function: Callable[[], T]) -> T:
        """Call a function with this namespace as the current one: sockets it makes belong here."""
        with ThreadPoolExecutor(1) as thread:  # a namespace belongs to a thread, and this one ends
            return thread.submit(self._enter_and_call, function).result()

    def _enter_and_call(self, function: Callable[[], T]) -> T:
        with open(f"/run/netns/{self.name}", "rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        return function()

    def address(self, *addresses: str, device: str = "vx0") -> None:
        """Give a device its addresses and set it up."""
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            ip("-n", self.name, "address", "add", address, "dev", device, *nodad)
        ip("-n", self.name, "link", "set", device, "up")

    def raw(self, device: str = "vx0") -> socket.socket:
        """A socket that sends and receives whole frames on a device here."""

        def make() -> socket.socket:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            sock.bind((device, ETH_P_ALL))
            sock.settimeout(DEADLINE_S)
            return sock

        return self.inside(make)

    def links(self) -> set[str]:
        """The names of the interfaces here."""
        return {link["ifname"] for link in json.loads(ip("-n", self.name, "-json", "link"))}

    def pids(self) -> list[int]:
        """The processes here."""
        return [int(pid) for pid in ip("netns", "pids", self.name).split()]


class Lab:
    """Hosts h1 … hN with containers c1 … cN."""

    def __init__(self, hosts: int) -> None:
        self._names: list[Namespace] = []
        self.run_dir = Path(f"/tmp/{PREFIX}{os.getpid()}-run")  # noqa: S108  # removed with the lab
        os.environ["FASTPATH_RUN_DIR"] = str(self.run_dir)
        try:
            self.switch = self._add("sw")
            ip("-n", self.switch.name, "link", "add", "br0", "type", "bridge")
            ip("-n", self.switch.name, "link", "set", "br0", "up")
            self.hosts = [self._add_host(n) for n in range(1, hosts + 1)]
            self.containers = [self._add(f"c{n}") for n in range(1, hosts + 1)]
        except BaseException:
            self.close()
            raise

    def _add(self, label: str) -> Namespace:
        namespace = Namespace(label, f"{PREFIX}{os.getpid()}-{label}")
        ip("netns", "add", namespace.name)
        self._names.append(namespace)
        ip("-n", namespace.name, "link", "set", "lo", "up")
        return namespace

    def _add_host(self, number: int) -> Namespace:
        host = self._add(f"h{number}")
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

    def close(self) -> None:
        """Kill what was started here, and remove the namespaces with all they hold."""
        for namespace in self._names:
            remove(namespace.name)
            for process in namespace.processes:
                process.communicate()
        shutil.rmtree(self.run_dir, ignore_errors=True)


def remove(name: str) -> None:
    """Remove a namespace and the processes in it."""
    for pid in ip("netns", "pids", name).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: not ip("netns", "pids", name).split(), f"processes in {name} end")
    ip("netns", "delete", name)


def remove_leftovers() -> None:
    """Remove the namespaces of runs whose process is no more."""
    for name in namespaces():
        pid = name.removeprefix(PREFIX).split("-")[0]
        if name.startswith(PREFIX) and not Path(f"/proc/{pid}").exists():
            remove(name)


def namespaces() -> set[str]:
    """The names of all network namespaces of this machine."""
    return {entry["name"] for entry in json.loads(ip("-json", "netns") or "[]")}


def listening(where: Namespace, port: int, kind: str = "-Hltn") -> bool:
    """Whether something listens on the port, by `ss`."""
    return bool(where.run("ss", kind, f"sport = :{port}").stdout.strip())


@contextlib.contextmanager
def server(where: Namespace, *command: str, port: int, udp: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A server program, ready: something listens on its port."""
    process = where.spawn(*command)
    try:
        kind = "-Hlun" if udp else "-Hltn"
        wait_for(lambda: listening(where, port, kind), f"{command[0]} listens")
        yield process
    finally:
        process.kill()
        process.communicate()
