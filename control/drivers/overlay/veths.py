# SPDX-License-Identifier: Apache-2.0
"""The veths of endpoints: the inner end is in a namespace of ours, the other one is the sandbox's interface. A veth is
created with both ends in place, so there is no third place to look for one."""

from collections.abc import Callable

from fastpath.control.drivers import managed, naming
from fastpath.control.drivers.overlay.layout import check_name, ensure_in_sandbox
from fastpath.control.kernel.netlink import Link, Links
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.objects import Endpoint
from fastpath.errors import ConflictError

Connect = Callable[[Link], object]
"""Connects an inner end with its network. It is called before the end is up for the first time, and at each repair."""


class Veths:
    """The veths of a layout. The visits to the namespace of their inner ends are the caller's."""

    def __init__(self, host: str, visits: Visits) -> None:
        self._host = host
        self._visits = visits

    def ensure(self, inside: Visit, endpoint: Endpoint, mtu: int, connect: Connect) -> None:
        """Create or repair an endpoint's veth. Undo everything on failure."""
        if endpoint.manager:
            self._ensure_managed(inside.links, endpoint, mtu, connect)
        else:
            self._ensure_own(inside.links, endpoint, mtu, connect)

    def remove(self, inside: Visit, endpoint: Endpoint) -> None:
        """Remove both ends of the veth, if there is one."""
        _delete(inside.links, naming.veth_name(endpoint))

    def _ensure_own(self, links: Links, endpoint: Endpoint, mtu: int, connect: Connect) -> None:
        """Use the veth that is there, or create it with its other end in the sandbox."""
        sandbox, alias = self._visits.to(endpoint.sandbox), self._alias(endpoint)
        inner = links.find(naming.veth_name(endpoint))
        outer = _other_end(sandbox.links, endpoint, alias, inner)
        if outer is None:
            inner = _add_veth(links, endpoint, mtu, endpoint.ifname, sandbox.fd)
        try:
            self._ensure_inner_end(links, endpoint, mtu, connect)
            link = _other_end(sandbox.links, endpoint, alias, inner)
            if link is None:
                raise ConflictError(f"the interface {endpoint.ifname} in {endpoint.sandbox.path} was deleted meanwhile")
            ensure_in_sandbox(sandbox, link, endpoint, mtu, alias)
        except BaseException:
            if outer is None:
                _delete(links, naming.veth_name(endpoint))
            raise

    def _ensure_managed(self, links: Links, endpoint: Endpoint, mtu: int, connect: Connect) -> None:
        """Do the same for an endpoint whose manager places the veth's other end."""
        home = self._visits.home
        place = managed.find(self._visits, self._host, endpoint)
        if place is None:
            managed.check_lost(endpoint)
            managed.expect(self._visits, endpoint)
            name = naming.source_name(endpoint)
            if (half := home.links.find(name)) is not None:  # created, but not marked
                home.links.delete(half)
            _add_veth(links, endpoint, mtu, name, home.fd)
            place = managed.Place(None, home.links.ensure(home.links.get(name), alias=self._alias(endpoint)))
        self._ensure_inner_end(links, endpoint, mtu, connect)
        managed.ensure(self._visits, place, mtu)

    def _ensure_inner_end(self, links: Links, endpoint: Endpoint, mtu: int, connect: Connect) -> None:
        """Mark the end in our namespace, and connect it."""
        link = links.get(naming.veth_name(endpoint))
        link = links.ensure(link, alias=self._alias(endpoint), mtu=mtu)
        connect(link)
        links.limit_super_frames(link, mtu)
        links.ensure(link, up=True)

    def _alias(self, endpoint: Endpoint) -> str:
        return naming.of_endpoint(self._host, endpoint.id)


def _delete(links: Links, name: str) -> None:
    link = links.find(name)
    if link is not None:
        links.delete(link)


def _other_end(links: Links, endpoint: Endpoint, alias: str, inner: Link | None) -> Link | None:
    """Return the sandbox's end of this veth, if there is one. Remove an end that lost its other end with the network's
    namespace, since the kernel does so late. Raise ConflictError if the name belongs to something else."""
    ours = links.by_index(inner.peer) if inner is not None else None
    if ours is not None and (inner is None or ours.peer != inner.index or ours.alias not in ("", alias)):
        ours = None
    for link in [link for link in links.marked(alias) if link.alias == alias and link != ours]:
        links.delete(link)
    check_name(links, endpoint, ours)
    return ours


def _add_veth(links: Links, endpoint: Endpoint, mtu: int, other: str, target: int) -> Link:
    """Create both ends at once, the `other` one in `target`. An old end without its other end is replaced."""
    name = naming.veth_name(endpoint)
    _delete(links, name)
    return links.add_veth(name, mtu, other, endpoint.mac, target)
