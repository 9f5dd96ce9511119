# SPDX-License-Identifier: Apache-2.0
"""Docker on a host of a site: a dockerd beside a fastpath daemon, and what tests ask of it."""

from collections.abc import Sequence

from fastpath.bench.docker.dockerd import Dockerd
from tests.support.servers.site import HostDaemon


class DockerHost(Dockerd):
    """Either may be stopped, killed and started again."""

    def __init__(self, daemon: HostDaemon, number: int, arguments: Sequence[str] = ()) -> None:
        super().__init__(daemon.name, daemon.host, number, arguments)
        self.daemon = daemon

    def refused(self, *words: str) -> str:
        """The same for what has to fail: what it said."""
        done = self.run(*words, check=False)
        assert done.returncode != 0, f"docker {' '.join(words)} was accepted: {done.stdout}"
        return done.stderr.strip()

    def create(self, name: str, subnet: str, *more: str) -> str:
        """docker network create, as in the documents."""
        words = ("network", "create", "-d", "fastpath", "--ipam-driver", "fastpath", "--subnet", subnet)
        return self.docker(*words, *more, name)

    def address(self, container: str, network: str) -> str:
        """The container's address in a network."""
        return str(self.inspect("container", container)["NetworkSettings"]["Networks"][network]["IPAddress"])

    def inside(self, container: str, *words: str, check: bool = True) -> str:
        """A command in a container."""
        return self.run("exec", container, *words, check=check).stdout

    def pinged(self, container: str, to: str, count: int = 3) -> int:
        """How many of `count` pings were answered."""
        words = self.inside(container, "ping", "-q", "-c", str(count), "-i", "0.1", "-W", "3", to, check=False).split()
        return int(words[words.index("packets", words.index("transmitted,")) - 1]) if "transmitted," in words else 0

    def tail(self) -> str:
        """The end of its log, and of the daemon's."""
        lines = self.daemon.log.read_text().splitlines()[-30:]
        return super().tail() + f"\n--- {self.daemon.log}\n" + "\n".join(lines)
