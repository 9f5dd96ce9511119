# SPDX-License-Identifier: Apache-2.0
"""From the URL of a store to the store."""

import ipaddress
import os
import re
from pathlib import Path
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict

from fastpath.control.store.interface import Store
from fastpath.errors import UsageError

HINT = "write sqlite:///PATH, or etcd://HOST:PORT[,HOST:PORT…]"
ETCD_PORT = 2379


class StoreOptions(BaseModel):
    """How to prove who we are, and how the store has to: etcd's only. `ca`, `cert` and `key` are PEM files; any of
    them means TLS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str | None = None
    password: str | None = None
    password_file: Path | None = None


def open_store(url: str, options: StoreOptions = StoreOptions()) -> Store:  # noqa: B008 – it is frozen
    """The store at `url`. Nothing is opened before it is first used, so that one that is not there yet is an
    UnavailableError of that use. UsageError for a URL that is none."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        # Imported when it is known which one: a daemon with a file needs no gRPC.
        from fastpath.control.store.sqlite import SqliteStore  # noqa: PLC0415

        return SqliteStore(_path(url, rest, options))
    if separator and scheme == "etcd":
        _quiet_grpc()
        from fastpath.control.store.etcd import EtcdStore  # noqa: PLC0415

        return EtcdStore([_address(url, text) for text in rest.split(",")], options)
    raise UsageError(f'"{url}" is no store: {HINT}')


def _quiet_grpc() -> None:
    """Before gRPC is imported. It tells its own troubles on stderr otherwise; ours say the same in one line. And no
    handler of its shall run at a fork: what a daemon forks becomes another program at once."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def _address(url: str, text: str) -> str:
    """HOST:PORT, with the host of IPv6 in brackets."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?", text)
    if not found:
        raise UsageError(f'"{url}" is no store: {HINT}; IPv6 in brackets: etcd://[2001:db8::1]:2379')
    v6, host, port = found[1], found[2], int(found[3] or ETCD_PORT)
    try:
        name = f"[{ipaddress.IPv6Address(v6)}]" if v6 else host
    except ValueError:
        raise UsageError(f'"{url}": {v6} is no IPv6 address') from None
    if not 1 <= port <= 65535:
        raise UsageError(f'"{url}": {port} is no port')
    return f"{name}:{port}"


def _path(url: str, rest: str, options: StoreOptions) -> Path | None:
    if options != StoreOptions():
        raise UsageError(f'the store "{url}" is a file: certificates and passwords go with etcd:// only')
    path = unquote(rest)
    if not re.fullmatch(r"/+[^/\0][^\0]*[^/\0]|/+[^/\0]", path):
        raise UsageError(f'"{url}" names no file: write sqlite:///var/lib/fastpath/store.db, with three slashes')
    return None if path == "/:memory:" else Path("/" + path.lstrip("/"))
