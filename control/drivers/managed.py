# SPDX-License-Identifier: Apache-2.0
"""Interfaces that an endpoint's `manager` (Docker) places. We create one in the daemon's namespace, marked, with MAC
address and MTU. The manager moves it into the sandbox, names it, gives it addresses and brings it up; at the end it
moves it back, under its first name. So it may be in either namespace, and have any name in the sandbox, where we find
it by its mark. (In the daemon's namespace we look it up by name: there may be one interface for each container.)

Docker names the sandbox before it exists: inode 0 means that it is expected at its path. The endpoint is `joining`
until we see its interface there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastpath import Segment, TapPort
from fastpath.control.drivers import naming, settings
from fastpath.control.kernel import netns, sysctl
from fastpath.control.kernel.netlink import Link
from fastpath.control.kernel.visit import Home, Visit, Visits
from fastpath.control.model.objects import NOWHERE, Endpoint, Sandbox
from fastpath.errors import ConflictError, UsageError


@dataclass(frozen=True)
class Place:
    """The place of an endpoint's interface: its sandbox, or the daemon's namespace (`within` is None)."""

    within: Sandbox | None
    link: Link

    def visit(self, visits: Visits) -> Home | Visit:
        """Return the visit to that namespace."""
        return visits.home if self.within is None else visits.to(self.within)

    def adopt(self, visits: Visits, segment: Segment) -> TapPort:
        """Open the TAP that an earlier process left."""
        return self.visit(visits).run(lambda: segment.adopt_tap(self.link.name))


def look_for(host: str, endpoint: Endpoint) -> Place | None:
    """Return the place of the endpoint's interface, found in a pass of its own; None if there is none."""
    with Visits() as visits:
        return find(visits, host, endpoint)


def find(visits: Visits, host: str, endpoint: Endpoint) -> Place | None:
    """Return the place of the endpoint's interface; None if there is none."""
    alias = naming.of_endpoint(host, endpoint.id)

    def look_here() -> Place | None:
        link = visits.home.links.find(naming.source_name(endpoint))
        return Place(None, link) if link is not None and link.alias == alias else None

    # Look here, there, and here again: it may move between two looks, in either direction, but hardly twice.
    place = look_here()
    if place is None and (visit := _sandbox(visits, endpoint)) is not None:
        link = next((link for link in visit.links.marked(alias) if link.alias == alias), None)
        place = Place(visit.sandbox, link) if link is not None else look_here()
    return place


def check_lost(endpoint: Endpoint) -> None:
    """Raise ConflictError if the interface existed before: it is created once, when the manager asks for it, and never
    again without the manager's knowledge."""
    if endpoint.state != "joining":
        raise ConflictError(
            f"the interface of endpoint {endpoint.id} is no longer in {endpoint.sandbox.path}: restart the container"
        )


def ensure(visits: Visits, place: Place, mtu: int) -> None:
    """Repair the MTU of an overlay's interface, the limits that depend on it, and the kernel's settings."""

    def limit(visit: Home | Visit, link: Link) -> None:
        visit.links.limit_super_frames(visit.links.ensure(link, mtu=mtu), mtu)
        harden(visit, link)

    repair(visits, place, limit)


def harden(visit: Home | Visit, link: Link) -> None:
    """Let nobody tell the interface routes and addresses, and forget those that it was told since its manager brought
    it up: an interface loses its settings when it changes its namespace. So there is no sense in it before."""
    if isinstance(visit, Home):
        return
    if visit.run(lambda: settings.apply(settings.IN_SANDBOX, link.name, sysctl.ensure)):
        visit.links.forget_routers(link)


def expect(visits: Visits, endpoint: Endpoint) -> None:
    """Do so before the interface comes, in a sandbox that exists already."""
    if (visit := _sandbox(visits, endpoint)) is not None:
        visit.run(lambda: settings.apply(settings.AHEAD, "", sysctl.ensure))


def repair(visits: Visits, place: Place, how: Callable[[Home | Visit, Link], None]) -> None:
    """Call `how` with the interface at its place, unless it has just moved."""
    visit = place.visit(visits)
    link = visit.links.find(place.link.name)
    if link is not None and link.alias == place.link.alias:
        how(visit, link)


def delete(visits: Visits, host: str, endpoint: Endpoint) -> None:
    """Remove the interface from either namespace. No error if it is gone already."""
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
