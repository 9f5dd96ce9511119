# SPDX-License-Identifier: Apache-2.0
"""The daemon's HTTP API: JSON over a unix socket. docs/operators/api.md documents it,
model/requests.py has the models."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from fastpath import Capture
from fastpath.control.api.json_array import json_array
from fastpath.control.api.operations import Operations
from fastpath.control.api.queries import Queries
from fastpath.control.capture.request import CaptureRequest
from fastpath.control.capture.stream import answer
from fastpath.control.model.requests import EndpointCreate, EndpointSet, ForwarderSet, NetworkCreate, NetworkSet
from fastpath.control.runtime.forwarders import info, set_forwarder
from fastpath.control.store.interface import UnavailableError
from fastpath.errors import ConflictError, FastpathError, NotFoundError

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _status_of(error: FastpathError) -> int:
    for kind, status in ((NotFoundError, 404), (ConflictError, 409), (UnavailableError, 503)):
        if isinstance(error, kind):
            return status
    return 400


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with errors as one line of JSON."""
    try:
        return await handler(request)
    except FastpathError as error:
        log.debug("%s %s is refused", request.method, request.path, exc_info=error)
        return web.json_response({"error": str(error)}, status=_status_of(error))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if not str(part).startswith("function-"))
        why = first["msg"].removeprefix("Value error, ")
        return web.json_response({"error": f"{where}: {why}" if where else why}, status=400)
    except web.HTTPException as error:  # of aiohttp's own
        return web.json_response({"error": f"{request.method} {request.path}: {error.reason}"}, status=error.status)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return web.json_response({"error": "internal error: see the daemon's log"}, status=500)


def _list(messages: Iterable[BaseModel]) -> web.Response:
    return web.json_response([message.model_dump(mode="json") for message in messages])


def _one(message: BaseModel, status: int = 200) -> web.Response:
    return web.json_response(message.model_dump(mode="json"), status=status)


class Routes:
    """The routes, and what each calls. The docstrings name the models of body and answer."""

    def __init__(
        self,
        operations: Operations,
        queries: Queries,
        stats: Callable[[], Any],
        capture: Callable[[str], Callable[[CaptureRequest], Capture]],
    ) -> None:
        self._operations = operations
        self._queries = queries
        self._stats = stats
        self._capture = capture

    def application(self) -> web.Application:
        """Return the application that is served."""
        app = web.Application(middlewares=[explain])
        app.add_routes(
            [
                web.get("/v1/status", self.status),
                web.get("/v1/networks", self.networks),
                web.post("/v1/networks", self.network_create),
                web.get("/v1/networks/{name}", self.network),
                web.patch("/v1/networks/{name}", self.network_set),
                web.delete("/v1/networks/{name}", self.network_remove),
                web.get("/v1/networks/{name}/forwarder", self.forwarder),
                web.put("/v1/networks/{name}/forwarder", self.forwarder_set),
                web.delete("/v1/networks/{name}/forwarder", self.forwarder_reset),
                web.post("/v1/networks/{name}/capture", self.capture),
                web.get("/v1/endpoints", self.endpoints),
                web.post("/v1/endpoints", self.endpoint_create),
                web.patch("/v1/endpoints/{id}", self.endpoint_set),
                web.delete("/v1/endpoints/{id}", self.endpoint_remove),
                web.post("/v1/store/upgrade", self.store_upgrade),
                web.get("/v1/peers", self.peers),
                web.get("/v1/fdb", self.fdb),
                web.get("/v1/guard", self.guard),
                web.get("/v1/stats", self.stats),
                web.get("/healthz", self.health),
            ]
        )
        return app

    async def status(self, _: web.Request) -> web.Response:
        """Status."""
        return _one(self._queries.status())

    async def health(self, _: web.Request) -> web.Response:
        """200 or 503."""
        status = self._queries.status()
        return _one(status, 200 if status.healthy else 503)

    async def networks(self, _: web.Request) -> web.Response:
        """[NetworkInfo]"""
        return _list(self._queries.networks())

    async def network(self, request: web.Request) -> web.Response:
        """NetworkDetail"""
        return _one(self._queries.network(request.match_info["name"]))

    async def network_create(self, request: web.Request) -> web.Response:
        """NetworkCreate -> NetworkInfo"""
        network = await self._operations.create_network(NetworkCreate.model_validate_json(await request.read()))
        return _one(self._queries.info(network))

    async def network_set(self, request: web.Request) -> web.Response:
        """NetworkSet -> NetworkInfo"""
        wanted = NetworkSet.model_validate_json(await request.read())
        return _one(self._queries.info(await self._operations.set_network(request.match_info["name"], wanted)))

    async def network_remove(self, request: web.Request) -> web.Response:
        """{}"""
        await self._operations.remove_network(request.match_info["name"])
        return web.json_response({})

    async def capture(self, request: web.Request) -> web.StreamResponse:
        """CaptureRequest -> pcapng, while it lasts"""
        name = request.match_info["name"]
        begin = self._capture(name)
        async with self._queries.captured(name) as incomplete:
            return await answer(request, begin, incomplete)

    async def endpoints(self, request: web.Request) -> web.Response:
        """[Endpoint]"""
        return _list(self._queries.endpoints(request.query.get("network")))

    async def endpoint_create(self, request: web.Request) -> web.Response:
        """EndpointCreate -> Endpoint"""
        return _one(await self._operations.create_endpoint(EndpointCreate.model_validate_json(await request.read())))

    async def endpoint_set(self, request: web.Request) -> web.Response:
        """EndpointSet -> Endpoint"""
        wanted = EndpointSet.model_validate_json(await request.read())
        return _one(await self._operations.set_endpoint(request.match_info["id"], wanted))

    async def endpoint_remove(self, request: web.Request) -> web.Response:
        """{}"""
        await self._operations.remove_endpoint(request.match_info["id"])
        return web.json_response({})

    async def forwarder(self, request: web.Request) -> web.Response:
        """ForwarderInfo"""
        return _one(info(self._queries.segment(request.match_info["name"])))

    async def forwarder_set(self, request: web.Request) -> web.Response:
        """ForwarderSet -> ForwarderInfo"""
        wanted = ForwarderSet.model_validate_json(await request.read())
        return await self._set_forwarder(request.match_info["name"], wanted)

    async def forwarder_reset(self, request: web.Request) -> web.Response:
        """ForwarderInfo"""
        return await self._set_forwarder(request.match_info["name"], None)

    async def _set_forwarder(self, name: str, wanted: ForwarderSet | None) -> web.Response:
        state = await asyncio.to_thread(set_forwarder, self._queries.segment(name), wanted)
        self._operations.forwarder_changed(name)
        return _one(state)

    async def store_upgrade(self, _: web.Request) -> web.Response:
        """StoreLayout"""
        return _one(await self._operations.upgrade_store())

    async def peers(self, _: web.Request) -> web.Response:
        """[PeerInfo]"""
        return _list(self._queries.peers())

    async def fdb(self, request: web.Request) -> web.StreamResponse:
        """[OverlayFdbLine]"""
        return await json_array(request, self._queries.fdb(request.query.get("network")))

    async def guard(self, _: web.Request) -> web.Response:
        """GuardInfo"""
        return _one(await asyncio.to_thread(self._queries.guard))

    async def stats(self, _: web.Request) -> web.Response:
        """stats.EngineStats.as_dict()"""
        return web.json_response(self._stats())
