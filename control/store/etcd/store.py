# SPDX-License-Identifier: Apache-2.0
"""A store in etcd (v3, 3.4 or newer), for many hosts.

It uses gRPC with aetcd's generated stubs, not aetcd's client, which has no TLS, knows one member only, and hides
revisions. calls.py makes calls, watch.py follows changes, channel.py connects.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
from aetcd import rpc

from fastpath.control.store.checks import check_commit, check_key, prefix_end
from fastpath.control.store.etcd.alarms import sentence_of
from fastpath.control.store.etcd.calls import Calls
from fastpath.control.store.etcd.channel import Member
from fastpath.control.store.etcd.watch import Follower, text
from fastpath.control.store.interface import (
    Compare,
    Delete,
    Events,
    Item,
    LeaseGoneError,
    Listing,
    Put,
    StoreOptions,
    UnavailableError,
)
from fastpath.errors import UsageError

PAGE = 2000  # keys of one answer to `list`
RETRY_SECONDS = 0.1  # of a watch, after an attempt that already took some time


class EtcdStore:
    """See Store. `addresses`: HOST:PORT of one or more members."""

    def __init__(self, addresses: Sequence[str], options: StoreOptions):
        self._calls = Calls(addresses, options)
        self._followers: set[Follower] = set()
        self._alarm: str | None = None

    @property
    def problem(self) -> str | None:
        """See Store."""
        return self._calls.problem

    @property
    def warning(self) -> str | None:
        """See Store."""
        self._calls.credentials.look()
        return self._calls.credentials.problem or self._alarm

    @property
    def following(self) -> bool:
        """See Store."""
        return all(follower.connected for follower in self._followers)

    async def get(self, key: str) -> Item | None:
        """See Store."""
        check_key(key)
        answer = await self._calls.call(_range, rpc.RangeRequest(key=key.encode()))
        return _item(answer.kvs[0]) if answer.kvs else None

    async def list(self, prefix: str) -> Listing:
        """See Store."""
        check_key(prefix)
        while True:
            try:
                return await self._pages(prefix)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.OUT_OF_RANGE:  # compacted between two pages
                    raise

    async def commit(self, compares: Sequence[Compare], changes: Sequence[Put | Delete]) -> int | None:
        """See Store."""
        check_commit(compares, changes)
        request = rpc.TxnRequest(compare=map(_compare, compares), success=map(_change, changes))
        try:
            answer = await self._calls.call(lambda member: member.kv.Txn, request, repeat=False)
        except grpc.aio.AioRpcError as error:
            raise LeaseGoneError(f"etcd: {error.details()}") from error
        return int(answer.header.revision) if answer.succeeded else None

    async def watch(self, prefix: str, after: int) -> AsyncGenerator[Events, None]:
        """See Store."""
        check_key(prefix)
        follower = Follower(self._calls, prefix, after)
        self._followers.add(follower)
        try:
            while not self._calls.cluster.closed:
                try:
                    async with aclosing(follower.follow()) as stream:
                        async for events in stream:
                            yield events
                except (UnavailableError, UsageError) as error:
                    if isinstance(error, UsageError) and not follower.answered:
                        raise
                    self._calls.problem = str(error)
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._followers.discard(follower)

    async def grant(self, ttl: int) -> int:
        """See Store."""
        answer = await self._calls.call(lambda member: member.lease.LeaseGrant, rpc.LeaseGrantRequest(TTL=ttl))
        return int(answer.ID)

    async def keep_alive(self, lease: int) -> bool:
        """See Store."""
        request = rpc.LeaseKeepAliveRequest(ID=lease)
        answer = await self._calls.call(_keep_alive, request)
        await self._look_for_alarms()  # every few seconds: leases are renewed, whatever alarm there is
        return bool(answer.TTL > 0)

    async def _look_for_alarms(self) -> None:
        status = await self._calls.ask(lambda member: member.maintenance.Status, rpc.StatusRequest())
        if status is not None:
            self._alarm = sentence_of(status)

    async def revoke(self, lease: int) -> None:
        """See Store."""
        try:
            await self._calls.call(lambda member: member.lease.LeaseRevoke, rpc.LeaseRevokeRequest(ID=lease))
        except grpc.aio.AioRpcError:
            return  # there is none

    async def close(self) -> None:
        """See Store."""
        await self._calls.cluster.close()

    async def _pages(self, prefix: str) -> Listing:
        """Return a listing, read in pages at one revision: a single answer could be too large for etcd or for us."""
        start, end = prefix.encode(), prefix_end(prefix).encode()
        items: list[Item] = []
        revision = 0
        while True:
            request = rpc.RangeRequest(key=start, range_end=end, limit=PAGE, revision=revision)
            answer = await self._calls.call(_range, request)
            revision = revision or int(answer.header.revision)
            items += map(_item, answer.kvs)
            if not answer.more:
                return Listing(revision, tuple(items))
            start = answer.kvs[-1].key + b"\0"


def _range(member: Member) -> Any:
    return member.kv.Range


def _keep_alive(member: Member) -> Any:
    """Return a call with one answer; in etcd, keep-alive is a stream."""

    async def call(request: Any, timeout: float, metadata: Any) -> Any:
        stream = member.lease.LeaseKeepAlive(timeout=timeout, metadata=metadata)
        try:
            await stream.write(request)
            answer = await stream.read()
        finally:
            stream.cancel()
        if answer is grpc.aio.EOF:
            raise UnavailableError(f"etcd at {member.address} ended the call")
        return answer

    return call


def _item(kv: Any) -> Item:
    return Item(text(kv.key), kv.value, kv.mod_revision, kv.lease, kv.create_revision)


def _compare(compare: Compare) -> Any:
    """Return etcd's condition: a missing key, or an empty range, has revision 0 there; keys in a range never do."""
    end = prefix_end(compare.key).encode() if compare.prefix else b""
    return rpc.Compare(
        result=rpc.Compare.EQUAL,
        target=rpc.Compare.MOD,
        key=compare.key.encode(),
        range_end=end,
        mod_revision=compare.revision,
    )


def _change(change: Put | Delete) -> Any:
    if isinstance(change, Put):
        put = rpc.PutRequest(key=change.key.encode(), value=change.value, lease=change.lease)
        return rpc.RequestOp(request_put=put)
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=change.key.encode()))
