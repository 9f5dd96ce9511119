# SPDX-License-Identifier: Apache-2.0
"""The commands' side of a device's control socket."""

import asyncio
from typing import Any

import aiohttp
from pydantic import BaseModel

from fastpath.control.device.control_socket import is_running, socket_path
from fastpath.control.device.messages import DeviceInfo, FdbChange, FdbFlush, FdbLine, Flushed
from fastpath.errors import RefusedError, UsageError

TIMEOUT_S = 10.0


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
        """Whether the device's process still runs."""
        return is_running(self._name)

    def _call(self, method: str, path: str, body: BaseModel | None = None) -> Any:
        try:
            return asyncio.run(self._request(method, path, body))
        except FileNotFoundError:
            raise UsageError(f"no fastpath device named {self._name} runs here: see `fastpath vxlan show`") from None
        except PermissionError:
            raise RefusedError(f"no permission to open {self._path}: run as root") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, PermissionError):
                raise RefusedError(f"no permission to open {self._path}: run as root") from None
            raise UsageError(f"no fastpath device named {self._name} runs here: see `fastpath vxlan show`") from None
        except TimeoutError:
            raise RefusedError(f"the device {self._name} does not answer: see what its process does") from None
        except aiohttp.ClientError as error:
            raise RefusedError(f"the device {self._name} did not answer: {error}") from None

    async def _request(self, method: str, path: str, body: BaseModel | None) -> Any:
        data = body.model_dump_json() if body is not None else None
        connector = aiohttp.UnixConnector(str(self._path))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
            session.request(method, f"http://device{path}", data=data) as response,
        ):
            answer = await response.json()
            if response.status != 200:
                raise UsageError(answer["error"])
            return answer
