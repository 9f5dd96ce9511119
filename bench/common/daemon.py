# SPDX-License-Identifier: Apache-2.0
"""A fastpath daemon on a host made of a network namespace."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from fastpath.bench.common import namespaces
from fastpath.bench.common.namespaces import Namespace, ip
from fastpath.control.api.client import DaemonClient
from fastpath.control.drivers import naming
from fastpath.errors import FastpathError, RefusedError

PATIENCE_S = 120.0  # how long a daemon may take to become ready or to answer
LOOK_S = 1.0  # how often to look whether one that says nothing has ended


class Daemon:
    """A host's daemon, which may be killed and started again.

    All settings are the defaults, except that metrics are on; `settings` are more, as lines of TOML. `environment` is
    what its environment has beside this process's.
    """

    def __init__(
        self,
        label: str,
        host: Namespace,
        folder: Path,
        store: str,
        settings: str = "",
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
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
        self._environ = os.environ | dict(environment or {}) | {"NOTIFY_SOCKET": str(folder / f"{label}.notify")}
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> float:
        """Start it without waiting. Return when that was (time.monotonic)."""
        enter = ["nsenter", f"--net=/run/netns/{self.host.name}"]
        command = [*enter, sys.executable, "-m", "fastpath", "daemon", "--config", str(self._config)]
        started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ
            )
        return started

    def ready(self) -> float:
        """Wait for READY=1, as systemd does. Return when it came."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if select.select([self._told], [], [], LOOK_S)[0]:
                if b"READY=1" in self._told.recv(4096):
                    return time.monotonic()
            elif self.process is None or self.process.poll() is not None:
                said = self.log.read_text().strip().splitlines()
                raise RefusedError(f"the daemon ended: {said[-1] if said else 'without a word'}")
        raise RefusedError(f"the daemon did not become ready:\n{self.log.read_text()}")

    def answering(self) -> float:
        """Wait until it answers a request for its status. Return when it did."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(FastpathError):
                self.client.status()
                return time.monotonic()
            time.sleep(0.01)
        raise RefusedError(f"the daemon does not answer:\n{self.log.read_text()}")

    def problems(self) -> list[str]:
        """Return what its status says is wrong."""
        return list(self.client.status().problems)

    @property
    def pid(self) -> int:
        """Return the PID; nsenter becomes the daemon."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def close(self) -> None:
        """Kill it and close the socket."""
        self.kill()
        self._told.close()


def remove_named(host: str) -> None:
    """Remove the namespaces of the host's networks, and its pen."""
    for name in namespaces.namespaces():
        if name.startswith(f"fastpath-{host}-") or name == naming.pen_name(host):
            ip("netns", "delete", name)


def remove_leftovers() -> None:
    """Remove the namespaces that daemons of killed runs made."""
    namespaces.remove_leftovers("fastpath-fpbench-")
