# SPDX-License-Identifier: Apache-2.0
"""The commands' side of the daemon's socket: a method for each route of messages.py."""

import urllib.parse
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from fastpath.control.api.unix_http import Stream, UnixClient
from fastpath.control.capture.request import CaptureRequest
from fastpath.control.model.objects import Endpoint
from fastpath.control.model.requests import (
    EndpointCreate,
    ForwarderInfo,
    ForwarderSet,
    NetworkCreate,
    NetworkDetail,
    NetworkInfo,
    OverlayFdbLine,
    PeerInfo,
    Status,
)
from fastpath.control.runtime.paths import SOCKET
from fastpath.errors import UsageError

# The daemon gives up on its store after some seconds, and may try a commit several times; then there are
# namespaces and interfaces to make. This long, something is wrong.
CHANGE_TIMEOUT_S = 60.0


class DaemonClient(UnixClient):
    """Talks to the daemon on `path`. Every method raises FastpathError, with the daemon's own words where it
    refuses, AbsentError where no daemon runs."""

    def __init__(self, path: Path = SOCKET) -> None:
        super().__init__(
            path,
            who="the fastpath daemon",
            absent=f"no fastpath daemon answers on {path}: start it with `fastpath daemon`",
        )

    def status(self) -> Status:
        """Is all well, and if not, what is not."""
        return self.read_one(Status, self.call("GET", "/v1/status"))

    def networks(self) -> list[NetworkInfo]:
        """All networks."""
        return self.read_all(NetworkInfo, self.call("GET", "/v1/networks"))

    def network(self, name: str) -> NetworkDetail:
        """One network and its endpoints."""
        return self.read_one(NetworkDetail, self.call("GET", f"/v1/networks/{_part(name)}"))

    def create_network(self, network: NetworkCreate) -> NetworkInfo:
        """Make a network; it as it became."""
        return self.read_one(NetworkInfo, self.call("POST", "/v1/networks", network, CHANGE_TIMEOUT_S))

    def remove_network(self, name: str) -> None:
        """Remove a network that has no endpoints."""
        self.call("DELETE", f"/v1/networks/{_part(name)}", timeout=CHANGE_TIMEOUT_S)

    def capture(self, name: str, wanted: CaptureRequest) -> AbstractContextManager[Stream]:
        """A capture of one network on this host, as pcapng, while it lasts."""
        return self.stream("POST", f"/v1/networks/{_part(name)}/capture", wanted)

    def endpoints(self, network: str | None = None) -> list[Endpoint]:
        """The endpoints of one network or of all, on all hosts."""
        return self.read_all(Endpoint, self.call("GET", "/v1/endpoints" + _query(network)))

    def create_endpoint(self, endpoint: EndpointCreate) -> Endpoint:
        """Make an endpoint on this host; it as it became."""
        return self.read_one(Endpoint, self.call("POST", "/v1/endpoints", endpoint, CHANGE_TIMEOUT_S))

    def remove_endpoint(self, identity: str) -> None:
        """Remove an endpoint of this host, by its id or the beginning of it."""
        self.call("DELETE", f"/v1/endpoints/{_part(identity)}", timeout=CHANGE_TIMEOUT_S)

    def forwarder(self, network: str) -> ForwarderInfo:
        """What decides in a network on this host."""
        return self.read_one(ForwarderInfo, self.call("GET", f"/v1/networks/{_part(network)}/forwarder"))

    def set_forwarder(self, network: str, wanted: ForwarderSet | None) -> ForwarderInfo:
        """Have this forwarder decide on this host from now on, or the default one; it as it became."""
        verb, path = "PUT" if wanted is not None else "DELETE", f"/v1/networks/{_part(network)}/forwarder"
        return self.read_one(ForwarderInfo, self.call(verb, path, wanted, CHANGE_TIMEOUT_S))

    def peers(self) -> list[PeerInfo]:
        """The other hosts."""
        return self.read_all(PeerInfo, self.call("GET", "/v1/peers"))

    def fdb(self, network: str | None = None) -> list[OverlayFdbLine]:
        """The FDB entries of one network or of all."""
        return self.read_all(OverlayFdbLine, self.call("GET", "/v1/fdb" + _query(network)))

    def stats(self) -> dict[str, Any]:
        """stats.EngineStats.as_dict() of the daemon's engine."""
        answer: dict[str, Any] = self.call("GET", "/v1/stats")
        return answer


def _part(text: str) -> str:
    """A name as one part of a URL."""
    if not text.strip("."):  # which would lead elsewhere
        raise UsageError(f'"{text}" cannot be a name')
    return urllib.parse.quote(text, safe="", errors="surrogateescape")


def _query(network: str | None) -> str:
    return "?" + urllib.parse.urlencode({"network": network}, errors="surrogateescape") if network is not None else ""
