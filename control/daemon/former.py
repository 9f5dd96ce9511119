# SPDX-License-Identifier: Apache-2.0
"""What earlier lives of this installation left on the host, under settings that are others now.

The state directory says which names and tables it used. A guard of another VTEP, and a gateway bridge that is switched
off, are removed at the next start. What has the mark of another host name stays: the name may be a mistake, and the
containers' interfaces cannot be made again. `fastpath status` tells of it, and `fastpath cleanup` removes it.
"""

import contextlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fastpath.control.drivers import cleanup, naming
from fastpath.control.drivers.gateway.bridge import GatewayBridge
from fastpath.control.drivers.gateway.config import BRIDGE
from fastpath.control.drivers.macvlan.driver import Macvlan
from fastpath.control.drivers.overlay.pen import Pen
from fastpath.control.kernel import nftables
from fastpath.control.kernel.nft_query import has_table
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.problem import Problem
from fastpath.control.runtime import durable

log = logging.getLogger("fastpath")


@dataclass(frozen=True)
class Lives:
    """The names that this host had, the present one last; the guard's tables; whether there was a gateway bridge."""

    hosts: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    gateway: bool = False

    def then(self, host: str, guards: Collection[str], *, gateway: bool) -> "Lives":
        """Return them with one more life."""
        hosts = (*(each for each in self.hosts if each != host), host)
        return Lives(hosts, tuple(dict.fromkeys((*self.guards, *guards))), gateway or self.gateway)

    @property
    def problems(self) -> list[Problem]:
        """Return a problem for each former name."""
        return [
            Problem(
                "host",
                name,
                "former-name",
                f"this host was called {name} before, and what that left stays, such as interfaces of containers: "
                f"take the name back, or stop the daemon, and `fastpath cleanup --host {name}`",
            )
            for name in self.hosts[:-1]
        ]


def read(file: Path) -> Lives:
    """Return what is known."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(file.read_text(encoding="utf-8"))
        return Lives(tuple(map(str, found["hosts"])), tuple(map(str, found["guards"])), bool(found["gateway"]))
    return Lives()


def write(file: Path, before: Lives, now: Lives) -> None:
    """Keep `now`, if it is not what the file has. Raise OSError."""
    if now != before:
        durable.write(file, json.dumps(asdict(now)).encode())


def begin(file: Path, host: str, guards: Collection[str], *, gateway: bool) -> Lives:
    """Note a new life, after what it does not use any more was removed. Raise FastpathError, OSError."""
    before = read(file)
    all_lives = before.then(host, guards, gateway=gateway)
    write(file, before, all_lives)
    for sentence in _remove_tables([table for table in all_lives.guards if table not in guards]):
        log.warning("%s", sentence)
    if before.gateway and not gateway:
        for name in all_lives.hosts:
            _remove_gateway(name)
    now = replace(all_lives, guards=tuple(guards), gateway=gateway)
    write(file, all_lives, now)
    return now


def clean_up(file: Path, hosts: tuple[str, ...] | None) -> Iterator[str]:
    """Remove what lives under these names left, and yield what was removed; None: what all lives left, the guard, too.
    The daemon must not run. Raise FastpathError, and change nothing, if it does; OSError."""
    lives = read(file)
    names = hosts if hosts is not None else lives.hosts
    for host in names:
        cleanup.check_unused(host)
    for host in names:
        visits = Visits()
        yield from cleanup.remove_networks(visits, host)
        yield from cleanup.remove_links(host, ())
        with visits:
            if Pen(host, visits).remove():
                yield f"removed the network namespace {naming.pen_name(host)}"
        yield from Macvlan(host, visits).remove_strays((), ())
        if _remove_gateway(host):
            yield f"removed the gateway bridge {BRIDGE} and its rules"
    left = tuple(name for name in lives.hosts if hosts is not None and name not in hosts)
    if not left:
        yield from _remove_tables(lives.guards)
    write(file, lives, Lives(left, lives.guards if left else (), lives.gateway and bool(left)))


def _remove_tables(tables: Iterable[str]) -> Iterator[str]:
    for table in tables:
        if has_table(table):
            nftables.delete(table)
            yield f"removed the nftables table {table}, which guarded a VTEP of an earlier life"


def _remove_gateway(host: str) -> bool:
    gateway = GatewayBridge(host)
    there = gateway.is_ours()
    gateway.remove()
    return there
