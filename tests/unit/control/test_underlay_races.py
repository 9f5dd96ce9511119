# SPDX-License-Identifier: Apache-2.0
"""Interfaces that go while somebody looks at them."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from fastpath.control.host import underlay_watch
from fastpath.control.kernel.netlink import Link, paths
from fastpath.errors import RefusedError


class Vanished:
    """Links and IPRoute alike: routes by an interface that is no more."""

    def __enter__(self) -> "Vanished":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def all(self) -> list[Link]:
        return []

    def routes(self, family: socket.AddressFamily) -> Iterator[dict[str, Any]]:
        yield {"dst": ip_network("0.0.0.0/0"), "oif": 7, "metric": 0}

    def route(self, verb: str, **more: object) -> list[dict[str, Any]]:
        return [{"oif": 7}]

    def get_addr(self, **more: object) -> list[dict[str, Any]]:
        return []

    def get_links(self, index: int) -> Iterator[dict[str, Any]]:
        raise NetlinkError(19, "No such device")


def test_the_one_of_the_default_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underlay_watch, "Links", Vanished)
    with pytest.raises(RefusedError, match="no default route"):
        underlay_watch.resolve_vtep(None)


def test_the_one_of_the_way_to_a_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "IPRoute", Vanished)
    assert paths.path_mtu(ip_address("192.0.2.1"), (ip_address("192.0.2.2"),)) == paths.ETHERNET_MTU
