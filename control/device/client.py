# SPDX-License-Identifier: Apache-2.0
"""The client of a device's control socket."""

from contextlib import AbstractContextManager
from typing import Any

from fastpath.control.api.unix_http import Stream, UnixClient
from fastpath.control.capture.request import CaptureRequest
from fastpath.control.device.control_socket import socket_path
from fastpath.control.device.requests import DeviceInfo, FdbChange, FdbFlush, Flushed
from fastpath.control.model.requests import ForwarderInfo, ForwarderSet

FDB_TIMEOUT_S = 60.0  # without any data
FORWARDER_TIMEOUT_S = 60.0  # it may load a lot when it starts


class Client(UnixClient):
    """Talk to a device, by name. Every method raises FastpathError with the device's own words."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__(
            socket_path(name),
            who=f"the device {name}",
            absent=f"no fastpath device named {name} runs here: see `fastpath vxlan show`",
        )

    def show(self) -> DeviceInfo:
        """Return the settings of the device."""
        return self.read_one(DeviceInfo, self.call("GET", "/v1/device"))

    def stats(self) -> dict[str, Any]:
        """Return EngineStats.as_dict()."""
        answer: dict[str, Any] = self.call("GET", "/v1/stats")
        return answer

    def guard(self) -> Any:
        """Return a GuardInfo. Raise FastpathError if the device has no guard."""
        return self.call("GET", "/v1/guard")

    def fdb_show(self) -> Any:
        """Return the FDB, a list of FdbLine as JSON: there may be a million, which are not checked one by one."""
        return self.call("GET", "/v1/fdb", timeout=FDB_TIMEOUT_S)

    def fdb_change(self, change: FdbChange) -> None:
        """Add, append to, replace or delete an entry."""
        self.call("POST", "/v1/fdb", change)

    def fdb_flush(self, flush: FdbFlush) -> int:
        """Delete entries and return how many."""
        return self.read_one(Flushed, self.call("POST", "/v1/fdb/flush", flush)).count

    def forwarder(self) -> ForwarderInfo:
        """Return the forwarder."""
        return self.read_one(ForwarderInfo, self.call("GET", "/v1/forwarder"))

    def set_forwarder(self, wanted: ForwarderSet | None) -> ForwarderInfo:
        """Set the forwarder, None for the default one, and return it."""
        verb = "PUT" if wanted is not None else "DELETE"
        return self.read_one(ForwarderInfo, self.call(verb, "/v1/forwarder", wanted, FORWARDER_TIMEOUT_S))

    def capture(self, wanted: CaptureRequest) -> AbstractContextManager[Stream]:
        """Capture frames; the stream is pcapng."""
        return self.stream("POST", "/v1/capture", wanted)

    def stop(self) -> None:
        """End the device's process."""
        self.call("POST", "/v1/stop")
