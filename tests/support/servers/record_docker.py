# SPDX-License-Identifier: Apache-2.0
"""Records what a real dockerd asks its plugin.

python -m tests.support.servers.record_docker > tests/unit/docker/docker_requests.json
"""

import json
import tempfile
from pathlib import Path

from tests.support.servers.docker_site import DockerSite, docker_site

ASKS = "Docker asks "


def play(two: DockerSite) -> None:
    """Every kind of request."""
    h1, h2 = two.hosts
    h2.create("web", "10.0.0.0/24")  # so that joining is recorded, too
    h1.create("web", "10.0.0.0/24")
    h1.container("c1", "web", "-p", "8080:80", "-p", "53:53/udp", "--expose", "9")
    words = ("--gateway", "10.1.0.254", "--ip-range", "10.1.0.128/25", "--aux-address", "router=10.1.0.2")
    six = ("--ipv6", "--subnet", "fd00:1::/64", "--internal", "-o", "fastpath.layout=bridge")
    h1.create("six", "10.1.0.0/24", *words, *six, "-o", "fastpath.network=six", "--label", "a=b")
    h1.docker("network", "connect", "six", "c1", "--alias", "other")
    more = ("--ip", "10.1.0.200", "--ip6", "fd00:1::200", "--mac-address", "02:11:22:33:44:55", "--network-alias", "x")
    h1.container("c2", "six", *more)
    h1.docker("network", "create", "-d", "fastpath", "--ipam-driver", "fastpath", "chosen")
    h1.docker("network", "disconnect", "web", "c1")
    h1.docker("restart", "-t", "0", "c2")
    h1.kill()
    h1.start()
    two.clear()


def main() -> None:
    """The requests of the first host, as JSON."""
    with tempfile.TemporaryDirectory() as folder, docker_site(Path(folder)) as two:
        play(two)
        names = f"{two.hosts[0].folder}/exec/netns"  # Docker's own is elsewhere
        lines = two.hosts[0].daemon.log.read_text().replace(names, "/run/docker/netns").splitlines()
    found = [line.partition(ASKS)[2].partition(" ") for line in lines if ASKS in line]
    requests = [[method, json.loads(body) if body else None] for method, _, body in found]
    print("[")
    print(",\n".join(json.dumps(request) for request in requests))
    print("]")


if __name__ == "__main__":
    main()
