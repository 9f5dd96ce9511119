# SPDX-License-Identifier: Apache-2.0
"""The daemon's API reports every error in one line of JSON."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import BaseModel

from fastpath.control.api.operations import Operations
from fastpath.control.api.queries import Queries
from fastpath.control.api.routes import Routes, explain
from fastpath.control.capture.request import CaptureRequest
from fastpath.control.model.objects import Endpoint, Network, Peer, Sandbox, Subnet
from fastpath.control.model.requests import (
    EndpointCreate,
    EndpointSet,
    ForwarderElement,
    ForwarderInfo,
    ForwarderSet,
    GuardInfo,
    GuardRule,
    NetworkCreate,
    NetworkDetail,
    NetworkSet,
    OverlayFdbLine,
    PeerInfo,
    Status,
    StoreLayout,
)
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
        ("/fail?what=mistake", 500, "internal error: see the daemon's log"),
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


DOCUMENT = Path(__file__).parents[3] / "docs" / "operators" / "api.md"


def test_the_document_has_every_route_and_no_other() -> None:
    def refuse(_: object = None) -> None:
        raise AssertionError("nobody asks")

    routes = Routes(cast(Operations, None), cast(Queries, None), refuse, refuse)  # type: ignore[arg-type]  # never called
    served = {
        (route.method, route.resource.canonical)
        for route in routes.application().router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    text = DOCUMENT.read_text()
    assert set(re.findall(r"^\| `([A-Z]+)` \| `(/[^`]*)` \|", text, re.MULTILINE)) == served
    patterns = [re.sub(r"\{\w+\}", "[^/?]+", path) for _, path in served]
    typed = re.findall(r"http://localhost(/[^\s'?]*)", text)
    assert typed
    assert [path for path in typed if not any(re.fullmatch(pattern, path) for pattern in patterns)] == []


def _documented(*models: type[BaseModel]) -> Iterator[tuple[str, set[str]]]:
    """The fields of each model that its section, which is the first one's, does not name."""
    heading = models[0].__name__.replace("NetworkDetail", "NetworkInfo")
    section = re.search(rf"^### {heading}$(.*?)(?=^###|\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert section, heading
    named = set(re.findall(r"`(\w+)`", section[1]))
    for model in models:
        yield model.__name__, model.model_fields.keys() - named


@pytest.mark.parametrize(
    "models",
    [
        (Status,),
        (NetworkCreate,),
        (NetworkDetail, Network, Subnet),
        (NetworkSet,),
        (EndpointCreate,),
        (EndpointSet,),
        (Endpoint, Sandbox),
        (StoreLayout,),
        (PeerInfo, Peer),
        (OverlayFdbLine,),
        (GuardInfo, GuardRule),
        (ForwarderSet, ForwarderElement),
        (ForwarderInfo,),
        (CaptureRequest,),
    ],
    ids=lambda models: models[0].__name__,
)
def test_the_document_has_every_field(models: tuple[type[BaseModel], ...]) -> None:
    for name, missing in _documented(*models):
        assert not missing, f"{name} has {missing}"
