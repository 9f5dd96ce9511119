# SPDX-License-Identifier: Apache-2.0
"""Two hosts with a dockerd and a fastpath daemon each, and on each host a container in either network.

    a container of either       a container of either    10.9.0.3 and 10.9.0.2 in either network
    |                                          |
    h1 192.0.2.1 ----------- veth ----------- h2 192.0.2.2
    etcd

The same two dockerds serve both networks, so only the network differs. Docker's overlay has UDP port 4789, ours 8472.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastpath.bench.common import namespaces
from fastpath.bench.common.daemon import Daemon, remove_named
from fastpath.bench.common.etcd import ADDRESS, PORT, etcd
from fastpath.bench.common.namespaces import Namespace, wait_for
from fastpath.bench.docker.dockerd import Dockerd
from fastpath.bench.docker.dockerd import remove_leftovers as remove_dockerds
from fastpath.bench.e2e.sites.site import WIRE, Site
from fastpath.errors import RefusedError

PREFIX, FOLDERS = "fpbd-", Path("/tmp/fpbd-")  # noqa: S108  # sockets need short names
OURS, THEIRS = "fastpath", "overlay"  # drivers, as Docker calls them, and the networks' names
SUBNET, FIRST, SECOND = "10.9.0.0/24", "10.9.0.3", "10.9.0.2"
NETFILTER = ("ip", "ip6", "arp")


@dataclass
class Hosts:
    """Both hosts, and by driver the two containers between which traffic goes."""

    dockers: list[Dockerd]
    sites: dict[str, Site]

    def form(self, underlay: str) -> None:
        """Set the veth between the hosts to `offload` or `wire`, as in fastpath.bench.e2e.sites.site."""
        words = list(WIRE)
        if underlay == "offload":
            words = [word.replace("off", "on") for word in words]
        for docker in self.dockers:
            docker.host.run("ethtool", "-K", "u0", *words)


@contextlib.contextmanager
def hosts(folder: Path) -> Iterator[Hosts]:
    """Start everything. At the end all of it is removed in any case."""
    with contextlib.ExitStack() as stack:
        both = _namespaces(stack)
        url = stack.enter_context(etcd(both[0], folder, "--enable-v2=true"))
        dockers = []
        for number, host in enumerate(both, 1):
            cluster = [f"--cluster-store=etcd://{ADDRESS}:{PORT}", f"--cluster-advertise=192.0.2.{number}:2375"]
            docker = Dockerd(f"h{number}", host, number, cluster, FOLDERS)
            stack.callback(docker.close)
            settings = f'docker_plugin_dir = "{docker.plugins}"\nudp_port = 8472\n'
            daemon = Daemon(f"h{number}", host, folder, url, settings)
            stack.callback(remove_named, daemon.name)
            stack.callback(daemon.close)
            daemon.launch()
            daemon.ready()
            docker.launch()
            dockers.append(docker)
        for docker in dockers:
            docker.wait()
            docker.load_image()
        _networks(dockers)
        found = Hosts(dockers, {})
        for driver in (OURS, THEIRS):
            ends = []
            for docker, address in zip(dockers, (FIRST, SECOND), strict=True):
                name = f"{driver}-{docker.name}"  # Docker's overlay wants every name once in the cluster
                docker.container(name, driver, "--ip", address)
                ends.append(stack.enter_context(docker.namespace(name)))
            found.sites[driver] = Site(both[0], both[1], ends[0], ends[1], "offload", folder)
        _without_netfilter(dockers)
        for site in found.sites.values():
            site.check_reachable()
        yield found


def _namespaces(stack: contextlib.ExitStack) -> list[Namespace]:
    both = []
    for label in ("h1", "h2"):
        made = Namespace.named(PREFIX, label)
        stack.callback(made.remove)
        both.append(made.add())
    both[0].ip(f"link add u0 type veth peer name u0 netns {both[1].name}")
    both[0].address("192.0.2.1/24", f"{ADDRESS}/24", device="u0")
    both[1].address("192.0.2.2/24", device="u0")
    return both


def _networks(dockers: list[Dockerd]) -> None:
    """Create both networks with the same subnet, which is possible since the drivers do not see each other's."""
    for docker in dockers:
        create = ("network", "create", "--subnet", SUBNET)
        docker.docker(*create, "-d", OURS, "--ipam-driver", OURS, OURS)
    dockers[0].docker("network", "create", "--subnet", SUBNET, "-d", THEIRS, THEIRS)
    other = dockers[1]
    wait_for(lambda: other.run("network", "inspect", THEIRS, check=False).returncode == 0, "the overlay is known")


def _without_netfilter(dockers: list[Dockerd]) -> None:
    """Switch netfilter off for bridges, which Docker's overlay has: they are faster without."""
    for docker in dockers:
        for name in (docker.folder / "exec" / "netns").iterdir():
            for kind in NETFILTER:
                file = f"/proc/sys/net/bridge/bridge-nf-call-{kind}tables"
                words = ["nsenter", f"--net={name}", "sh", "-c", f"[ ! -e {file} ] || echo 0 >{file}"]
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    raise RefusedError(f"{file}: {done.stderr.strip()}")


def remove_leftovers() -> None:
    """Remove what killed runs left."""
    namespaces.remove_leftovers(PREFIX)
    remove_dockerds(FOLDERS)
