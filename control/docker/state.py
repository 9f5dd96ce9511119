# SPDX-License-Identifier: Apache-2.0
"""Which network of Docker's stands for which network of the cluster. Docker has ids of its own on each host and tells
of a network once, not again after a restart: they are kept in a file, which is replaced as a whole."""

import asyncio
import logging
from pathlib import Path

from pydantic import Field, ValidationError

from fastpath.control.docker.wanted import Wanted
from fastpath.control.model.objects import IPNetwork, Model, Name
from fastpath.control.runtime import durable
from fastpath.errors import RefusedError

log = logging.getLogger(__name__)


class DockerNetwork(Model):
    """A network that Docker has on this host."""

    network: Name
    wanted: Wanted


class StateFile(Model):
    """The file. `left` are networks that Docker removed and the store still has this host as a user of."""

    networks: dict[str, DockerNetwork] = Field(default_factory=dict)
    left: tuple[Name, ...] = ()


class DockerState:
    """The networks of this host's Docker, by its ids. `lock` is held while one is created or left."""

    def __init__(self, file: Path) -> None:
        self.lock = asyncio.Lock()
        self._file = file
        self._content = self._read()

    @property
    def networks(self) -> dict[str, DockerNetwork]:
        """Return all networks."""
        return self._content.networks

    @property
    def left(self) -> tuple[str, ...]:
        """Return the networks that this host still has to leave in the store."""
        return self._content.left

    def of_network(self, name: str) -> DockerNetwork | None:
        """Return a network of Docker's that stands for this network of the cluster."""
        return next((entry for entry in self.networks.values() if entry.network == name), None)

    def of_pool(self, pool: IPNetwork) -> DockerNetwork | None:
        """Return the network that has the subnet."""
        for entry in self.networks.values():
            if any(subnet.pool == pool for subnet in entry.wanted.subnets):
                return entry
        return None

    def add(self, identity: str, entry: DockerNetwork) -> None:
        """Add a network."""
        left = tuple(name for name in self.left if name != entry.network)
        self._write(StateFile(networks=self.networks | {identity: entry}, left=left))

    def remove(self, identity: str) -> DockerNetwork | None:
        """Remove a network. If it was the last one for its network of the cluster, that is to be left."""
        entry = self.networks.get(identity)
        if entry is None:
            return None
        networks = {k: v for k, v in self.networks.items() if k != identity}
        last = all(other.network != entry.network for other in networks.values())
        left = (*self.left, entry.network) if last and entry.network not in self.left else self.left
        self._write(StateFile(networks=networks, left=left))
        return entry

    def struck_off(self, network: str) -> None:
        """Note that the store knows that this host left the network."""
        self._write(StateFile(networks=self.networks, left=tuple(name for name in self.left if name != network)))

    def _read(self) -> StateFile:
        try:
            return StateFile.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return StateFile()
        except OSError as error:
            raise RefusedError(f"cannot read {self._file}: {error.strerror}") from error
        except ValidationError:
            aside = self._file.with_suffix(".broken")
            self._file.replace(aside)
            log.error("%s is damaged and is now %s: create Docker's networks again", self._file, aside)
            return StateFile()

    def _write(self, content: StateFile) -> None:
        try:
            durable.write(self._file, content.model_dump_json().encode())
        except OSError as error:
            raise RefusedError(f"cannot write {self._file}: {error.strerror}") from error
        self._content = content
