# SPDX-License-Identifier: Apache-2.0
"""What keeps the gateway's nftables tables: the daemon's keeper, or nobody."""

import logging
from ipaddress import IPv4Address, IPv6Network
from typing import Protocol

from fastpath.control.drivers.gateway import rules
from fastpath.control.kernel import nftables
from fastpath.control.model.problem import Problem, problem_of
from fastpath.errors import RefusedError

log = logging.getLogger("fastpath")


class Tables(Protocol):
    """The methods of kernel/keeper.py's Keeper."""

    def keep(self, table: str, body: str, change: str | None = None) -> None:
        """Make `table` consist of `body`."""

    def release(self, table: str) -> None:
        """Delete a table."""


class Unkept:
    """Tables that are written once, and that nobody keeps."""

    def keep(self, table: str, body: str, change: str | None = None) -> None:
        """Make `table` consist of `body`. Raise RefusedError."""
        nftables.replace(table, body)

    def release(self, table: str) -> None:
        """Delete a table. No error if there is none. Raise RefusedError."""
        nftables.delete(table)


class PortTable:
    """The table with the addresses of each port of the bridge. Containers work without it, less safely, so a failure is
    a problem and no error: kernels may lack nftables for bridges."""

    def __init__(self, tables: Tables, prefix: str) -> None:
        self.problem: Problem | None = None
        self._tables = tables
        self._prefix = prefix
        self._known: dict[str, IPv4Address] = {}

    def set(self, containers: dict[str, IPv4Address], ipv6: IPv6Network | None) -> None:
        """Let the ports of these names have these addresses, and no others."""
        self._known = dict(containers)
        self._write(ipv6, None)

    def add(self, name: str, address: IPv4Address, ipv6: IPv6Network | None) -> None:
        """Let one more port have an address."""
        if self._known.get(name) == address:
            return
        change = rules.port_added(name, address, ipv6) if name not in self._known else None
        self._known[name] = address
        self._write(ipv6, change)

    def address(self, name: str) -> IPv4Address | None:
        """Return the address that a port has."""
        return self._known.get(name)

    def drop(self, name: str, ipv6: IPv6Network | None) -> None:
        """Let a port that is gone have no address."""
        address = self._known.pop(name, None)
        if address is not None:
            self._write(ipv6, rules.port_removed(name, address, ipv6))

    def _write(self, ipv6: IPv6Network | None, change: str | None) -> None:
        try:
            self._tables.keep(rules.PORTS, rules.ports(self._prefix, self._known, ipv6), change)
            self.problem = None
        except RefusedError as error:
            why = f"the source addresses of containers are not checked at the gateway bridge: {error}"
            self.problem = problem_of("host", "gateway", error, why)
