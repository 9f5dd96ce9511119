# SPDX-License-Identifier: Apache-2.0
"""Docker's plugin protocol: JSON over HTTP on a unix socket in its plugin folder. An error has status 200 and says what
is wrong in `Err`, or in `Error` of an IPAM driver: that is what Docker shows its user."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from fastpath.control.docker import protocol
from fastpath.control.docker.ipam_driver import IpamDriver
from fastpath.control.docker.network_driver import NetworkDriver
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/vnd.docker.plugins.v1.1+json"

Method = Callable[[Any], Awaitable[BaseModel]]


class Plugin:
    """Dispatch Docker's requests. Without `addresses` the plugin is no IPAM driver."""

    def __init__(self, network: NetworkDriver, addresses: IpamDriver | None = None) -> None:
        self._methods: dict[str, tuple[type[protocol.Message], Method]] = {
            "Plugin.Activate": (protocol.Nothing, self.activate),
            "NetworkDriver.GetCapabilities": (protocol.Nothing, network.capabilities),
            "NetworkDriver.CreateNetwork": (protocol.CreateNetwork, network.create_network),
            "NetworkDriver.DeleteNetwork": (protocol.OneNetwork, network.delete_network),
            "NetworkDriver.AllocateNetwork": (protocol.Nothing, network.nothing),
            "NetworkDriver.FreeNetwork": (protocol.Nothing, network.nothing),
            "NetworkDriver.CreateEndpoint": (protocol.CreateEndpoint, network.create_endpoint),
            "NetworkDriver.DeleteEndpoint": (protocol.OneEndpoint, network.delete_endpoint),
            "NetworkDriver.EndpointOperInfo": (protocol.OneEndpoint, network.endpoint_info),
            "NetworkDriver.Join": (protocol.Join, network.join),
            "NetworkDriver.Leave": (protocol.OneEndpoint, network.leave),
            "NetworkDriver.ProgramExternalConnectivity": (protocol.Nothing, network.nothing),
            "NetworkDriver.RevokeExternalConnectivity": (protocol.Nothing, network.nothing),
            "NetworkDriver.DiscoverNew": (protocol.Nothing, network.nothing),
            "NetworkDriver.DiscoverDelete": (protocol.Nothing, network.nothing),
        }
        if addresses is not None:
            self._methods |= {
                "IpamDriver.GetCapabilities": (protocol.Nothing, addresses.capabilities),
                "IpamDriver.GetDefaultAddressSpaces": (protocol.Nothing, addresses.address_spaces),
                "IpamDriver.RequestPool": (protocol.RequestPool, addresses.request_pool),
                "IpamDriver.ReleasePool": (protocol.ReleasePool, addresses.release_pool),
                "IpamDriver.RequestAddress": (protocol.RequestAddress, addresses.request_address),
                "IpamDriver.ReleaseAddress": (protocol.ReleaseAddress, addresses.release_address),
            }

    def application(self) -> web.Application:
        """Return the application that is served."""
        app = web.Application()
        app.router.add_post("/{method}", self.handle)
        return app

    async def activate(self, _: protocol.Nothing) -> protocol.Activated:
        """Return the interfaces that this plugin implements."""
        return protocol.Activated(
            implements=tuple(sorted({name.partition(".")[0] for name in self._methods} - {"Plugin"}))
        )

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        name = request.match_info["method"]
        if name not in self._methods:
            return _answer({"Err": f"fastpath has no {name}"}, status=404)
        model, method = self._methods[name]
        body = await request.read()
        log.debug("Docker asks %s %s", name, body.decode(errors="replace"))
        try:
            answer = await method(model.model_validate_json(body or b"{}"))
        except FastpathError as error:
            log.warning("%s: %s", name, error)
            log.debug("%s: its cause", name, exc_info=error)
            return _answer({_error_field(name): str(error)})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the request"
            return _answer({_error_field(name): f"{name} is not understood: {where}: {first['msg']}"})
        return _answer(answer.model_dump(mode="json", by_alias=True))


def _error_field(method: str) -> str:
    return "Error" if method.startswith("IpamDriver.") else "Err"


def _answer(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(value, status=status, content_type=CONTENT_TYPE)
