# SPDX-License-Identifier: Apache-2.0
"""Open the store that a URL names."""

import os

from fastpath.control.model.store_url import parse_store_url
from fastpath.control.store.interface import Store, StoreOptions
from fastpath.errors import UsageError


def open_store(url: str, options: StoreOptions = StoreOptions()) -> Store:  # noqa: B008 – it is frozen
    """Return the store at `url`. Nothing is opened before it is first used, so that one that is not there yet is an
    UnavailableError of that use. Raise UsageError for a URL that is none."""
    try:
        where = parse_store_url(url)
    except ValueError as error:
        raise UsageError(f'"{url}" is no store: {error}') from error
    # Neither at the top: a daemon needs one of them, after frames flow again, and its start is in the gap of a restart
    # (the CPU time to load them: SQLite's 11 ms, etcd's with gRPC 85 ms).
    if where.members:
        _quiet_grpc()
        from fastpath.control.store.etcd.store import EtcdStore  # noqa: PLC0415

        return EtcdStore(where.members, options)
    if options != StoreOptions():
        raise UsageError(f'the store "{url}" is a file: certificates and passwords go with etcd:// only')
    from fastpath.control.store.sqlite.store import SqliteStore  # noqa: PLC0415

    return SqliteStore(where.path)


def _quiet_grpc() -> None:
    """Silence gRPC's messages on stderr, which our errors repeat in one line, and its handlers at a fork: what a daemon
    forks becomes another program at once. Call it before gRPC is imported."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
