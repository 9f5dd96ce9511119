# SPDX-License-Identifier: Apache-2.0
"""Interfaces that vanish while they are read."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from fastpath.addresses import IPAddress
from fastpath.control.host import underlay_watch
from fastpath.control.kernel.netlink import Link, Route, paths
from fastpath.control.model.objects import IPInterface
from fastpath.errors import RefusedError

ROUTE = Route(dst=ip_network("0.0.0.0/0"), oif=7, metric=0, mtu=0, source=None)


class Vanished:
    """Links with routes by an interface that is no more."""

    def __enter__(self) -> "Vanished":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def all(self) -> list[Link]:
        return []

    def routes(self, family: socket.AddressFamily) -> Iterator[Route]:
        yield ROUTE

    def route_to(self, address: IPAddress, source: IPAddress | None = None, *, configured: bool = False) -> Route:
        return ROUTE

    def addresses(self) -> list[tuple[int, IPInterface]]:
        return []

    def by_index(self, index: int) -> Link | None:
        return None


def test_the_one_of_the_default_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underlay_watch, "Links", Vanished)
    with pytest.raises(RefusedError, match="no default route"):
        underlay_watch.resolve_vtep(None)


def test_the_one_of_the_way_to_a_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "Links", Vanished)
    assert paths.path_mtu(ip_address("192.0.2.1"), (ip_address("192.0.2.2"),)) == paths.ETHERNET_MTU
