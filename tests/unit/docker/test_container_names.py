# SPDX-License-Identifier: Apache-2.0
"""Names from Docker's API into the store, by a Docker that is a few lines of aiohttp."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.cluster.registry import Registry
from fastpath.control.docker.claims import MANAGER
from fastpath.control.docker.container_names import Container, ContainerNames
from fastpath.control.model.objects import NOWHERE, Endpoint

ID = "4c01db0b339c" + "0" * 52
ENDPOINT = "1f0c5a3b00000001" + "f" * 48
OTHER = "2b" + "0" * 62


def container(name: str, **more: Any) -> dict[str, Any]:
    """As Docker 20.10 describes one, much shortened."""
    attachment = {"EndpointID": ENDPOINT, "Aliases": ["db", ID[:12]], "IPAddress": "10.0.0.2"} | more
    return {
        "Id": ID,
        "Name": f"/{name}",
        "Config": {"Hostname": "Box", "Domainname": "", "Env": None},
        "NetworkSettings": {"Bridge": "", "Networks": {"demo": attachment}},
    }


NAMES = ("web", "db", ID[:12], "box", "web.demo", "db.demo", f"{ID[:12]}.demo")


def test_what_a_container_is_called() -> None:
    assert Container.model_validate(container("Web")).names() == {ENDPOINT: NAMES}


@pytest.mark.parametrize("more", [{"Aliases": None}, {"Aliases": []}])
def test_without_aliases(more: dict[str, Any]) -> None:
    names = Container.model_validate(container("web", **more)).names()
    assert names == {ENDPOINT: ("web", ID[:12], "box", "web.demo")}


def test_names_that_cannot_be_are_left_out() -> None:
    made = container("web", Aliases=["a b", "10.0.0.1", "-x"])
    assert Container.model_validate(made).names()[ENDPOINT] == ("web", ID[:12], "box", "web.demo")


def test_a_container_that_does_not_run_is_nowhere() -> None:
    assert Container.model_validate(container("web", EndpointID="")).names() == {}


class FakeDocker:
    """Lists, describes and tells what happens."""

    def __init__(self) -> None:
        self.described: dict[str, Any] = {ID: container("web")}
        self.told: asyncio.Queue[bytes] = asyncio.Queue()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/containers/json", self._list)
        app.router.add_get("/containers/{id}/json", self._describe)
        app.router.add_get("/events", self._events)
        return app

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response([{"Id": identity} for identity in self.described])

    async def _describe(self, request: web.Request) -> web.Response:
        found = self.described.get(request.match_info["id"])
        return web.json_response(found) if found is not None else web.json_response({"message": "none"}, status=404)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        assert "connect" in json.loads(request.query["filters"])["event"]
        response = web.StreamResponse()
        await response.prepare(request)
        while data := await self.told.get():
            await response.write(data)
        return response


class FakeRegistry:
    """What was written, and a mirror that hears of it at once."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self.written: asyncio.Queue[tuple[str, tuple[str, ...]]] = asyncio.Queue()

    async def set_names(self, endpoint: Endpoint, names: tuple[str, ...]) -> int:
        self._mirror.endpoints["blue"][endpoint.id] = endpoint.model_copy(update={"names": names})
        self.written.put_nowait((endpoint.id, names))
        return 1


def followed(tmp_path: Path, scene: Callable[[FakeDocker, FakeRegistry], Any]) -> None:
    async def run() -> None:
        mirror = Mirror(None)
        mirror.synced.set()
        own = Endpoint.model_validate(
            {
                "id": ENDPOINT[:16],
                "network": "blue",
                "host": "h1",
                "mac": "02:42:0a:00:00:02",
                "addresses": ["10.0.0.2/24"],
                "sandbox": NOWHERE,
                "manager": MANAGER,
            }
        )
        mirror.endpoints["blue"] = {own.id: own}
        docker, registry = FakeDocker(), FakeRegistry(mirror)
        runner = web.AppRunner(docker.application(), shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(tmp_path / "d.sock")).start()
        names = ContainerNames(tmp_path / "d.sock", "h1", mirror, cast(Registry, registry))
        task = asyncio.create_task(names.run())
        try:
            await scene(docker, registry)
        finally:
            task.cancel()
            docker.told.put_nowait(b"")
            await asyncio.gather(task, return_exceptions=True)
            await runner.cleanup()

    asyncio.run(run())


def event(kind: str, identity: str, **attributes: str) -> bytes:
    return json.dumps({"Type": kind, "Actor": {"ID": identity, "Attributes": attributes}}).encode() + b"\n"


def test_who_is_there_is_named_and_then_who_is_renamed(tmp_path: Path) -> None:
    async def scene(docker: FakeDocker, registry: FakeRegistry) -> None:
        assert await registry.written.get() == (ENDPOINT[:16], NAMES)
        docker.described[ID] = container("new", Aliases=None)
        told = event("container", ID)
        docker.told.put_nowait(told[:20])  # a line may come in pieces
        docker.told.put_nowait(told[20:])
        assert (await registry.written.get())[1][0] == "new"
        docker.described[ID] = container("newer", Aliases=None)
        docker.told.put_nowait(event("container", OTHER) + event("network", "n", container=ID))  # the first is gone
        assert (await registry.written.get())[1][0] == "newer"

    followed(tmp_path, scene)


def test_what_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    async def scene(docker: FakeDocker, registry: FakeRegistry) -> None:
        await registry.written.get()
        docker.described[OTHER] = {"Id": 5}
        docker.told.put_nowait(b"\n{}\n" + event("container", "../../x") + event("container", OTHER))
        docker.described[ID] = container("new")
        docker.told.put_nowait(event("container", ID))
        assert (await registry.written.get())[1][0] == "new"

    followed(tmp_path, scene)
