# SPDX-License-Identifier: Apache-2.0
"""A watch of etcd that continues where it was when the connection broke."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio
from aetcd import rpc

from fastpath.control.store.checks import prefix_end
from fastpath.control.store.etcd.calls import ATTEMPT_SECONDS, CONNECT_SECONDS, REPLACED, Calls, Metadata
from fastpath.control.store.etcd.channel import Member
from fastpath.control.store.etcd.errors import stale
from fastpath.control.store.interface import CompactedError, Event, Events, UnavailableError

FORGOTTEN = "etcd no longer knows what happened meanwhile"


class Follower:
    """The position of a watch: everything up to revision `seen` was handed on. `answered`: etcd accepted it once;
    `connected`: and it did so on the present connection."""

    def __init__(self, calls: Calls, prefix: str, after: int):
        self.answered = self.connected = False
        self._calls = calls
        self._prefix, self._end = prefix.encode(), prefix_end(prefix).encode()
        self._seen = after
        self._cluster, self._term = 0, 0

    async def follow(self) -> AsyncGenerator[Events, None]:
        """Yield changes until the connection breaks; then raise UnavailableError. Other errors: see Store.watch."""
        await self._check_data()
        end = time.monotonic() + ATTEMPT_SECONDS
        member = await self._calls.cluster.connected(time.monotonic() + CONNECT_SECONDS)
        stream: Any = None
        metadata: Metadata = ()
        try:
            metadata = await self._calls.metadata(member, end)
            # "hasleader": a member that lost the others ends the stream instead of staying silent.
            stream = member.watch.Watch(metadata=(*metadata, ("hasleader", "true")))
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await stream.write(self._request())
                answer = await stream.read()
            async for events in self._read(stream, answer):
                yield events
        except PermissionError as error:
            # etcd 3.4 says the same of a token that it forgot. `_check_data` had a good one a moment ago, so it is
            # our right to watch that is missing, unless that happened in between: the next turn will tell.
            self._calls.forget(metadata)
            raise self._calls.denied() from error
        except TimeoutError as error:
            self._calls.cluster.avoid(member)
            raise UnavailableError(f"etcd at {member.address} does not answer") from error
        except grpc.aio.AioRpcError as error:
            raise self._broken(error, member, metadata) from error
        except asyncio.CancelledError:
            if not self._calls.ended():
                raise
            if not self._calls.cluster.closed:
                raise UnavailableError(REPLACED) from None
        finally:
            self.connected = False
            if stream is not None:
                stream.cancel()

    async def _check_data(self) -> None:
        """Ask the whole cluster, not one member that may be behind, whether it still has what we saw. A single
        member would wait silently for a revision beyond its own."""
        answer = await self._calls.call(lambda member: member.kv.Range, rpc.RangeRequest(key=self._prefix))
        header = answer.header
        replaced = self._cluster not in (0, header.cluster_id) or header.raft_term < self._term
        if replaced or header.revision < self._seen:
            raise CompactedError("the data of etcd was replaced")
        self._cluster, self._term = header.cluster_id, header.raft_term

    def _request(self) -> Any:
        return rpc.WatchRequest(
            create_request=rpc.WatchCreateRequest(
                key=self._prefix,
                range_end=self._end,
                start_revision=self._seen + 1,
                progress_notify=True,
                fragment=True,
            )
        )

    async def _read(self, stream: Any, answer: Any) -> AsyncGenerator[Events, None]:
        events: list[Event] = []
        while answer is not grpc.aio.EOF:
            if answer.compact_revision:
                raise CompactedError(FORGOTTEN)
            if answer.canceled:
                _explain(answer.cancel_reason)
            self.answered = self.connected = True
            self._calls.problem = None
            events += [_event(event) for event in answer.events]
            if answer.fragment:  # the rest follows
                pass
            elif events:
                # The answer's own revision may be ahead of the last event that it has.
                self._seen = events[-1].revision
                yield Events(self._seen, tuple(events))
                events = []
            elif not answer.created and answer.header.revision > self._seen:
                self._seen = answer.header.revision  # progress: there was nothing for us up to here
                yield Events(self._seen, ())
            answer = await stream.read()
        raise UnavailableError("etcd ended the watch")

    def _broken(self, error: grpc.aio.AioRpcError, member: Member, metadata: Metadata) -> Exception:
        if error.code() is grpc.StatusCode.OUT_OF_RANGE:
            return CompactedError(FORGOTTEN)
        self._calls.cluster.avoid(member)
        if stale(error):
            self._calls.forget(metadata)
            return UnavailableError("etcd wants the password again")
        return self._calls.explained(error, member)


def _explain(reason: str) -> None:
    if "permission denied" in reason or "auth" in reason:
        raise PermissionError(reason)
    if "compacted" in reason:
        raise CompactedError(FORGOTTEN)
    raise UnavailableError(f"etcd ended the watch: {reason or 'without a reason'}")


def text(key: bytes) -> str:
    """Return a key as text. One that is not UTF-8 gets another name, so that it does not stop its readers."""
    return key.decode(errors="backslashreplace")


def _event(event: Any) -> Event:
    deleted = event.type == event.DELETE
    return Event(
        text(event.kv.key), None if deleted else event.kv.value, event.kv.mod_revision, event.kv.create_revision
    )
