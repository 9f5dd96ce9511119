# SPDX-License-Identifier: Apache-2.0
"""A device's control socket: HTTP with JSON over a unix socket, and the client for it.

The socket lies in a directory that only its owner can enter, named by the network namespace that the
device's process runs in: like interface names, device names are unique within a namespace.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ValidationError

from fastpath.control.device import VxlanDevice
from fastpath.control.messages import DeviceInfo, FdbChange, FdbFlush, FdbLine, Flushed
from fastpath.errors import ConflictError, FastpathError, SystemRefusal, UsageError
from fastpath.port import check_name

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def socket_directory() -> Path:
    """Where the sockets of this network namespace's devices lie (FASTPATH_RUN_DIR or /run/fastpath)."""
    namespace = os.stat("/proc/self/ns/net").st_ino
    return Path(os.environ.get("FASTPATH_RUN_DIR", "/run/fastpath")) / f"net-{namespace}"


def socket_path(name: str) -> Path:
    """The control socket of the device with this name. Raises UsageError for what cannot be one."""
    check_name(name)
    return socket_directory() / f"{name}.sock"


def device_names() -> list[str]:
    """The devices that run in this network namespace, by name."""
    try:
        found = sorted(path for path in socket_directory().iterdir() if path.suffix == ".sock")
    except FileNotFoundError:
        return []
    except PermissionError:
        raise SystemRefusal(f"no permission to look into {socket_directory()}: run as root") from None
    return [path.stem for path in found if _answers(path)]


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def bind_socket(name: str) -> socket.socket:
    """The listening socket for a device, open to its owner only. Raises ConflictError where a device
    of that name runs; one that a killed process left is replaced."""
    path = socket_path(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            if _answers(path):
                raise ConflictError(f"a fastpath device named {name} runs here already: choose another name")
            path.unlink()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen()
        return sock
    except PermissionError:
        raise SystemRefusal(f"no permission to create {path}: run as root") from None


def unlink_socket(name: str) -> None:
    """Remove a device's socket, and the directory if it was the last one."""
    path = socket_path(name)
    path.unlink(missing_ok=True)
    for directory in (path.parent, path.parent.parent):
        try:
            directory.rmdir()
        except OSError:
            return  # others are still there


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except FastpathError as error:
        return web.json_response({"error": str(error)}, status=400)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return web.json_response({"error": f"{where}: {first['msg']}"}, status=400)


def _json(*messages: BaseModel) -> list[Any]:
    return [message.model_dump(mode="json") for message in messages]


def application(device: VxlanDevice, stop: Callable[[], None]) -> web.Application:
    """The device's face. `stop` asks the process to end."""

    async def show(_: web.Request) -> web.Response:
        return web.json_response(device.info().model_dump(mode="json"))

    async def stats(_: web.Request) -> web.Response:
        return web.json_response(device.engine.stats().as_dict())

    async def fdb_show(_: web.Request) -> web.Response:
        return web.json_response(_json(*device.fdb_show()))

    async def fdb_change(request: web.Request) -> web.Response:
        device.fdb_change(FdbChange.model_validate_json(await request.read()))
        return web.json_response({})

    async def fdb_flush(request: web.Request) -> web.Response:
        count = device.fdb_flush(FdbFlush.model_validate_json(await request.read()))
        return web.json_response({"count": count})

    async def end(_: web.Request) -> web.Response:
        stop()
        return web.json_response({})

    app = web.Application(middlewares=[_explain])
    app.add_routes(
        [
            web.get("/v1/device", show),
            web.get("/v1/stats", stats),
            web.get("/v1/fdb", fdb_show),
            web.post("/v1/fdb", fdb_change),
            web.post("/v1/fdb/flush", fdb_flush),
            web.post("/v1/stop", end),
        ]
    )
    return app


class Client:
    """Talks to one device, by name. Every method raises FastpathError with the device's own words."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._path = socket_path(name)

    def show(self) -> DeviceInfo:
        """What the device is."""
        return DeviceInfo.model_validate(self._call("GET", "/v1/device"))

    def stats(self) -> dict[str, Any]:
        """stats.EngineStats.as_dict()."""
        answer: dict[str, Any] = self._call("GET", "/v1/stats")
        return answer

    def fdb_show(self) -> list[FdbLine]:
        """The FDB."""
        return [FdbLine.model_validate(line) for line in self._call("GET", "/v1/fdb")]

    def fdb_change(self, change: FdbChange) -> None:
        """Add, append, replace, delete."""
        self._call("POST", "/v1/fdb", change)

    def fdb_flush(self, flush: FdbFlush) -> int:
        """Flush; how many entries went."""
        return Flushed.model_validate(self._call("POST", "/v1/fdb/flush", flush)).count

    def stop(self) -> None:
        """End the device's process."""
        self._call("POST", "/v1/stop")

    @property
    def alive(self) -> bool:
        """Whether the device still answers."""
        return _answers(self._path)

    def _call(self, method: str, path: str, body: BaseModel | None = None) -> Any:
        try:
            return asyncio.run(self._request(method, path, body))
        except FileNotFoundError:
            raise UsageError(f"no fastpath device named {self._name} runs here: see `fastpath vxlan show`") from None
        except PermissionError:
            raise SystemRefusal(f"no permission to open {self._path}: run as root") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, PermissionError):
                raise SystemRefusal(f"no permission to open {self._path}: run as root") from None
            raise UsageError(f"no fastpath device named {self._name} runs here: see `fastpath vxlan show`") from None
        except aiohttp.ClientError as error:
            raise SystemRefusal(f"the device {self._name} did not answer: {error}") from None

    async def _request(self, method: str, path: str, body: BaseModel | None) -> Any:
        data = body.model_dump_json() if body is not None else None
        connector = aiohttp.UnixConnector(str(self._path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, f"http://device{path}", data=data) as response,
        ):
            answer = await response.json()
            if response.status != 200:
                raise UsageError(answer["error"])
            return answer
