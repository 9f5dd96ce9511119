# SPDX-License-Identifier: Apache-2.0
"""Hosts with daemons: what tests of the whole overlay run on.

c1      c2      c3        containers (namespaces), one or more behind each host
h1      h2      h3        hosts, each with a daemon of its own
+------ sw -----+         the underlay, and etcd where it is wanted
"""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fastpath.bench.common import namespaces as base
from fastpath.bench.common.daemon import remove_named
from fastpath.control.api.client import DaemonClient
from fastpath.control.model.objects import Endpoint
from fastpath.control.model.requests import EndpointCreate, NetworkCreate, NetworkInfo, Status
from fastpath.errors import FastpathError
from tests.support import pausing
from tests.support.hosts.hosts import DEADLINE_S, Lab, Namespace, ip, namespaces, wait_for
from tests.support.launch.process import Process

# Nobody is forgotten, however long a daemon takes to start again on a busy machine.
SETTINGS = """
lease_ttl = 120
grace = 5.0
probe_interval = 1.0
reconcile_interval = 2.0
"""
# A host that is away is forgotten after 10 s.
MORTAL = SETTINGS.replace("lease_ttl = 120", "lease_ttl = 5")

# Root, with the capabilities that examples/fastpath.service leaves it.
AS_A_SERVICE = ("setpriv", "--bounding-set=-all,+net_admin,+net_raw,+sys_admin,+sys_ptrace", "--inh-caps=-all")
CAPABILITIES = (12, 13, 19, 21)  # the same by their numbers (<linux/capability.h>)


class HostDaemon:
    """A host and the daemon on it, which may be killed and started again."""

    def __init__(self, number: int, host: Namespace, folder: Path, store: str, settings: str = SETTINGS) -> None:
        self.name = f"h{number}-{os.getpid()}"  # marks what is ours on a machine where others may test, too
        self.host = host
        self.vtep = f"192.0.2.{number}"
        self.folder = folder / f"h{number}"
        self.folder.mkdir()
        self.socket = self.folder / "daemon.sock"
        self.log = self.folder / "log"
        self.config = self.folder / "fastpath.toml"
        self.config.write_text(
            f'host = "{self.name}"\nvtep = "u0"\nstore = "{store}"\nsocket = "{self.socket}"\n'
            f'state_dir = "{self.folder}/state"\n{settings}'
        )
        self.client = DaemonClient(self.socket)
        self.process: subprocess.Popen[bytes] | Process | None = None

    def launch(self, program: Sequence[str] | None = None) -> None:
        """Start it, and don't wait. `program` is what starts in place of a child of the server that forks."""
        words = ("daemon", "--config", str(self.config))
        with self.log.open("ab") as log:
            if program is None:
                self.process = Process(*words, namespace=self.host.name, capabilities=CAPABILITIES, output=log)
                return
            # Not `ip netns exec`: namespaces that were named in its private view of the mounts would go with it.
            enter = ["nsenter", f"--net=/run/netns/{self.host.name}"]
            command = [*enter, *AS_A_SERVICE, *program, *words]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self, program: Sequence[str] | None = None) -> None:
        """Start it, and wait until it answers."""
        self.launch(program)
        self.wait(lambda status: True)

    def answers(self) -> Status | None:
        """Its status, or None where it does not answer."""
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the daemon of {self.name} ended:\n{self.log.read_text()}")
        try:
            return self.client.status()
        except FastpathError:
            return None

    def wait(self, condition: Callable[[Status], bool], what: str = "the daemon answers") -> Status:
        """Wait until its status fulfils a condition."""

        def check() -> Status | None:
            status = self.answers()
            return status if status is not None and condition(status) else None

        try:
            found = wait_for(check, f"{self.name}: {what}")
        except FastpathError as error:
            raise AssertionError(f"{error}\n{self.answers()}\n{self.log.read_text()}") from None
        assert found is not None
        return found

    def healthy(self) -> Status:
        """Wait until all is well."""
        return self.wait(lambda status: status.healthy, "all is well")

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def pause(self) -> None:
        """Stop it until SIGCONT."""
        assert self.process is not None
        pausing.pause(self.process.pid)

    def kill(self) -> None:
        """kill -9"""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(how)
        return process.wait(DEADLINE_S)

    def network(self, name: str, **more: object) -> NetworkInfo:
        """Make a network."""
        return self.client.create_network(NetworkCreate.model_validate({"name": name, **more}))

    def join(self, container: Namespace, network: str, **more: object) -> Endpoint:
        """Make an endpoint."""
        wanted = {"network": network, "sandbox": container.name, **more}
        return self.client.create_endpoint(EndpointCreate.model_validate(wanted))

    def knows(self, endpoint: Endpoint) -> None:
        """Wait until it sends to an endpoint, as the store told it to: a host hears of what others made later."""
        self.wait(lambda status: self._sends_to(endpoint), f"knows {endpoint.mac} of {endpoint.host}")

    def _sends_to(self, endpoint: Endpoint) -> bool:
        with contextlib.suppress(FastpathError):  # it may not know the network yet
            vteps = {each.host: str(each.peer.vtep) for each in self.client.peers() if each.peer is not None}
            where = vteps.get(endpoint.host)  # None: here
            lines = [line for line in self.client.fdb(endpoint.network) if line.mac == endpoint.mac]
            return any(line.state and line.dst == where for line in lines)
        return False

    def resolver(self, network: str) -> Namespace:
        """The namespace of the network's resolver, once all of it is there. A pass after the endpoints' makes it; its
        name comes first, vxlan0 last."""
        where = Namespace("", f"fastpath-{self.name}-{network}")
        wait_for(lambda: where.name in namespaces() and "vxlan0" in links(where), f"{where.name} is made")
        return where

    def counters(self) -> dict[str, int]:
        """Drops and events of all workers together, by name."""
        found: dict[str, int] = {}
        for worker in self.client.stats()["workers"]:
            for name, count in [*worker["drops"].items(), *worker["events"].items()]:
                found[name] = found.get(name, 0) + count
        return found


class Site:
    """Hosts h1 … hN, each with a daemon that is not started yet."""

    def __init__(self, hosts: int, folder: Path, store: str | None = None, settings: str = SETTINGS) -> None:
        self.lab = Lab(hosts)
        self.folder = folder
        self.store = store or f"sqlite://{folder}/store.db"
        self.daemons = [
            HostDaemon(number, host, folder, self.store, settings) for number, host in enumerate(self.lab.hosts, 1)
        ]
        self.containers = self.lab.containers

    def start(self, program: Sequence[str] | None = None) -> None:
        """All daemons, until each is well and sees the others; `program` as in `HostDaemon.launch`."""
        for daemon in self.daemons:
            daemon.launch(program)
        self.settle()

    def settle(self) -> None:
        """Wait until every daemon is well and hears from all others."""
        for daemon in self.daemons:
            daemon.wait(
                lambda status: status.healthy and status.peers_up == len(self.daemons) - 1, "hears from all others"
            )

    def close(self) -> None:
        """End and remove everything."""
        for daemon in self.daemons:
            if daemon.process is not None:
                daemon.process.kill()
                daemon.process.wait()
        self.lab.close()
        for daemon in self.daemons:
            remove_named(daemon.name)


@contextlib.contextmanager
def site(hosts: int, folder: Path, store: str | None = None, settings: str = SETTINGS) -> Iterator[Site]:
    """A site that is removed in any case."""
    made = Site(hosts, folder, store, settings)
    try:
        yield made
    finally:
        made.close()


def links(where: Namespace) -> dict[str, dict[str, object]]:
    """The interfaces there, by name, as `ip -d -json address` tells them."""
    return {link["ifname"]: link for link in json.loads(ip("-n", where.name, "-d", "-json", "address"))}


def pinged(frm: base.Namespace, to: str, count: int = 3) -> int:
    """How many of `count` pings, which are sent all at once, were answered within 10 s."""
    # At once, since ping waits so long only if it had no answer when it sent the last one: else for twice the
    # longest time that an answer took, which is next to nothing.
    done = frm.run("ping", "-q", "-c", str(count), "-l", str(count), "-W", "10", to, check=False)
    words = done.stdout.split()
    return int(words[words.index("received,") - 1]) if "received," in words else 0
