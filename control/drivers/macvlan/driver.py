# SPDX-License-Identifier: Apache-2.0
"""The macvlan driver: sandboxes in the LAN of an interface of this host, the parent (docs/operators/macvlan.md).

An endpoint's interface is a macvlan. It is created in the daemon's namespace under a name that nobody else uses
(`fpm-…`), marked, moved into the sandbox and renamed in one step, and completed there. So an interface in a sandbox is
always marked, and one that a killed process left in the daemon's namespace is recognised by its name.

The parent has to accept frames for the endpoints' MAC addresses. Some network cards filter these incorrectly in
hardware, so the parent is promiscuous. We set that on each endpoint's interface, not on the parent, where the flag has
no owner: the kernel passes it on, counts, and takes it back with the interface, whichever process dies first.
"""

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastpath.control.drivers import cleanup, managed, naming, settings
from fastpath.control.drivers.base import HostDriver
from fastpath.control.drivers.macvlan.parent import Parents, mtu_for
from fastpath.control.drivers.macvlan.shim import Shims
from fastpath.control.drivers.overlay.layout import check_name
from fastpath.control.kernel import sysctl
from fastpath.control.kernel.netlink import Link, StackedLinks, fingerprint
from fastpath.control.kernel.visit import OWN, Home, Visit, Visits
from fastpath.control.model.macvlan import options_of
from fastpath.control.model.objects import Endpoint, Network
from fastpath.control.model.problem import Problem, problem_of
from fastpath.errors import ConflictError, FastpathError

HALF_MADE = "fpm-"  # followed by the first digits of the endpoint's id

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """An endpoint's desired state, with its parent and the sandbox's fingerprint when it was reached. While both are
    the same there is nothing to do."""

    network: Network
    endpoint: Endpoint
    parent: Link
    fingerprint: bytes


class Macvlan(HostDriver):
    """The networks of driver "macvlan" on this host; all marks contain the host's name."""

    def __init__(self, host: str, visits: Visits | None = None) -> None:
        self._host = host
        self._visits = visits if visits is not None else Visits()
        self._parents = Parents(host, self._visits)
        self._shims = Shims(host, self._visits)
        self._trouble: dict[str, Problem] = {}  # by network
        self._seen: dict[str, _Seen] = {}  # by endpoint
        self._members: dict[str, set[str]] = {}  # endpoints with an interface, by network

    def ensure_network(self, network: Network, mtu: int) -> None:
        """Create the parent, if it can be created, and the shim, if it is wanted. `problems` reports failures, since a
        missing parent must not keep endpoints from being removed."""
        try:
            parent = self._parents.ensure(network)
            if options_of(network).shim:
                self._shims.ensure(network, parent, mtu_for(network, parent))
        except FastpathError as error:
            log.debug("the network %s is not complete here", network.name, exc_info=error)
            self._trouble[network.name] = problem_of(network.name, "network", error)
        else:
            self._trouble.pop(network.name, None)

    def check(self, network: Network) -> None:
        """Create an interface and remove it, to check whether this host could have endpoints of the network. Raise
        FastpathError with the kernel's reason."""
        here = network.name in self._members
        try:
            parent = self._parents.ensure(network)
            with self._visits.at_home() as links:
                name = naming.short_name(HALF_MADE, network.name)
                links.delete(
                    links.add_macvlan(name, parent, options_of(network).mode, mac=None, mtu=mtu_for(network, parent))
                )
        finally:
            if not here:
                self._parents.remove(network)

    def own_mac(self, network: Network) -> str | None:
        """Return the parent's MAC address in the mode passthru, else None. Raise FastpathError."""
        if options_of(network).mode != "passthru":
            return None
        parent = self._parents.ensure(network)
        self._check_alone(network, parent)
        if network.name not in self._members:  # the first endpoint, if any, creates it again
            self._parents.remove(network)
        return parent.mac

    def _check_alone(self, network: Network, parent: Link, but: str = "") -> None:
        if others := self._members.get(network.name, set()) - {but}:
            raise ConflictError(f"passthru hands {parent.name} to one endpoint, and {min(others)} has it on this host")

    def problems(self, network: Network) -> list[Problem]:
        """Return the problem of the parent (missing, down, no carrier) or of the shim, if there is one."""
        try:
            trouble = self._parents.problem(network) or self._trouble.get(network.name)
            if trouble is None and options_of(network).shim:
                trouble = self._shims.problem(network, self._parents.ensure(network))
        except FastpathError as error:
            trouble = problem_of(network.name, "network", error)
        return [trouble] if trouble is not None else []

    def remove_network(self, network: Network) -> None:
        """Remove the shim, and the parent if we created it."""
        self._shims.remove(network)
        self._parents.remove(network)
        self._trouble.pop(network.name, None)
        self._members.pop(network.name, None)

    def ensure_endpoint(self, network: Network, endpoint: Endpoint, mtu: int) -> None:
        """Create the interface in its sandbox. An existing one stays while its parent is missing. Raise ConflictError,
        and change nothing, if the sandbox is gone or has another interface of that name."""
        if endpoint.sandbox.inode == os.stat(OWN).st_ino:
            raise ConflictError(f"{endpoint.sandbox.path} is this host's own network namespace, not a container's")
        if endpoint.manager:
            with self._visits:
                self._ensure_placed(network, endpoint)
        else:
            with self._visits:
                self._ensure_own(network, endpoint)

    def _ensure_own(self, network: Network, endpoint: Endpoint) -> None:
        """Ensure an interface that we place, unless everything looks as it did when the interface was in order."""
        visit = self._visits.to(endpoint.sandbox)
        seen = self._seen.pop(endpoint.id, None)
        try:
            parent = self._parents.ensure(network)
        except FastpathError:
            there = self._find(visit.links, endpoint)
            if there is None:
                raise
            self._parents.seen(network, there.lower)
            self._complete(visit, network, endpoint, there.mtu)
            return
        mtu = mtu_for(network, parent)
        unstated = endpoint.model_copy(update={"state": "ready"})
        now = _Seen(network, unstated, parent, fingerprint(visit.netlink, details=True))
        if seen != now:
            self._ensure_endpoint(visit, network, endpoint, parent, mtu)
        elif options_of(network).shim:  # which is not in the sandbox
            self._shims.ensure_route(network, endpoint, parent)
        if seen == now or fingerprint(visit.netlink, details=True) == now.fingerprint:
            self._seen[endpoint.id] = now

    def _ensure_endpoint(self, visit: Visit, network: Network, endpoint: Endpoint, parent: Link, mtu: int) -> None:
        """Use the interface in the sandbox if it is on this parent; else create it there."""
        there = self._find(visit.links, endpoint)
        if there is not None and there.lower != parent.index:  # another interface of that name replaced its parent
            self._delete(endpoint)
            there = None
        with self._becoming_member(network, endpoint, parent, new=there is None):
            if there is None:
                self._make(visit, network, endpoint, parent, mtu)
            self._complete(visit, network, endpoint, mtu)

    @contextlib.contextmanager
    def _becoming_member(self, network: Network, endpoint: Endpoint, parent: Link, *, new: bool) -> Iterator[None]:
        """Complete the interface in the block, then add the host's route to it. Remove a new interface if anything
        fails."""
        try:
            yield
            if options_of(network).shim:
                self._shims.ensure_route(network, endpoint, parent)
        except BaseException:
            if new:
                self._delete(endpoint)
            raise
        self._members.setdefault(network.name, set()).add(endpoint.id)

    def _ensure_placed(self, network: Network, endpoint: Endpoint) -> None:
        """Do the same for an endpoint whose manager places the interface (managed.py): create it in the daemon's
        namespace, and maintain it in either namespace."""
        place = managed.find(self._visits, self._host, endpoint)
        try:
            parent = self._parents.ensure(network)
        except FastpathError:
            if place is None:
                raise
            self._parents.seen(network, place.link.lower)
            return
        if place is None:
            managed.check_lost(endpoint)
            managed.expect(self._visits, endpoint)
        elif place.link.lower != parent.index:
            raise ConflictError(
                f"the interface of endpoint {endpoint.id} is not on {parent.name}: restart the container"
            )
        mtu = mtu_for(network, parent)
        with self._becoming_member(network, endpoint, parent, new=place is None):
            self._keep(network, place or self._make_placed(network, endpoint, parent, mtu), mtu)

    def _find(self, links: StackedLinks, endpoint: Endpoint) -> Link | None:
        """Return the endpoint's interface in its sandbox, found by its mark under any name. Raise ConflictError if the
        name belongs to something else."""
        alias = naming.of_endpoint(self._host, endpoint.id)
        ours = next((link for link in links.marked(alias) if link.alias == alias and link.kind == "macvlan"), None)
        check_name(links, endpoint, ours)
        return ours

    def _make(self, visit: Visit, network: Network, endpoint: Endpoint, parent: Link, mtu: int) -> None:
        """Create the marked interface in the sandbox under its final name."""
        with self._visits.at_home() as links:
            link = self._add(links, network, endpoint, parent, mtu)
            links.move(link, visit.fd, endpoint.sandbox.path, endpoint.ifname)

    def _make_placed(self, network: Network, endpoint: Endpoint, parent: Link, mtu: int) -> managed.Place:
        """Create the marked interface in the daemon's namespace, under the name that its manager gets."""
        with self._visits.at_home() as links:
            link = self._add(links, network, endpoint, parent, mtu)
            try:
                return managed.Place(None, links.ensure(link, name=naming.source_name(endpoint)))
            except BaseException:
                links.delete(link)
                raise

    def _add(self, links: StackedLinks, network: Network, endpoint: Endpoint, parent: Link, mtu: int) -> Link:
        """Create the marked interface in the daemon's namespace, under a name that nobody else uses."""
        mode = options_of(network).mode
        if mode == "passthru":
            self._check_alone(network, parent, endpoint.id)
        name = _half_made(endpoint)
        left = links.find(name)
        if left is not None:
            links.delete(left)
        link = links.add_macvlan(name, parent, mode, mac=endpoint.mac, mtu=mtu)
        links.change(link, alias=naming.of_endpoint(self._host, endpoint.id))
        return links.get(name)

    def _complete(self, visit: Visit, network: Network, endpoint: Endpoint, mtu: int) -> None:
        """Add everything that the interface still lacks in the sandbox."""
        links = visit.links
        link = self._find(links, endpoint)
        if link is None:
            raise ConflictError(f"the interface {endpoint.ifname} in {endpoint.sandbox.path} was deleted meanwhile")
        mode = options_of(network).mode
        alias = naming.of_endpoint(self._host, endpoint.id)
        link = links.ensure(link, name=endpoint.ifname, alias=alias, mac=endpoint.mac, mtu=mtu)
        _let_in(links, link, mode)
        visit.run(lambda: _set_sysctls(endpoint))
        links.ensure_addresses(link, endpoint.addresses)
        links.ensure(link, up=True)
        for subnet in network.subnets if not network.internal else ():
            links.ensure_default_route(subnet.gateway, link)

    def _keep(self, network: Network, place: managed.Place, mtu: int) -> None:
        """Repair our settings of an interface that somebody else placed."""

        def repair(visit: Home | Visit, link: Link) -> None:
            _let_in(visit.links, visit.links.ensure(link, mtu=mtu), options_of(network).mode)
            managed.harden(visit, link)

        managed.repair(self._visits, place, repair)

    def remove_endpoint(self, network: Network, endpoint: Endpoint) -> None:
        """Remove the interface from either namespace, and the host's route to it. No error if it, or its sandbox, is
        gone already."""
        self._seen.pop(endpoint.id, None)
        with self._visits:
            self._delete(endpoint)
            self._shims.remove_route(network, endpoint)
        self._members.get(network.name, set()).discard(endpoint.id)

    def _delete(self, endpoint: Endpoint) -> None:
        alias = naming.of_endpoint(self._host, endpoint.id)

        def delete(links: StackedLinks) -> None:
            half_made = links.find(_half_made(endpoint))
            if half_made is not None and half_made.kind == "macvlan" and not half_made.alias:
                links.delete(half_made)
            for link in links.marked(alias):
                if link.kind == "macvlan" and link.alias == alias:
                    links.delete(link)

        delete(self._visits.home.links)  # where it is created
        if endpoint.manager:
            managed.delete(self._visits, self._host, endpoint)
        elif self._visits.is_alive(endpoint.sandbox):
            delete(self._visits.to(endpoint.sandbox).links)

    def remove_strays(self, wanted: Iterable[Endpoint], networks: Iterable[Network]) -> list[str]:
        """Remove what is ours and nothing needs: what a killed process left incomplete. Return what was done, in
        sentences."""
        wanted, networks = list(wanted), list(networks)
        said = []
        with self._visits.at_home() as links:
            for link in links.all():
                if link.kind == "macvlan" and link.name.startswith(HALF_MADE) and not link.alias:
                    links.delete(link)
                    said.append(f"removed {link.name}: it was left incomplete")
        said += cleanup.remove_links(self._host, wanted)
        said += self._shims.remove_strays(wanted, networks)
        return said + self._parents.remove_strays(networks)


def _let_in(links: StackedLinks, link: Link, mode: str) -> None:
    """Set the mode, and admit frames for MAC addresses other than the parent's."""
    if link.mode != mode:
        links.set_mode(link, mode)
    if not link.promiscuous and mode != "passthru":  # which does it by itself
        links.set_promiscuous(link)


def _half_made(endpoint: Endpoint) -> str:
    return f"{HALF_MADE}{endpoint.id[:11]}"


def _set_sysctls(endpoint: Endpoint) -> None:
    """Keep the LAN's routers from giving the sandbox addresses and routes that the store does not know, and let
    switches learn its new place at once."""
    name = endpoint.ifname
    wants_ipv6 = any(address.version == 6 for address in endpoint.addresses)
    settings.apply(settings.IN_SANDBOX, name, sysctl.ensure)
    sysctl.ensure(f"ipv6/conf/{name}/disable_ipv6", 0 if wants_ipv6 else 1)
    sysctl.ensure(f"ipv4/conf/{name}/arp_notify", 1)
