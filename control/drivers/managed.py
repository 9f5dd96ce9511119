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

from fastpath import Segment, TapPort
from fastpath.control.drivers import naming
from fastpath.control.kernel import netns
from fastpath.control.kernel.netlink import Link
from fastpath.control.kernel.visit import Home, Visit, Visits
from fastpath.control.model.objects import NOWHERE, Endpoint, Sandbox
from fastpath.errors import ConflictError, UsageError


@dataclass(frozen=True)
class Place:
    """Where an endpoint's interface is: in its sandbox, or, with None, in the daemon's namespace."""

    within: Sandbox | None
    link: Link

    def visit(self, visits: Visits) -> Home | Visit:
        """Return the visit to that namespace."""
        return visits.home if self.within is None else visits.to(self.within)

    def adopt(self, visits: Visits, segment: Segment) -> TapPort:
        """Open the TAP that an earlier process left."""
        return self.visit(visits).run(lambda: segment.adopt_tap(self.link.name))


def look_for(host: str, endpoint: Endpoint) -> Place | None:
    """Find the endpoint's interface, in a pass of its own."""
    with Visits() as visits:
        return find(visits, host, endpoint)


def find(visits: Visits, host: str, endpoint: Endpoint) -> Place | None:
    """Return where the endpoint's interface is; None if there is none."""
    alias = naming.of_endpoint(host, endpoint.id)

    def look_here() -> Place | None:
        link = visits.home.links.find(naming.source_name(endpoint))
        return Place(None, link) if link is not None and link.alias == alias else None

    # Here, there, and here again: it may be moved between any two looks, either way, but hardly twice.
    place = look_here()
    if place is None and (visit := _sandbox(visits, endpoint)) is not None:
        link = next((link for link in visit.links.all() if link.alias == alias), None)
        place = Place(visit.sandbox, link) if link is not None else look_here()
    return place


def check_lost(endpoint: Endpoint) -> None:
    """Raise ConflictError if the interface was there before: it is made once, when the manager asks for it, and
    never behind the manager's back."""
    if endpoint.state != "joining":
        raise ConflictError(
            f"the interface of endpoint {endpoint.id} is no longer in {endpoint.sandbox.path}: restart the container"
        )


def ensure(visits: Visits, place: Place, mtu: int) -> None:
    """Keep the MTU of an interface of the overlay's, and what follows from it."""

    def limit(visit: Home | Visit, link: Link) -> None:
        visit.links.limit_super_frames(visit.links.ensure(link, mtu=mtu), mtu)

    repair(visits, place, limit)


def repair(visits: Visits, place: Place, how: Callable[[Home | Visit, Link], None]) -> None:
    """Let `how` look at the interface, where it is, unless it was moved just now."""
    visit = place.visit(visits)
    link = visit.links.find(place.link.name)
    if link is not None and link.alias == place.link.alias:
        how(visit, link)


def delete(visits: Visits, host: str, endpoint: Endpoint) -> None:
    """Remove the interface, wherever it is. No error if it is gone already."""
    place = find(visits, host, endpoint)
    if place is not None:
        place.visit(visits).links.delete(place.link)


def _sandbox(visits: Visits, endpoint: Endpoint) -> Visit | None:
    """Return the visit to the endpoint's sandbox, if there is one now."""
    where = endpoint.sandbox if endpoint.sandbox.inode else endpoint.sandbox.path
    try:
        return visits.to(where) if endpoint.sandbox != NOWHERE else None
    except (UsageError, ConflictError):
        return None


def expected(path: str) -> Sandbox | None:
    """Return the sandbox at this path, if there is one by now."""
    try:
        return netns.resolve(path)
    except UsageError:
        return None
