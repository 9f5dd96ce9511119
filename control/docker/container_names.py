# SPDX-License-Identifier: Apache-2.0
"""What Docker's containers are called. Docker tells a network driver nothing of that, so its API is asked: once for all
when we meet it, then whenever it says that a container was connected, started or renamed.

It is a task of its own: Docker waits for us in requests to the plugin, and must not be waited for in them.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.registry import Registry
from fastpath.control.docker.claims import MANAGER
from fastpath.control.model.hostnames import usable
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

RETRY_S = 3.0
ANSWER_S = 30.0
FILTERS = {"type": ["network", "container"], "event": ["connect", "start", "rename"]}
SHORT_ID = 12
MAX_EVENT = 1 << 20  # bytes of one line; labels are in it


class _Docker(BaseModel):
    """An answer of Docker's; it has more fields than are read here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Attachment(_Docker):
    endpoint: str = Field(default="", alias="EndpointID")
    aliases: tuple[str, ...] | None = Field(default=None, alias="Aliases")


class _Networks(_Docker):
    networks: dict[str, _Attachment] | None = Field(default=None, alias="Networks")


class _Config(_Docker):
    hostname: str = Field(default="", alias="Hostname")


class Container(_Docker):
    """GET /containers/ID/json"""

    id: str = Field(alias="Id")
    name: str = Field(alias="Name")
    config: _Config = Field(alias="Config")
    settings: _Networks = Field(alias="NetworkSettings")

    def names(self) -> dict[str, tuple[str, ...]]:
        """Return the names by Docker's endpoint ids: the container's name first, then aliases, short id and host name,
        as in Docker's own DNS; each also followed by the name of Docker's network, which may differ from the cluster's.
        """
        found = {}
        for network, attachment in (self.settings.networks or {}).items():
            first = usable([self.name.removeprefix("/"), *(attachment.aliases or ())])
            plain = [*first, self.id[:SHORT_ID], self.config.hostname]
            if attachment.endpoint:
                found[attachment.endpoint] = usable([*plain, *(f"{name}.{network}" for name in first)])
        return found


class ContainerNames:
    """Write the containers' names into this host's endpoints."""

    def __init__(self, socket: Path, host: str, mirror: Mirror, registry: Registry) -> None:
        self._socket = socket
        self._host = host
        self._mirror = mirror
        self._registry = registry

    async def run(self) -> None:
        """Follow Docker until cancelled."""
        await self._mirror.synced.wait()
        said = ""
        while True:
            try:
                await self._follow()
                said = ""
            except (aiohttp.ClientError, FastpathError, OSError, TimeoutError, ValueError) as error:
                why = f"{type(error).__name__}: {error}"
                log.log(
                    logging.DEBUG if why == said else logging.WARNING,
                    "Docker does not tell the names of its containers (%s): %s",
                    self._socket,
                    error or type(error).__name__,
                )
                said = why
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        connector = aiohttp.UnixConnector(str(self._socket))
        async with aiohttp.ClientSession("http://docker", connector=connector, timeout=timeout) as docker:
            endless = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_S)
            query = {"filters": json.dumps(FILTERS)}
            async with docker.get("/events", params=query, timeout=endless, raise_for_status=True) as events:
                # They are open: what happens from here on is heard of.
                await self._look(docker, [each["Id"] for each in await _json(docker, "/containers/json")])
                async for container in _containers(events.content):
                    await self._look(docker, [container])

    async def _look(self, docker: aiohttp.ClientSession, identities: list[str]) -> None:
        for identity in identities:
            try:
                answer = await _json(docker, f"/containers/{identity}/json")
            except aiohttp.ClientResponseError as error:
                if error.status == 404:
                    continue  # it is gone already
                raise
            try:
                container = Container.model_validate(answer)
            except ValidationError as error:
                log.warning("what Docker says of the container %s cannot be read: %s", identity[:SHORT_ID], error)
                continue
            await self._write(container.names())

    async def _write(self, names: dict[str, tuple[str, ...]]) -> None:
        own = {e.id: e for e in self._mirror.local_endpoints(self._host) if e.manager == MANAGER}
        for identity, wanted in names.items():
            endpoint = own.get(identity[:16])
            if endpoint is not None and endpoint.names != wanted:
                await self._registry.set_names(endpoint, wanted)
                log.debug("endpoint %s is called %s", endpoint.id, " ".join(wanted))


async def _json(docker: aiohttp.ClientSession, path: str) -> Any:
    async with docker.get(path, raise_for_status=True) as response:
        return await response.json()


async def _containers(stream: aiohttp.StreamReader) -> AsyncIterator[str]:
    """Yield the container of each event; events are JSON objects, one a line."""
    rest = b""
    async for data in stream.iter_any():
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > MAX_EVENT:
            raise ValueError("an event without an end")
        for line in lines:
            event = json.loads(line) if line.strip() else {}
            actor = event.get("Actor") or {}
            identity = actor.get("ID")
            if event.get("Type") == "network":
                identity = (actor.get("Attributes") or {}).get("container")
            if isinstance(identity, str) and identity.isalnum():
                yield identity
