# SPDX-License-Identifier: Apache-2.0
"""Interfaces that somebody else places, an endpoint's `manager` (Docker). We make one in the daemon's namespace,
marked, with its MAC address and MTU. The manager moves it into the sandbox, names it, gives it addresses and brings it
up, and brings it back at the end, under the name that it had here. So it may be in either namespace, in the sandbox
under any name: the mark tells which it is. (Here is no need to look at all: there are as many as there are containers.)

Docker names the sandbox before there is one: with inode 0 it is expected at its path. The endpoint is `joining` until
its interface was seen there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from fastpath import Segment, TapPort
from fastpath.control.drivers import naming
from fastpath.control.kernel import netns
from fastpath.control.kernel.netlink import Link, Links
from fastpath.control.model.objects import NOWHERE, Endpoint, Sandbox
from fastpath.errors import ConflictError, UsageError

T = TypeVar("T")
L = TypeVar("L", bound=Links)


@dataclass(frozen=True)
class Place:
    """Where an endpoint's interface is: in its sandbox, or, with None, in the daemon's namespace."""

    within: Sandbox | None
    link: Link

    def inside(self, function: Callable[[], T]) -> T:
        """Call a function there."""
        return function() if self.within is None else netns.inside(self.within, function)

    def adopt(self, segment: Segment) -> TapPort:
        """Open the TAP that an earlier process left."""
        return self.inside(lambda: segment.adopt_tap(self.link.name))


def find(host: str, endpoint: Endpoint) -> Place | None:
    """The endpoint's interface, wherever it is."""
    alias = naming.of_endpoint(host, endpoint.id)

    def look_here() -> Link | None:
        with Links() as links:
            link = links.find(naming.source_name(endpoint))
        return link if link is not None and link.alias == alias else None

    def look_there() -> Link | None:
        with Links() as links:
            return next((link for link in links.all() if link.alias == alias), None)

    # Here, there, and here again: it may be moved between any two looks, either way, but hardly twice.
    there = _sandbox(endpoint)
    places = [None] if there is None else [None, there, None]
    for within in places:
        try:
            link = look_here() if within is None else netns.inside(within, look_there)
        except (UsageError, ConflictError):  # the sandbox has just gone
            continue
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
    """What is ours to keep in order, of the overlay's."""
    repair(place, Links, lambda links, link: links.limit_super_frames(links.ensure(link, mtu=mtu), mtu))


def repair(place: Place, kind: type[L], how: Callable[[L, Link], None]) -> None:
    """Let `how` look at the interface, in its namespace and by its own links, unless it was moved just now."""

    def look() -> None:
        with kind() as links:
            link = links.find(place.link.name)
            if link is not None and link.alias == place.link.alias:
                how(links, link)

    place.inside(look)


def delete(host: str, endpoint: Endpoint) -> None:
    """The interface goes, wherever it is. No error where it is gone already."""
    place = find(host, endpoint)

    def remove(link: Link) -> None:
        with Links() as links:
            links.delete(link)

    if place is not None:
        place.inside(lambda: remove(place.link))


def _sandbox(endpoint: Endpoint) -> Sandbox | None:
    """The endpoint's sandbox, if there is one now."""
    if endpoint.sandbox.inode:
        return endpoint.sandbox if netns.is_alive(endpoint.sandbox) else None
    return expected(endpoint.sandbox.path) if endpoint.sandbox != NOWHERE else None


def expected(path: str) -> Sandbox | None:
    """The sandbox at this path, if there is one by now."""
    try:
        return netns.resolve(path)
    except UsageError:
        return None
