# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong, the daemon's face says it in one line of JSON."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from fastpath.control.api.routes import explain
from fastpath.control.model.requests import NetworkCreate
from fastpath.control.store.interface import UnavailableError
from fastpath.errors import ConflictError, NotFoundError, UsageError


async def fail(request: web.Request) -> web.Response:
    what = request.query["what"]
    if what == "json":
        NetworkCreate.model_validate_json('{"name": "web", "vni": 7}')
    raise {
        "usage": UsageError("no"),
        "unknown": NotFoundError("no"),
        "taken": ConflictError("no"),
        "away": UnavailableError("no"),
        "mistake": KeyError("web"),
    }[what]


@pytest.mark.parametrize(
    ("path", "status", "line"),
    [
        ("/fail?what=usage", 400, "no"),
        ("/fail?what=unknown", 404, "no"),
        ("/fail?what=taken", 409, "no"),
        ("/fail?what=away", 503, "no"),
        ("/fail?what=json", 400, "vni: Input should be greater than or equal to 256"),
        ("/fail?what=mistake", 500, "a mistake in fastpath: see the daemon's log"),
        ("/nothing", 404, "GET /nothing: Not Found"),
    ],
)
def test_an_error_is_one_line_of_json(path: str, status: int, line: str) -> None:
    async def ask() -> tuple[int, object]:
        app = web.Application(middlewares=[explain])
        app.add_routes([web.get("/fail", fail)])
        async with TestClient(TestServer(app)) as client, client.get(path) as answer:
            return answer.status, await answer.json()

    assert asyncio.run(ask()) == (status, {"error": line})
