# SPDX-License-Identifier: Apache-2.0
"""The parents of macvlan networks, in the daemon's namespace: found, or created on demand and removed with their
network.

We never change a parent that somebody else created. A VLAN interface is created under a name that nobody else uses
(`fpv-…`), marked, and renamed last: one with the final name and without our mark is never ours.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from fastpath.control.drivers import naming
from fastpath.control.kernel.netlink import Link, StackedLinks
from fastpath.control.kernel.visit import Visits
from fastpath.control.model.macvlan import MacvlanOptions, options_of
from fastpath.control.model.objects import Network
from fastpath.control.model.problem import Problem
from fastpath.errors import ConflictError, RefusedError, UsageError

log = logging.getLogger(__name__)

HALF_MADE, DUMMY = "fpv-", "fpdm-"  # followed by naming.short_name's digits
DUMMY_MTU = 1500
SYSFS = Path("/sys/class/net")


class MissingParentError(RefusedError):
    """The interface below the network does not exist; `code` is that of the network's problem."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


class Parents:
    """The parents of this host's networks."""

    def __init__(self, host: str, visits: Visits) -> None:
        self._host = host
        self._visits = visits
        self._known: dict[str, tuple[Network, int]] = {}  # with the last known index of its parent

    def ensure(self, network: Network) -> Link:
        """Find or create the network's parent. Raise FastpathError if there is none, or it is unsuitable."""
        options = options_of(network)
        with self._visits.at_home() as links:
            link = self._find(links, network, options)
            if link is None:
                link = self._make(links, network, options)
            elif naming.parent_network(self._host, link.alias) is not None or options.parent is None:
                link = self._repair(links, network, options, link)
            _check(link)
            self._check_free(links, network, link)
        self._known[network.name] = (network, link.index)
        return link

    def _check_free(self, links: StackedLinks, network: Network, link: Link) -> None:
        """Raise ConflictError if another network has the parent, perhaps under another name, since an interface may
        have two (`ip link property`)."""
        for other, index in self._known.values():
            if index == link.index and other.name != network.name:
                theirs = self._find(links, other, options_of(other))
                if theirs is not None and theirs.index == link.index:
                    raise ConflictError(f"{link.name} is the parent of the network {other.name} already, on this host")

    def _find(self, links: StackedLinks, network: Network, options: MacvlanOptions) -> Link | None:
        """Return the parent of that name, or alternative name; one that we created is recognised by its mark, too."""
        found = links.find(_name(network, options))
        if found is not None:
            return found
        alias = naming.of_parent(self._host, network.name)
        return next((link for link in links.all() if link.alias == alias), None)

    def _make(self, links: StackedLinks, network: Network, options: MacvlanOptions) -> Link:
        name = _name(network, options)
        if options.parent is None:
            return self._repair(links, network, options, links.add_dummy(name))
        base, vid = options.vlan or ("", 0)
        below = links.find(base) if base else None
        if below is None:
            missing = self._missing(links, network, base or name)
            raise MissingParentError(missing.text, missing.code)
        temporary = naming.short_name(HALF_MADE, network.name)
        left = links.find(temporary)
        if left is not None:
            links.delete(left)
        _check(below)
        made = links.add_vlan(temporary, below, vid)
        try:
            links.change(made, alias=naming.of_parent(self._host, network.name))
            links.change(made, name=name)
            made = links.get(name)
        except BaseException:
            links.delete(made)
            raise
        log.info("created the interface %s: VLAN %d of %s, for the network %s", name, vid, below.name, network.name)
        return self._repair(links, network, options, made)

    def _repair(self, links: StackedLinks, network: Network, options: MacvlanOptions, link: Link) -> Link:
        """Repair a parent of ours: name, mark and MTU; bring it up, unless the interface below it is down."""
        below = links.by_index(link.lower) if link.kind == "vlan" else None
        mtu = below.mtu if below is not None else network.mtu or DUMMY_MTU
        alias = naming.of_parent(self._host, network.name)
        link = links.ensure(link, name=_name(network, options), alias=alias, mtu=mtu)
        return links.ensure(link, up=True) if below is None or below.up else link

    def _missing(self, links: StackedLinks, network: Network, name: str) -> Problem:
        seen = self._known.get(network.name)
        renamed = links.by_index(seen[1]) if seen is not None else None
        if renamed is not None:
            return _problem(
                network,
                f"parent-renamed {name}",
                f"the parent {name} of the network {network.name} is called {renamed.name} now: rename it, "
                f"or `ip link property add dev {renamed.name} altname {name}`",
            )
        there = [link.name for link in links.all() if link.ethernet and not link.alias.startswith("fastpath:")]
        return _problem(
            network,
            f"parent-missing {name}",
            f"this host has no interface {name}, the parent of the network {network.name}; "
            f"it has {', '.join(sorted(there)) or 'none at all'}",
        )

    def seen(self, network: Network, index: int) -> None:
        """Note that an interface of the network uses this parent."""
        self._known.setdefault(network.name, (network, index))

    def problem(self, network: Network) -> Problem | None:
        """Return the problem of an existing parent, or None."""
        options = options_of(network)
        with self._visits.at_home() as links:
            link = self._find(links, network, options)
            if link is None:
                return self._missing(links, network, _name(network, options))
            below = links.by_index(link.lower) if link.kind == "vlan" else None
        for each in (below, link):
            if each is not None and not each.up:
                why = f"the parent {each.name} of the network {network.name} is down: `ip link set {each.name} up`"
                return _problem(network, f"parent-down {each.name}", why)
        if not link.carrier:
            why = f"the parent {link.name} of the network {network.name} has no carrier: is its cable plugged in?"
            return _problem(network, "parent-no-carrier", why)
        if network.mtu is not None and network.mtu > link.mtu:
            why = f"the parent {link.name} has an MTU of {link.mtu}, the network {network.name} wants {network.mtu}"
            return _problem(network, "parent-mtu", why)
        return None

    def remove(self, network: Network) -> None:
        """Remove the network's parent if we created it."""
        self._known.pop(network.name, None)
        alias = naming.of_parent(self._host, network.name)
        half_made = tuple(naming.short_name(prefix, network.name) for prefix in (HALF_MADE, DUMMY))
        with self._visits.at_home() as links:
            for link in links.all():
                if link.alias == alias or _is_half_made(link, *half_made):
                    links.delete(link)
                    log.info("removed the interface %s: the network %s is gone here", link.name, network.name)

    def remove_strays(self, networks: Iterable[Network]) -> list[str]:
        """Remove the parents that we created and none of these networks has; return what was done."""
        wanted = {network.name for network in networks if network.driver == "macvlan"}
        said = []
        with self._visits.at_home() as links:
            for link in links.all():
                of = naming.parent_network(self._host, link.alias)
                if (of is not None and of not in wanted) or _is_half_made(link, HALF_MADE, DUMMY):
                    links.delete(link)
                    said.append(f"removed the interface {link.name}: no macvlan network needs it")
        return said


def _problem(network: Network, code: str, text: str) -> Problem:
    return Problem(network.name, "network", code, text)


def _name(network: Network, options: MacvlanOptions) -> str:
    return options.parent if options.parent is not None else naming.short_name(DUMMY, network.name)


def _is_half_made(link: Link, *beginnings: str) -> bool:
    return not link.alias and link.kind in ("vlan", "dummy") and link.name.startswith(beginnings)


def _check(link: Link) -> None:
    """Raise FastpathError if the interface cannot be a parent."""
    if not link.ethernet:
        raise UsageError(f"{link.name} cannot be the parent of a macvlan network: it is not an Ethernet interface")
    if link.kind in ("macvlan", "macvtap"):
        raise UsageError(f"{link.name} is a {link.kind} itself: give the interface that it stands on as the parent")
    if (SYSFS / link.name / "phy80211").exists():
        raise UsageError(
            f"{link.name} is wireless: access points take frames of one MAC address only, so it can't be the parent "
            "of a macvlan network; use an overlay network, or a wired interface"
        )


def mtu_for(network: Network, parent: Link) -> int:
    """Return the MTU of the network's interfaces. Raise UsageError if the parent's is smaller."""
    if network.mtu is not None and network.mtu > parent.mtu:
        raise UsageError(
            f"the network {network.name} wants an MTU of {network.mtu}, but its parent {parent.name} has {parent.mtu}"
        )
    return network.mtu if network.mtu is not None else parent.mtu
