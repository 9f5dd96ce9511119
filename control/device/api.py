# SPDX-License-Identifier: Apache-2.0
"""The HTTP API of a device, on its control socket."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from fastpath.control.api.json_array import json_array
from fastpath.control.capture.open import open_capture
from fastpath.control.capture.stream import answer
from fastpath.control.device.requests import FdbChange, FdbFlush
from fastpath.control.device.vxlan import VxlanDevice
from fastpath.control.model.requests import ForwarderSet
from fastpath.control.runtime.forwarders import info, set_forwarder
from fastpath.errors import FastpathError, NotFoundError
from fastpath.forwarder.forwarder import VxlanLearning

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


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


def application(device: VxlanDevice, stop: Callable[[], None]) -> web.Application:
    """Return the HTTP application of a device. `stop` asks the process to end."""

    async def show(_: web.Request) -> web.Response:
        return web.json_response(device.info().model_dump(mode="json"))

    async def stats(_: web.Request) -> web.Response:
        return web.json_response(device.engine.stats().as_dict())

    async def fdb_show(request: web.Request) -> web.StreamResponse:
        return await json_array(request, device.fdb_show())

    async def fdb_change(request: web.Request) -> web.Response:
        device.fdb_change(FdbChange.model_validate_json(await request.read()))
        return web.json_response({})

    async def fdb_flush(request: web.Request) -> web.Response:
        count = device.fdb_flush(FdbFlush.model_validate_json(await request.read()))
        return web.json_response({"count": count})

    async def forwarder(_: web.Request) -> web.Response:
        return web.json_response(info(device.segment).model_dump(mode="json"))

    async def forwarder_set(request: web.Request) -> web.Response:
        wanted = ForwarderSet.model_validate_json(await request.read())
        found = await asyncio.to_thread(set_forwarder, device.segment, wanted, VxlanLearning)
        return web.json_response(found.model_dump(mode="json"))

    async def forwarder_reset(_: web.Request) -> web.Response:
        found = await asyncio.to_thread(set_forwarder, device.segment, None, VxlanLearning)
        return web.json_response(found.model_dump(mode="json"))

    async def capture(request: web.Request) -> web.StreamResponse:
        return await answer(request, lambda wanted: open_capture(device.engine, device.segment, wanted, {}))

    async def guard(_: web.Request) -> web.Response:
        if device.guard is None:
            raise NotFoundError(f"the device {device.config.name} has no guard: create it with --guard")
        return web.json_response((await asyncio.to_thread(device.guard.info)).model_dump(mode="json"))

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
            web.get("/v1/forwarder", forwarder),
            web.put("/v1/forwarder", forwarder_set),
            web.delete("/v1/forwarder", forwarder_reset),
            web.post("/v1/capture", capture),
            web.get("/v1/guard", guard),
            web.post("/v1/stop", end),
        ]
    )
    return app
