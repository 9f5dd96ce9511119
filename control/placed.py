# SPDX-License-Identifier: Apache-2.0
"""Interfaces that somebody else places, an endpoint's `manager` (Docker). We make one in the daemon's namespace,
marked, with its MAC address and MTU. The manager moves it into the sandbox, names it, gives it addresses and brings it
up, and brings it back at the end. So it may be in either namespace, under any name: the mark tells which it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fastpath.control import marks, sandbox
from fastpath.control.model import NOWHERE, Endpoint, Sandbox
from fastpath.control.netlink import Link, Links
from fastpath.errors import ConflictError

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where an endpoint's interface is: in its sandbox, or, with None, in the daemon's namespace."""

    within: Sandbox | None
    link: Link

    def inside(self, function: Callable[[], T]) -> T:
        """Call a function there."""
        return function() if self.within is None else sandbox.inside(self.within, function)


def find(host: str, endpoint: Endpoint) -> Place | None:
    """The endpoint's interface, wherever it is."""
    alias = marks.of_endpoint(host, endpoint.id)

    def look() -> Link | None:
        with Links() as links:
            return next((link for link in links.all() if link.alias == alias and link.name != _inner(endpoint)), None)

    # Here, there, and here again: it may be moved between any two looks, either way, but hardly twice.
    places = [None, endpoint.sandbox, None] if _is_somewhere(endpoint) else [None]
    for within in places:
        link = look() if within is None else sandbox.inside(within, look)
        if link is not None:
            return Place(within, link)
    return None


def check_lost(endpoint: Endpoint) -> None:
    """What is not there is made once, when the manager asks for it, and never behind its back. Raises
    ConflictError."""
    if endpoint.state != "joining":
        raise ConflictError(
            f"the interface of endpoint {endpoint.id} is no longer in {endpoint.sandbox.path}: restart the container"
        )


def ensure(place: Place, mtu: int) -> None:
    """What is ours to keep in order."""

    def repair() -> None:
        with Links() as links:
            link = next((link for link in links.all() if link.alias == place.link.alias), None)
            if link is not None:
                links.limit_super_frames(links.ensure(link, mtu=mtu), mtu)

    place.inside(repair)


def delete(host: str, endpoint: Endpoint) -> None:
    """The interface goes, wherever it is. No error where it is gone already."""
    place = find(host, endpoint)

    def remove(link: Link) -> None:
        with Links() as links:
            links.delete(link)

    if place is not None:
        place.inside(lambda: remove(place.link))


def _is_somewhere(endpoint: Endpoint) -> bool:
    return endpoint.sandbox != NOWHERE and sandbox.is_alive(endpoint.sandbox)


def _inner(endpoint: Endpoint) -> str:
    """The veth's other end, which has the same mark."""
    return marks.veth_name(endpoint)
