# SPDX-License-Identifier: Apache-2.0
"""Explain gRPC's and etcd's errors in one line."""

import re

import grpc
import grpc.aio

from fastpath.control.store.interface import DeniedError, UnavailableError
from fastpath.errors import FastpathError, UsageError

Code = grpc.StatusCode

# Patterns for the text of an error, first match wins, with the message for the caller. {0} is the group's match.
BY_WORDS: list[tuple[str, type[FastpathError], str]] = [
    (
        r"CERTIFICATE_VERIFY_FAILED:? ?([^:]*)",
        UsageError,
        "the certificate of etcd at {address} does not fit our CA: {0}",
    ),
    (r"Hostname Verification|not in peer cert", UsageError, "the certificate of etcd at {address} has other names"),
    (r"Unwrap failed", UnavailableError, "etcd at {address} does not accept our client certificate, or wants one"),
    (r"Handshake read failed", UnavailableError, "etcd at {address} does not speak TLS, or ended it at once"),
    (
        r"failed to connect.*Socket closed",
        UnavailableError,
        "etcd at {address} closes the connection: does it want TLS?",
    ),
    (r"Domain name not found", UnavailableError, "the host name in {address} is unknown: see /etc/hosts and DNS"),
    (
        r"database space exceeded",
        UnavailableError,
        "etcd has no space left: compact it, defragment it, end its alarm (etcdctl compact, defrag, alarm disarm)",
    ),
    (r"authentication failed", UsageError, "etcd refuses the password of {user}"),
    (r"user name is empty", UsageError, "etcd wants a user and a password, or a client certificate that names a user"),
]
BY_CODE: dict[grpc.StatusCode, tuple[type[FastpathError], str]] = {
    Code.PERMISSION_DENIED: (DeniedError, "etcd does not permit {user} to do this in /fastpath/v1/: grant a role"),
    Code.UNAUTHENTICATED: (UsageError, "etcd does not accept {user}: {details}"),
    Code.INVALID_ARGUMENT: (UsageError, "etcd refuses: {details}"),
    Code.DEADLINE_EXCEEDED: (UnavailableError, "etcd at {address} does not answer"),
}
# No connection, or no address for the member's name, which older versions of gRPC call a failed "DNS resolution".
UNSENT = "failed to connect to all addresses|errors resolving|DNS resolution failed"


def explained(error: grpc.aio.AioRpcError, address: str, user: str | None) -> FastpathError:
    """Return a UsageError if etcd, or our check of its certificate, refused; an UnavailableError for all else."""
    words = str(error.details())
    kind, text = BY_CODE.get(error.code(), (UnavailableError, "etcd at {address}: {details}"))
    groups: tuple[str, ...] = ()
    for pattern, its_kind, its_text in BY_WORDS:
        if found := re.search(pattern, words, re.DOTALL):
            kind, text, groups = its_kind, its_text, found.groups()
            break
    return kind(text.format(*groups, address=address, user=_who(user), details=_short(words)))


def denied(user: str | None) -> FastpathError:
    """Return the error for a user whose role lacks a permission."""
    return DeniedError(BY_CODE[Code.PERMISSION_DENIED][1].format(user=_who(user)))


def stale(error: grpc.aio.AioRpcError) -> bool:
    """Return whether a new token would help: etcd forgets tokens after some time, and when it restarts."""
    return error.code() is Code.UNAUTHENTICATED or "revision of auth store is old" in str(error.details())


def unsent(error: grpc.aio.AioRpcError) -> bool:
    """Return whether the request was never sent, because there was no connection."""
    return error.code() is Code.UNAVAILABLE and re.search(UNSENT, str(error.details())) is not None


def _who(user: str | None) -> str:
    return f'user "{user}"' if user else "us, without a user,"


def _short(words: str) -> str:
    """Return gRPC's message without its prefixes."""
    last = words.rpartition("last error: ")[2]
    return re.sub(
        r"^[A-Z_]+: +|ipv[46]:\S+ |Failed to connect to remote host: |connect: |etcdserver: ", "", last
    ).replace("\n", " ")
