# SPDX-License-Identifier: Apache-2.0
"""A site whose hosts have Docker, and whose store is etcd.

with docker_site(tmp_path) as made:
    made.hosts[0].create("web", "10.1.0.0/24")
"""

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastpath.bench.docker.dockerd import remove_leftovers
from fastpath.control.cluster import keys
from fastpath.control.store.checks import prefix_end
from fastpath.errors import FastpathError
from tests.support.hosts.hosts import namespaces, wait_for
from tests.support.servers.docker_host import DockerHost
from tests.support.servers.etcd_server import Etcd, Place
from tests.support.servers.site import SETTINGS, Site, site

ETCD = "192.0.2.100"


@dataclass
class DockerSite:
    """Hosts with etcd, a fastpath daemon and a dockerd each; two of them."""

    site: Site
    etcd: Etcd
    hosts: list[DockerHost]

    def keys(self, prefix: str = keys.ROOT) -> set[str]:
        """What the store has."""
        bounds = [base64.b64encode(text.encode()).decode() for text in (prefix, prefix_end(prefix))]
        answer = self.etcd.ask("/v3/kv/range", {"key": bounds[0], "range_end": bounds[1], "keys_only": True})
        return {base64.b64decode(item["key"]).decode() for item in answer.get("kvs", ())}

    def known(self) -> None:
        """Wait until every host sends to what others have in its networks."""
        found = {host.name: host.daemon.client.endpoints() for host in self.hosts}
        for host in self.hosts:
            here = {endpoint.network for endpoint in found[host.name] if endpoint.host == host.name}
            for endpoint in [each for name in found for each in found[name] if name == each.host]:
                if endpoint.network in here:
                    host.daemon.knows(endpoint)

    def clear(self) -> None:
        """Remove all containers and networks; nothing of them may be left, in the store or on the hosts."""
        for host in self.hosts:
            if containers := host.docker("ps", "-aq").split():
                host.docker("rm", "-f", *containers)
        for host in self.hosts:
            ours = ("--filter", "driver=fastpath", "--filter", "driver=fastpath-macvlan")
            if networks := host.docker("network", "ls", "-q", *ours).split():
                host.docker("network", "rm", *networks)
        try:
            wait_for(lambda: not self.left(), "nothing is left")
        except FastpathError as error:
            raise AssertionError(f"{error}: {self.left()}") from None

    def left(self) -> set[str]:
        """What a site without containers and networks should not have."""
        found = {key for key in self.keys() if not key.startswith(keys.PEERS) and key not in KEPT}
        for host in self.hosts:
            found |= {f"{host.name}: {name}" for name in host.daemon.host.links() if name.startswith(("fp", "veth"))}
            found |= {name for name in namespaces() if name.startswith(f"fastpath-{host.name}")}
        return found


KEPT = {keys.NETWORKS_GUARD, keys.REAPER}


@contextlib.contextmanager
def docker_site(folder: Path, *arguments: str, settings: str = SETTINGS) -> Iterator[DockerSite]:
    """All of it runs. `arguments` are dockerd's."""
    remove_leftovers()
    hosts: list[DockerHost] = []
    with site(2, folder, f"etcd://{ETCD}:2379", settings) as made:
        made.lab.switch.ip(f"address add {ETCD}/24 dev br0")
        try:
            with Etcd(folder, host=ETCD, place=Place("one", 2379, 2380), within=made.lab.switch) as etcd:
                for number, daemon in enumerate(made.daemons, 1):
                    hosts.append(host := DockerHost(daemon, number, arguments))
                    with daemon.config.open("a") as config:
                        config.write(f'\ndocker_plugin_dir = "{host.plugins}"\nlog_level = "debug"\n')
                        config.write(f'docker_socket = "{host.folder}/sock"\n')
                made.start()
                for host in hosts:
                    host.launch()
                for host in hosts:
                    host.wait()
                    host.load_image()
                yield DockerSite(made, etcd, hosts)
        finally:
            for host in hosts:
                host.close()
