# SPDX-License-Identifier: Apache-2.0
"""Calls to etcd with one answer: deadlines, other members, passwords, and what errors mean."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio
from aetcd import rpc

from fastpath.control.store.etcd.channel import Cluster, Member
from fastpath.control.store.etcd.credentials import Credentials
from fastpath.control.store.etcd.errors import denied, explained, stale, unsent
from fastpath.control.store.interface import DeniedError, StoreOptions, UnavailableError
from fastpath.errors import FastpathError, UsageError

CALL_SECONDS = 5.0  # for an answer from any member
ATTEMPT_SECONDS = 3.0  # for an answer from a member that we are connected to
CONNECT_SECONDS = 0.5  # for a connection; after that, a call shows why there is none, and we try again
PAUSE_SECONDS = 0.05
REPLACED = "the connection to etcd was replaced, with renewed certificates"

Metadata = tuple[tuple[str, str], ...]
Code = grpc.StatusCode


class Calls:
    """Calls to any member that answers, with the token that etcd gives for the password."""

    def __init__(self, addresses: Sequence[str], options: StoreOptions):
        self.credentials = Credentials(options)
        self.cluster = Cluster(addresses, self.credentials)
        self.problem: str | None = None
        self._options = options
        self._token: str | None = None
        self._lock = asyncio.Lock()
        if options.password is not None and options.password_file is not None:
            raise UsageError("give etcd's password or a file that has it, not both")
        if bool(options.user) != (options.password is not None or options.password_file is not None):
            raise UsageError("a user of etcd needs both `user` and `password` (or `password_file`)")
        self._password()

    async def call(self, method: Callable[[Member], Any], request: Any, repeat: bool = True) -> Any:
        """Return the answer. `repeat`: doing the call twice does no harm.

        Raise UnavailableError, UsageError, and AioRpcError for errors that depend on the request."""
        try:
            answer = await self._call(method, request, repeat)
        except (UnavailableError, UsageError) as error:
            if repeat or not isinstance(error, DeniedError):  # etcd answers; we may not write this, but other things
                self.problem = str(error)
            raise
        except asyncio.CancelledError:
            if not self.ended():
                raise
            self.check_open()
            raise UnavailableError(REPLACED) from None
        self.problem = None
        return answer

    async def ask(self, method: Callable[[Member], Any], request: Any) -> Any:
        """Return the answer of a member that we are connected to, or None: nothing depends on it."""
        try:
            member = await self.cluster.connected(time.monotonic() + CONNECT_SECONDS)
            metadata = await self.metadata(member, time.monotonic() + ATTEMPT_SECONDS)
            return await method(member)(request, timeout=ATTEMPT_SECONDS, metadata=metadata)
        except (FastpathError, grpc.aio.AioRpcError):
            return None

    def ended(self) -> bool:
        """Return whether a CancelledError means that the connection was closed, not that this task was cancelled."""
        task = asyncio.current_task()
        return task is not None and not task.cancelling()

    def check_open(self) -> None:
        """Raise UnavailableError if the store was closed."""
        if self.cluster.closed:
            raise UnavailableError("the store is closed")

    async def metadata(self, member: Member, end: float) -> Metadata:
        """Return the metadata of a call, which identify us."""
        if self._options.user is None:
            return ()
        async with self._lock:
            if self._token is None:
                request = rpc.AuthenticateRequest(name=self._options.user, password=self._password())
                try:
                    answer = await member.auth.Authenticate(request, timeout=_left(end))
                    self._token = answer.token
                except grpc.aio.AioRpcError as error:
                    if "authentication is not enabled" not in str(error.details()):
                        raise
                    return ()  # as etcd's own client does: it may be enabled later
            return (("token", str(self._token)),)

    def forget(self, metadata: Metadata) -> None:
        """Drop a token that etcd no longer accepts: etcd forgets tokens after some time, and when it restarts."""
        if ("token", self._token) in metadata:
            self._token = None

    def explained(self, error: grpc.aio.AioRpcError, member: Member) -> FastpathError:
        """Return the error for the caller."""
        found = explained(error, member.address, self._options.user)
        expired = self.credentials.expired
        if expired is None or error.code() is not Code.UNAVAILABLE:
            return found
        return type(found)(f"{found}; {expired}")  # which is why, if the member asks for it

    def denied(self) -> FastpathError:
        """Return the error for a user whose role lacks a permission."""
        return denied(self._options.user)

    async def _call(self, method: Callable[[Member], Any], request: Any, repeat: bool) -> Any:
        end, renewed = time.monotonic() + CALL_SECONDS, False
        while True:
            member = await self.cluster.connected(min(end, time.monotonic() + CONNECT_SECONDS))
            metadata: Metadata = ()
            try:
                metadata = await self.metadata(member, end)
                return await method(member)(request, timeout=_left(end), metadata=metadata)
            except grpc.aio.AioRpcError as error:
                if stale(error) and self._options.user and not renewed:  # refused, so it was not done
                    self.forget(metadata)
                    renewed = True
                    continue
                if error.code() in (Code.NOT_FOUND, Code.OUT_OF_RANGE):
                    raise
                meaning = self.explained(error, member)
                if isinstance(meaning, UnavailableError):
                    self.cluster.avoid(member)
                    if (repeat or unsent(error)) and time.monotonic() < end - PAUSE_SECONDS:
                        await asyncio.sleep(PAUSE_SECONDS)
                        continue
                raise meaning from error

    def _password(self) -> str:
        """Return the password. Its file is read at every call, since it may have changed."""
        if self._options.password_file is None:
            return self._options.password or ""
        try:
            return self._options.password_file.read_text().rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or "not text"
            raise UsageError(f"the password of etcd in {self._options.password_file}: {reason}") from error


def _left(end: float) -> float:
    return min(ATTEMPT_SECONDS, max(0.2, end - time.monotonic()))
