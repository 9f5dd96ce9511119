# SPDX-License-Identifier: Apache-2.0
"""Read and write the URL of a store: sqlite:///PATH, or etcd://HOST[:PORT][,HOST[:PORT]…]."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

FORMS = "sqlite:///PATH or etcd://HOST:PORT[,HOST:PORT…]"
ETCD_PORT = 2379
MEMORY = "/:memory:"  # the path of a store in memory


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """`members` of an etcd cluster, each HOST:PORT with IPv6 in brackets; without members, an SQLite file at `path`;
    without a path, too, a store in memory."""

    members: tuple[str, ...] = ()
    path: Path | None = None

    def __str__(self) -> str:
        """Return the full URL, defaults included."""
        if self.members:
            return "etcd://" + ",".join(self.members)
        return "sqlite://" + (str(self.path).replace("%", "%25") if self.path is not None else MEMORY)


def parse_store_url(url: str) -> StoreUrl:
    """Return the parts of a URL. Raise ValueError; its text says what to write instead."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite":
        return StoreUrl(path=_path(rest))
    if separator and scheme == "etcd":
        return StoreUrl(members=_members(rest))
    raise ValueError(FORMS)


def member_parts(member: str) -> tuple[str, int]:
    """Return the host, without brackets, and the port of one of `members`."""
    host, _, port = member.rpartition(":")
    return host.strip("[]"), int(port)


def same_store(one: str, other: str) -> bool:
    """Return whether two URLs name one store: order of members, case and an omitted default port do not matter."""
    try:
        first, second = parse_store_url(one), parse_store_url(other)
    except ValueError:
        return one == other
    return first.path == second.path and _lower(first.members) == _lower(second.members)


def _lower(members: tuple[str, ...]) -> set[str]:
    return {member.lower() for member in members}


def _members(rest: str) -> tuple[str, ...]:
    if "@" in rest:
        raise ValueError("etcd://HOST:PORT has no user and password: they are settings of their own")
    if "/" in rest:
        raise ValueError("etcd://HOST:PORT ends after the port, without a path")
    return tuple(_member(text) for text in rest.split(","))


def _member(text: str) -> str:
    if text.count(":") > 1 and not text.startswith("["):
        raise ValueError("an IPv6 address stands in brackets: etcd://[2001:db8::1]:2379")
    found = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", text)
    if not found:
        raise ValueError(FORMS)
    host, port = found[1], found[2]
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+", host):
        raise ValueError(f'"{host}" is not a host: write {FORMS}' if host else f"a host is missing: write {FORMS}")
    if port is None:
        port = str(ETCD_PORT)
    if not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        raise ValueError(f'"{port}" is not a port, 1 to 65535: write etcd://{host}:{ETCD_PORT}')
    return f"{_canonical(host)}:{int(port)}"


def _canonical(host: str) -> str:
    if not host.startswith("["):
        return host
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    except ValueError:
        raise ValueError(f"{host} is not an IPv6 address: write etcd://[2001:db8::1]:{ETCD_PORT}") from None


def _path(rest: str) -> Path | None:
    path = unquote(rest)
    if not re.fullmatch(r"/+[^/\0][^\0]*[^/\0]|/+[^/\0]", path):
        raise ValueError("sqlite:///PATH names a file, with three slashes: sqlite:///var/lib/fastpath/store.db")
    return None if path == MEMORY else Path("/" + path.lstrip("/"))
