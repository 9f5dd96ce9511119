# SPDX-License-Identifier: Apache-2.0
"""Network namespaces as hosts and containers, for the benchmarks and for the tests.

Their names are PREFIX-PID-LABEL: the next run finds those of a killed one by its dead PID and removes them.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from fastpath.errors import RefusedError

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
DEADLINE_S = 120.0  # how long anything may take on a machine that is busy with other things
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.25


def ip(*words: str) -> str:
    """Run `ip`. Return its standard output; raise RefusedError with ip's message."""
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RefusedError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def wait_for(condition: Callable[[], T], what: str, seconds: float = DEADLINE_S) -> T:
    """Return the first true value of `condition`. Raise RefusedError after `seconds`."""
    end, pause = time.monotonic() + seconds, SHORTEST_PAUSE_S
    while not (value := condition()):
        if time.monotonic() > end:
            raise RefusedError(f"waited {seconds:.0f} s for this, and it did not happen: {what}")
        time.sleep(pause)
        pause = min(1.3 * pause, LONGEST_PAUSE_S)  # to ask costs time that what is waited for may need
    return value


@dataclass
class Namespace:
    """One host or container."""

    label: str
    name: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @classmethod
    def named(cls, prefix: str, label: str) -> Self:
        """Return a namespace of this process that does not exist yet."""
        return cls(label, f"{prefix}{os.getpid()}-{label}")

    def add(self) -> Self:
        """Create it, with its loopback up."""
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        return self

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command here and wait for it. Raise RefusedError if it fails."""
        full = ["ip", "netns", "exec", self.name, *command]
        done = subprocess.run(full, capture_output=True, text=True, timeout=120, check=False)
        if check and done.returncode != 0:
            raise RefusedError(f"{' '.join(command)}: {(done.stdout + done.stderr).strip()}")
        return done

    def spawn(self, *command: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command here; it is killed when the namespace is removed."""
        full = ["ip", "netns", "exec", self.name, *command]
        process = subprocess.Popen(full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        self.processes.append(process)
        return process

    def inside(self, function: Callable[[], T]) -> T:
        """Call a function in this namespace: sockets that it makes belong here."""
        with ThreadPoolExecutor(1) as thread:  # a namespace belongs to a thread, and this one ends
            return thread.submit(self._enter_and_call, function).result()

    def _enter_and_call(self, function: Callable[[], T]) -> T:
        with open(f"/run/netns/{self.name}", "rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        return function()

    def ip(self, words: str) -> str:
        """Run `ip` on this namespace, with its arguments as one string."""
        return ip("-n", self.name, *words.split())

    def address(self, *addresses: str, device: str = "vx0") -> None:
        """Give a device its addresses and set it up."""
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            ip("-n", self.name, "address", "add", address, "dev", device, *nodad)
        ip("-n", self.name, "link", "set", device, "up")

    def links(self) -> set[str]:
        """Return the names of the interfaces here."""
        return {link["ifname"] for link in json.loads(ip("-n", self.name, "-json", "link"))}

    def pids(self) -> list[int]:
        """Return the processes here."""
        return [int(pid) for pid in ip("netns", "pids", self.name).split()]

    def remove(self) -> None:
        """Kill the processes here, and remove the namespace with its interfaces."""
        remove(self.name)
        for process in self.processes:
            process.communicate()
        self.processes.clear()


def remove(name: str) -> None:
    """Remove a namespace and the processes in it, if it exists."""

    def ended() -> bool:  # one that is killed may just have started another one
        pids = ip("netns", "pids", name).split()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        return not pids

    try:
        wait_for(ended, f"processes in {name} end")
        ip("netns", "delete", name)
    except RefusedError:
        if name in namespaces():
            raise


def remove_leftovers(prefix: str) -> None:
    """Remove the namespaces of runs whose process has ended."""
    for name in namespaces():
        if name.startswith(prefix) and is_left_over(name, prefix):
            remove(name)


def is_left_over(name: str, prefix: str) -> bool:
    """Return whether the process whose PID is in the name has ended."""
    return not Path(f"/proc/{name.removeprefix(prefix).split('-')[0]}").exists()


def namespaces() -> set[str]:
    """Return the names of all network namespaces of this machine."""
    return {entry["name"] for entry in json.loads(ip("-json", "netns") or "[]")}
