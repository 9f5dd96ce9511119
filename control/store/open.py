# SPDX-License-Identifier: Apache-2.0
"""Open the store that a URL names."""

import os

from fastpath.control.model.store_url import parse_store_url
from fastpath.control.store.interface import Store, StoreOptions
from fastpath.errors import UsageError


def open_store(url: str, options: StoreOptions = StoreOptions()) -> Store:  # noqa: B008 – it is frozen
    """Return the store at `url`. It is opened when it is first used: a store that does not exist yet raises
    UnavailableError then. Raise UsageError for an invalid URL."""
    try:
        where = parse_store_url(url)
    except ValueError as error:
        raise UsageError(f'"{url}" is not a store: {error}') from error
    # Neither is imported at the top: a daemon needs one of them, and only after frames flow again. Loading takes CPU
    # time in the gap of a restart: 11 ms for SQLite, 85 ms for etcd with gRPC.
    if where.members:
        _quiet_grpc()
        from fastpath.control.store.etcd.store import EtcdStore  # noqa: PLC0415

        return EtcdStore(where.members, options)
    if options != StoreOptions():
        raise UsageError(f'the store "{url}" is a file: certificates and passwords go with etcd:// only')
    from fastpath.control.store.sqlite.store import SqliteStore  # noqa: PLC0415

    return SqliteStore(where.path)


def _quiet_grpc() -> None:
    """Silence gRPC's messages on stderr, since our errors say the same in one line, and switch its fork handlers off,
    since a process that the daemon forks becomes another program at once. Call it before gRPC is imported."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
