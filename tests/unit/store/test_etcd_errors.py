# SPDX-License-Identifier: Apache-2.0
"""gRPC's errors without an etcd; the tests need none."""

import asyncio
import socket

import grpc
import grpc.aio
import pytest

from fastpath.control.store.etcd.errors import explained, unsent


def refused(target: str) -> grpc.aio.AioRpcError:
    """What a call to nobody raises."""

    async def call() -> grpc.aio.AioRpcError:
        async with grpc.aio.insecure_channel(target) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/etcdserverpb.KV/Txn")(b"", timeout=60)
            return caught.value

    return asyncio.run(call())


def test_what_never_left_may_be_asked_of_another_member() -> None:
    with socket.socket() as taken:  # a port where nobody listens
        taken.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
        error = refused(nobody)
    assert unsent(error)
    assert str(explained(error, nobody, None)) == f"etcd at {nobody}: Connection refused"


def test_a_name_that_nobody_has_is_no_connection_either() -> None:
    error = refused("no-such-host.invalid:2379")
    assert unsent(error), error.details()


def test_what_may_have_arrived_is_not_asked_again() -> None:
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="Socket closed"
    )
    assert not unsent(error)
