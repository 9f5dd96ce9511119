# SPDX-License-Identifier: Apache-2.0
"""Remove what a killed process left behind, in any namespace. Only objects with this host's mark are touched."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from fastpath.control.drivers import naming
from fastpath.control.kernel import netns
from fastpath.control.kernel.netlink import Link
from fastpath.control.kernel.visit import Visit, Visits
from fastpath.control.model.objects import Endpoint
from fastpath.errors import ConflictError, FastpathError, UsageError

DIRECTORIES = (netns.NAMED, Path("/run/docker/netns"))
HALF_MADE_S = 60  # nobody is still working on a file this old without a namespace


def namespaces(more: Iterable[str] = ()) -> dict[int, str]:
    """Return every network namespace that we can find, by inode, each with one path to it."""
    found: dict[int, str] = {}
    for path in (*more, *_paths()):
        with contextlib.suppress(FastpathError), netns.opened(path) as fd:
            found.setdefault(os.fstat(fd).st_ino, path)
    return found


def _marked(more: Iterable[str] = ()) -> dict[int, str]:
    """Return those of the namespaces that may have interfaces with our mark, of any host."""
    found = namespaces(more)
    marked = set(netns.that_mention(naming.MARK, found.values()))
    return {inode: path for inode, path in found.items() if path in marked}


def _paths() -> Iterator[str]:
    for directory in DIRECTORIES:
        with contextlib.suppress(OSError):
            yield from (str(path) for path in directory.iterdir())
    seen = set()
    for process in Path("/proc").glob("[0-9]*"):
        path = f"{process}/ns/net"
        with contextlib.suppress(OSError):
            if (link := os.readlink(path)) not in seen:
                seen.add(link)
                yield path


def remove_links(host: str, wanted: Iterable[Endpoint]) -> list[str]:
    """Remove interfaces of endpoints that are unwanted, or wanted in another sandbox, except TAPs that a process has
    open."""
    wanted = list(wanted)
    sandboxes = {endpoint.id: endpoint.sandbox for endpoint in wanted}
    movable = {endpoint.id for endpoint in wanted if endpoint.manager}  # its manager may be about to move it
    removed = []
    for inode, path in _marked(place.path for place in sandboxes.values()).items():

        def is_stray(link: Link, is_network: bool, here: int = inode) -> bool:
            identity = naming.endpoint_id(host, link.alias)
            if identity is None or link.queues:  # a TAP that is open: ours, or that of a daemon of the same name
                return False
            place = sandboxes.get(identity)
            return place is None or (place.inode != here and not is_network and identity not in movable)

        with contextlib.suppress(FastpathError):  # a namespace that has just gone, or with too many interfaces
            removed += [f"removed {name} in {path}: nothing needs it" for name in _remove(path, host, is_stray)]
    return removed


def remove_veths(host: str, namespace: str, wanted: Iterable[Endpoint]) -> list[str]:
    """Remove veths without an endpoint from a network's namespace, also those that are not marked yet."""
    names = {naming.veth_name(endpoint) for endpoint in wanted}
    path = str(netns.NAMED / namespace)

    def is_stray(link: Link, is_network: bool) -> bool:
        return is_network and link.kind == "veth" and link.name not in names

    if not netns.exists(path):
        return []
    return [f"removed {name} in {namespace}: nothing needs it" for name in _remove(path, host, is_stray)]


def _remove(path: str, host: str, is_stray: Callable[[Link, bool], bool]) -> list[str]:
    with Visit(path) as visit:
        lo = visit.links.find("lo")
        is_network = lo is not None and naming.is_ours(host, lo.alias)
        # In a network's namespace, which is ours, not all are marked.
        there = visit.links.all() if is_network else visit.links.marked(naming.MARK)
        strays = [link for link in there if is_stray(link, is_network)]
        for link in strays:
            visit.links.delete(link)
    return [link.name for link in strays]


def network_namespaces(host: str) -> dict[str, str]:
    """Return the namespaces of this host's networks: from the name in `ip netns` to the network's name."""
    found = {}
    for path in sorted(netns.NAMED.glob(f"fastpath-{host}-*")):
        with contextlib.suppress(FastpathError), Visit(str(path)) as visit:
            name = naming.network_name(host, visit.links.get("lo").alias)
            if name is not None:
                found[path.name] = name
    return found


def remove_namespace(visits: Visits, host: str, name: str, network_name: str) -> bool:
    """Remove a network's namespace if it exists and is this host's; return whether it was."""
    path = str(netns.NAMED / name)
    try:
        links = visits.to(path).links
    except UsageError:
        netns.remove_namespace(name)  # a file may be left of a name that was half given or half removed
        return False
    if links.get("lo").alias != naming.of_network(host, network_name):
        return False
    for link in links.all():  # the kernel would remove the veths' other ends later, not now
        if link.kind in ("veth", "tun"):
            links.delete(link)
    visits.leave(path)
    netns.remove_namespace(name)
    return True


def remove_networks(visits: Visits, host: str) -> Iterator[str]:
    """Remove the namespaces of all networks of a host, except those that a process uses; yield what was done."""
    for namespace, name in network_namespaces(host).items():
        with visits:
            if not is_in_use(namespace) and remove_namespace(visits, host, namespace, name):
                yield f"removed the network namespace {namespace}"


def is_in_use(namespace: str) -> bool:
    """Return whether a process has the TAP of a network's namespace open."""
    with Visit(str(netns.NAMED / namespace)) as visit:
        tap = visit.links.find(naming.VXLAN)
    return tap is not None and tap.queues > 0


def check_unused(host: str) -> None:
    """Raise ConflictError if a process has a TAP of this host open: its daemon runs, whatever its state directory."""
    open_taps = [f"{naming.VXLAN} in {name}" for name in network_namespaces(host) if is_in_use(name)]
    for path in _marked().values():
        with contextlib.suppress(FastpathError), Visit(path) as visit:  # one that has just gone
            there = [link for link in visit.links.marked(naming.MARK) if link.queues]
            open_taps += [f"{link.name} in {path}" for link in there if naming.endpoint_id(host, link.alias)]
    if open_taps:
        raise ConflictError(f"a process has {open_taps[0]} open, of the host {host}: stop it first")


def remove_half_made_names(host: str) -> list[str]:
    """Remove files that should have become names of namespaces."""
    removed = []
    for path in sorted(netns.NAMED.glob(f"fastpath-{host}-*")):
        with contextlib.suppress(OSError):
            if not netns.exists(str(path)) and time.time() - path.stat().st_mtime > HALF_MADE_S:
                path.unlink()
                removed.append(f"removed {path}: it names no namespace")
    return removed
