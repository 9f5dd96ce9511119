# SPDX-License-Identifier: Apache-2.0
"""The daemon's socket, with models for what is sent and answered: a method for each route of model/requests.py."""

from contextlib import AbstractContextManager

from fastpath.control.api.json_client import CHANGE_TIMEOUT_S, JsonClient, url_part
from fastpath.control.api.unix_http import Stream
from fastpath.control.capture.request import CaptureRequest
from fastpath.control.model.objects import Endpoint
from fastpath.control.model.requests import (
    EndpointCreate,
    EndpointSet,
    ForwarderInfo,
    ForwarderSet,
    NetworkCreate,
    NetworkDetail,
    NetworkInfo,
    NetworkSet,
    OverlayFdbLine,
    PeerInfo,
    Status,
)


class DaemonClient(JsonClient):
    """Talk to the daemon on `path`. Answers are checked: RefusedError if they are those of another version."""

    def status(self) -> Status:
        """Return the health and the problems of this host."""
        return self.read_one(Status, super().status())

    def networks(self) -> list[NetworkInfo]:
        """Return all networks."""
        return self.read_all(NetworkInfo, super().networks())

    def network(self, name: str) -> NetworkDetail:
        """Return one network and its endpoints."""
        return self.read_one(NetworkDetail, super().network(name))

    def create_network(self, network: NetworkCreate) -> NetworkInfo:
        """Create a network and return it."""
        return self.read_one(NetworkInfo, self.call("POST", "/v1/networks", network, CHANGE_TIMEOUT_S))

    def set_network(self, name: str, settings: NetworkSet) -> NetworkInfo:
        """Change settings of a network and return it."""
        path = f"/v1/networks/{url_part(name)}"
        return self.read_one(NetworkInfo, self.call("PATCH", path, settings, CHANGE_TIMEOUT_S))

    def capture(self, name: str, wanted: CaptureRequest) -> AbstractContextManager[Stream]:
        """Capture frames of one network on this host; the stream is pcapng."""
        return self.stream("POST", f"/v1/networks/{url_part(name)}/capture", wanted)

    def endpoints(self, network: str | None = None) -> list[Endpoint]:
        """Return the endpoints of one network or of all, on all hosts."""
        return self.read_all(Endpoint, super().endpoints(network))

    def create_endpoint(self, endpoint: EndpointCreate) -> Endpoint:
        """Create an endpoint on this host and return it."""
        return self.read_one(Endpoint, self.call("POST", "/v1/endpoints", endpoint, CHANGE_TIMEOUT_S))

    def set_endpoint(self, identity: str, settings: EndpointSet) -> Endpoint:
        """Change an endpoint of this host, by its id or the beginning of it, and return it."""
        path = f"/v1/endpoints/{url_part(identity)}"
        return self.read_one(Endpoint, self.call("PATCH", path, settings, CHANGE_TIMEOUT_S))

    def forwarder(self, network: str) -> ForwarderInfo:
        """Return the forwarder of a network on this host."""
        return self.read_one(ForwarderInfo, self.call("GET", f"/v1/networks/{url_part(network)}/forwarder"))

    def set_forwarder(self, network: str, wanted: ForwarderSet | None) -> ForwarderInfo:
        """Set the forwarder of a network on this host, None for the default one, and return it."""
        verb, path = "PUT" if wanted is not None else "DELETE", f"/v1/networks/{url_part(network)}/forwarder"
        return self.read_one(ForwarderInfo, self.call(verb, path, wanted, CHANGE_TIMEOUT_S))

    def peers(self) -> list[PeerInfo]:
        """Return the other hosts."""
        return self.read_all(PeerInfo, super().peers())

    def fdb(self, network: str | None = None) -> list[OverlayFdbLine]:
        """Return the FDB entries of one network or of all."""
        return self.read_all(OverlayFdbLine, super().fdb(network))
