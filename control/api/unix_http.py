# SPDX-License-Identifier: Apache-2.0
"""The client of every control socket: JSON over HTTP on a unix socket.

http.client instead of aiohttp, and pydantic only for typed answers: both take longer to load than most commands run.
"""

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fastpath.errors import ConflictError, FastpathError, RefusedError, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

DEFAULT_TIMEOUT_S = 10.0

M = TypeVar("M", bound="BaseModel")


class AbsentError(UsageError):
    """No process listens on the socket."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))
        self.kept = self.sock  # `sock` is None when an answer is the last one


class Stream:
    """An answer that is read while it arrives."""

    def __init__(self, response: http.client.HTTPResponse, sock: socket.socket) -> None:
        self._response = response
        self._sock = sock
        self.broken = False
        """Whether it ended before it was complete."""

    def header(self, name: str) -> str:
        """Return a header of the answer; "" if it has none of that name."""
        return self._response.getheader(name) or ""

    def __iter__(self) -> Iterator[bytes]:
        """Yield pieces, until either side ends the stream."""
        while piece := self._next():
            yield piece

    def _next(self) -> bytes:
        try:
            return self._response.read1(1 << 16)
        except (http.client.HTTPException, OSError):
            self.broken = True
            return b""

    def end(self) -> None:
        """End the stream after what has arrived. May be called by a signal handler."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)


class UnixClient:
    """Send requests to `path`. `who` names the other side in errors, `absent` is the error if nothing listens."""

    def __init__(self, path: Path, *, who: str, absent: str) -> None:
        self.path = path
        self._who = who
        self._absent = absent

    def call(
        self, method: str, target: str, body: "BaseModel | None" = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> Any:
        """Send a request and return the JSON of its answer. `timeout` limits the seconds without any data. Raise
        FastpathError; an error of the other side keeps its words."""
        with self._explained(timeout), contextlib.closing(_Connection(self.path, timeout)) as connection:
            response = self._ask(connection, method, target, body)
            answer = response.read()
        return self._read(response.status, answer)

    @contextlib.contextmanager
    def stream(self, method: str, target: str, body: "BaseModel") -> Iterator[Stream]:
        """Send a request and yield its answer as a stream, without a time limit. Raise FastpathError as `call` does."""
        with contextlib.closing(_Connection(self.path, DEFAULT_TIMEOUT_S)) as connection:
            with self._explained(DEFAULT_TIMEOUT_S):
                response = self._ask(connection, method, target, body)
                if response.status != http.HTTPStatus.OK:
                    self._read(response.status, response.read())
            connection.kept.settimeout(None)
            yield Stream(response, connection.kept)

    def _ask(
        self, connection: _Connection, method: str, target: str, body: "BaseModel | None"
    ) -> http.client.HTTPResponse:
        try:
            data = body.model_dump_json().encode() if body is not None else None
        except ValueError:  # bytes on the command line that are not UTF-8 (os.fsdecode)
            raise UsageError(f"{self._who} takes UTF-8 only: use other names") from None
        connection.request(method, target, data, {"Content-Type": "application/json"} if data else {})
        return connection.getresponse()

    @contextlib.contextmanager
    def _explained(self, timeout: float) -> Iterator[None]:
        """Raise FastpathError for errors of the connection."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise AbsentError(self._absent) from error
        except PermissionError as error:
            raise RefusedError(f"no permission to open {self.path}: run as root") from error
        except (TimeoutError, BlockingIOError) as error:  # the latter: it does not even accept connections
            raise RefusedError(
                f"{self._who} does not answer within {timeout:g} s: see what its process does"
            ) from error
        except OSError as error:
            raise RefusedError(f"{self._who} did not answer on {self.path}: {error.strerror or error}") from error
        except http.client.IncompleteRead as error:
            raise RefusedError(f"{self._who} did not answer on {self.path}: the answer is incomplete") from error
        except http.client.HTTPException as error:
            raise RefusedError(f"what listens on {self.path} is not {self._who}: it does not speak HTTP") from error

    def _read(self, status: int, answer: bytes) -> Any:
        try:
            value = json.loads(answer)
        except ValueError:
            value = None
            if status == http.HTTPStatus.OK:
                raise RefusedError(f"{self._who} answered with something that is not JSON") from None
        if status == http.HTTPStatus.OK:
            return value
        if not isinstance(value, dict) or not isinstance(value.get("error"), str):
            reason = http.client.responses.get(status, "unknown")
            raise RefusedError(f"{self._who} answered {status} ({reason}): is it of another version?")
        raise _error_of(status)(value["error"])

    def read_one(self, model: type[M], answer: Any) -> M:
        """Return the answer as a model. Raise FastpathError if it is something else."""
        from pydantic import ValidationError  # noqa: PLC0415  # the model has loaded it

        try:
            return model.model_validate(answer)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or model.__name__
            raise RefusedError(
                f"{self._who} answered in a way that is not understood here ({where}: {first['msg'].lower()}): "
                "is it of another version?"
            ) from None

    def read_all(self, model: type[M], answer: Any) -> list[M]:
        """Return the answer as a list of models. Raise FastpathError if it is something else."""
        return [self.read_one(model, each) for each in (answer if isinstance(answer, list) else [answer])]


def _error_of(status: int) -> type[FastpathError]:
    if status in (http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.NOT_FOUND):
        return UsageError
    return ConflictError if status == http.HTTPStatus.CONFLICT else RefusedError
