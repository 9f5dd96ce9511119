# SPDX-License-Identifier: Apache-2.0
"""What gRPC's and etcd's errors mean, in one line."""

import re

import grpc
import grpc.aio

from fastpath.control.store.interface import UnavailableError
from fastpath.errors import FastpathError, UsageError

Code = grpc.StatusCode

# Found in the error's own words, first match: what the caller is told.
BY_WORDS: list[tuple[str, type[FastpathError], str]] = [
    (
        "CERTIFICATE_VERIFY_FAILED",
        UsageError,
        "the certificate of etcd at {address} is not one of our CA's, or has run out: {end}",
    ),
    ("is not in peer certificate", UsageError, "the certificate of etcd at {address} does not have that name"),
    ("database space exceeded", UnavailableError, "etcd has no space left: compact it, defragment it, end its alarm"),
    ("authentication failed", UsageError, "etcd refuses the password of {user}"),
    ("user name is empty", UsageError, "etcd wants a user and a password, or a client certificate that names a user"),
]
BY_CODE: dict[grpc.StatusCode, tuple[type[FastpathError], str]] = {
    Code.PERMISSION_DENIED: (UsageError, "etcd does not permit {user} to read and write /fastpath/v1/: grant a role"),
    Code.UNAUTHENTICATED: (UsageError, "etcd does not accept {user}: {details}"),
    Code.INVALID_ARGUMENT: (UsageError, "etcd refuses: {details}"),
    Code.DEADLINE_EXCEEDED: (UnavailableError, "etcd at {address} does not answer"),
}


def explained(error: grpc.aio.AioRpcError, address: str, user: str | None) -> FastpathError:
    """UsageError where etcd, or our own check of its certificate, refuses; UnavailableError for all else."""
    words = str(error.details())
    kind, text = BY_CODE.get(error.code(), (UnavailableError, "etcd at {address}: {details}"))
    for phrase, its_kind, its_text in BY_WORDS:
        if phrase in words:
            kind, text = its_kind, its_text
            break
    return kind(
        text.format(
            address=address,
            user=f'user "{user}"' if user else "us, without a user,",
            details=_short(words),
            end=words.rpartition(": ")[2],
        )
    )


def denied(user: str | None) -> FastpathError:
    """The role of the user is not enough."""
    text = BY_CODE[Code.PERMISSION_DENIED][1]
    return UsageError(text.format(user=f'user "{user}"' if user else "us, without a user,"))


def stale(error: grpc.aio.AioRpcError) -> bool:
    """Whether another token would help: etcd forgets one after a time, and when it starts."""
    return error.code() is Code.UNAUTHENTICATED or "revision of auth store is old" in str(error.details())


def _short(words: str) -> str:
    """gRPC's own words, as few as say it."""
    last = words.rpartition("last error: ")[2]
    return re.sub(
        r"^[A-Z_]+: +|ipv[46]:\S+ |Failed to connect to remote host: |connect: |etcdserver: ", "", last
    ).replace("\n", " ")
