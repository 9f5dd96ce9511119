# SPDX-License-Identifier: Apache-2.0
"""The daemon's routes whose requests need no model. Answers are JSON, as the daemon sends them."""

import urllib.parse
from pathlib import Path
from typing import Any

from fastpath.control.api.unix_http import UnixClient
from fastpath.control.runtime.paths import SOCKET
from fastpath.errors import UsageError

# The daemon gives up on its store after some seconds, and may try a commit several times; then there are
# namespaces and interfaces to make. This long, something is wrong.
CHANGE_TIMEOUT_S = 60.0


class JsonClient(UnixClient):
    """Talk to the daemon on `path`. model/requests.py has the members of each answer.

    Every method raises FastpathError, with the daemon's own words where it refuses, AbsentError if no daemon runs.
    """

    def __init__(self, path: Path = SOCKET) -> None:
        super().__init__(
            path,
            who="the fastpath daemon",
            absent=f"no fastpath daemon answers on {path}: start it with `fastpath daemon`",
        )

    def status(self) -> Any:
        """Return a Status."""
        return self.call("GET", "/v1/status")

    def networks(self) -> Any:
        """Return a NetworkInfo of each network."""
        return self.call("GET", "/v1/networks")

    def network(self, name: str) -> Any:
        """Return the NetworkDetail of one network."""
        return self.call("GET", f"/v1/networks/{url_part(name)}")

    def remove_network(self, name: str) -> None:
        """Remove a network that has no endpoints."""
        self.call("DELETE", f"/v1/networks/{url_part(name)}", timeout=CHANGE_TIMEOUT_S)

    def endpoints(self, network: str | None = None) -> Any:
        """Return each Endpoint of one network or of all, on all hosts."""
        return self.call("GET", "/v1/endpoints" + _query(network))

    def remove_endpoint(self, identity: str) -> None:
        """Remove an endpoint of this host, by its id or the beginning of it."""
        self.call("DELETE", f"/v1/endpoints/{url_part(identity)}", timeout=CHANGE_TIMEOUT_S)

    def upgrade_store(self) -> Any:
        """Have each host keep its endpoints under a prefix of its own in the store; return a StoreLayout."""
        return self.call("POST", "/v1/store/upgrade", timeout=CHANGE_TIMEOUT_S)

    def peers(self) -> Any:
        """Return a PeerInfo of each other host."""
        return self.call("GET", "/v1/peers")

    def fdb(self, network: str | None = None) -> Any:
        """Return an OverlayFdbLine for each FDB entry of one network or of all."""
        return self.call("GET", "/v1/fdb" + _query(network))

    def guard(self) -> Any:
        """Return a GuardInfo."""
        return self.call("GET", "/v1/guard")

    def stats(self) -> dict[str, Any]:
        """Return EngineStats.as_dict() of the daemon's engine."""
        answer: dict[str, Any] = self.call("GET", "/v1/stats")
        return answer


def url_part(text: str) -> str:
    """Return a name as one part of a URL. Raise UsageError if it would lead elsewhere."""
    if not text.strip("."):
        raise UsageError(f'"{text}" cannot be a name')
    return urllib.parse.quote(text, safe="", errors="surrogateescape")


def _query(network: str | None) -> str:
    return "?" + urllib.parse.urlencode({"network": network}, errors="surrogateescape") if network is not None else ""
