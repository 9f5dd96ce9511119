# SPDX-License-Identifier: Apache-2.0
"""Connections to the members of an etcd cluster: one gRPC channel each, and the choice of one that is connected.

Each member has its own channel, since gRPC has no single target for IPv4, IPv6 and names together, and checks a
certificate against the member's own name only that way. A channel keeps its credentials: when the files were renewed,
one that is not connected, or failed, is replaced.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
from aetcd import rpc

from fastpath.control.store.etcd.credentials import Credentials
from fastpath.control.store.interface import UnavailableError

LAST_SECONDS = 5.0  # that calls have to end on a channel which is replaced
LOOK_SECONDS = 0.03  # between two looks at connections that are being made; the first ones follow each other faster

OPTIONS = [
    ("grpc.enable_http_proxy", 0),  # etcd is never behind the proxy that the environment names for the web
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Back within a second of etcd's return, after an outage of any length.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 2000),  # in truth the time that one attempt has
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # A member that vanishes silently is noticed within ten seconds. etcd takes pings more often than every 5 s
    # (--grpc-keepalive-min-time), or without a call, for an attack.
    ("grpc.keepalive_time_ms", 7000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 3000),  # what newer gRPC goes by
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5000),
]


class Member:
    """A member of the cluster, and the calls that it offers."""

    def __init__(self, address: str, credentials: Any):
        self.address = address
        self.credentials = credentials
        self.failed = False
        target = f"dns:///{address}"  # addresses are understood as such
        if credentials is None:
            self.channel: Any = grpc.aio.insecure_channel(target, options=OPTIONS)
        else:
            self.channel = grpc.aio.secure_channel(target, credentials, options=OPTIONS)
        self.kv = rpc.KVStub(self.channel)
        self.lease = rpc.LeaseStub(self.channel)
        self.watch = rpc.WatchStub(self.channel)
        self.auth = rpc.AuthStub(self.channel)
        self.maintenance = rpc.MaintenanceStub(self.channel)

    def connected(self) -> bool:
        """Return whether the member is connected; if not, begin to connect."""
        return bool(self.channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY)


class Cluster:
    """The members, the preferred one first. The event loop that uses the channels creates them at the first use."""

    def __init__(self, addresses: Sequence[str], credentials: Credentials):
        self._addresses = addresses
        self._credentials = credentials
        self._members: list[Member] = []
        self._closing: set[asyncio.Task[None]] = set()
        self.closed = False

    async def connected(self, end: float) -> Member:
        """Return a connected member; at `end` (time.monotonic()), return any: a call to it shows what is wrong."""
        pause = 0.001
        while True:
            if self.closed:
                raise UnavailableError("the store is closed")
            self._credentials.look()
            if not self._members:
                self._members = [Member(address, self._credentials.current) for address in self._addresses]
            self._members = [self._renewed(member) for member in self._members]
            # All begin to connect, so that a dead one costs no time.
            for member in [member for member in self._members if member.connected()]:
                return member
            if time.monotonic() >= end:
                return self._members[0]
            await asyncio.sleep(pause)
            pause = min(2 * pause, LOOK_SECONDS)

    def avoid(self, member: Member) -> None:
        """Prefer all other members from now on."""
        member.failed = True
        self._members.sort(key=lambda other: other is member)

    async def close(self) -> None:
        """Close all connections. Calls that wait for an answer get a CancelledError."""
        self.closed = True
        while self._members:
            await self._members.pop().channel.close()
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _renewed(self, member: Member) -> Member:
        """Return the member, with the present credentials if it has no good connection."""
        if member.credentials is self._credentials.current or (member.connected() and not member.failed):
            return member
        task = asyncio.ensure_future(member.channel.close(LAST_SECONDS))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return Member(member.address, self._credentials.current)
