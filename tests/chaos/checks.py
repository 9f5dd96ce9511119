# SPDX-License-Identifier: Apache-2.0
"""What holds: all the time, after each fault, and at the end. Each check returns sentences; none: all is well."""

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint
from fastpath.errors import FastpathError
from tests.chaos.bed import NETWORK, Bed
from tests.chaos.talk import Silence, Station
from tests.support.hosts.hosts import Namespace, namespaces
from tests.support.servers.site import HostDaemon, links

SILENT_S = 5.0  # how long a container may not hear another, though nothing is between their hosts
RECOVER_S = 10.0  # the same after something was between them
FLOODED = "00:00:00:00:00:00"  # stands for what goes to all
MORE_FDS = 8  # than at the beginning, of a daemon that has no endpoint


def talking(bed: Bed) -> list[str]:
    """Containers whose hosts reach each other talk, and no connection ever breaks."""
    said = [f"{each.to} does not hear {each.frm} by {each.kind} for {each.seconds:.1f} s" for each in silent(bed)]
    said += bed.talk.broken
    bed.talk.broken.clear()
    return said


def silent(bed: Bed, seconds: float = SILENT_S) -> list[Silence]:
    """Pairs of which one has not heard the other for so long, though it should have."""

    def since(kind: str, one: Station, other: Station) -> float | None:
        begin = bed.well_since(kind, one.host, other.host)
        return begin + RECOVER_S if begin else begin

    return [each for each in bed.talk.silences(since) if each.seconds > seconds]


def unique(bed: Bed) -> list[str]:
    """No address, MAC address or VNI is there twice."""
    ends = bed.stored_endpoints()
    taken = [f"{address.ip} of {end.network}" for end in ends for address in (*end.addresses, *end.allowed)]
    taken += [f"{end.mac} of {end.network}" for end in ends]
    taken += [f"the VNI {network.vni}" for network in bed.stored_networks() if network.vni is not None]
    return [f"{what} is there {count} times" for what, count in Counter(taken).items() if count > 1]


def claimed(bed: Bed) -> list[str]:
    """Each endpoint has claims for what it has, and each claim is of an endpoint."""
    ends, said = bed.stored_endpoints(), []
    wanted = {keys.address(end.network, a.ip): end.id for end in ends for a in (*end.addresses, *end.allowed)}
    wanted |= {keys.mac(end.network, end.mac): end.id for end in ends}
    found = bed.stored(f"{keys.CLAIMS}addresses/") | bed.stored(keys.CLAIMS_MACS)
    for key, identity in wanted.items():
        if found.get(key, b"").decode() != identity:
            said.append(f"{key} is claimed by {found.get(key)!r}, and belongs to {identity}")
    return said + [f"{key} is claimed by {found[key]!r}, and nobody has it" for key in found.keys() - wanted.keys()]


def agreed(bed: Bed) -> list[str]:
    """All hosts know what the store has, are well, and hear each other; the store has what was acknowledged."""
    stored = {end.id: end for end in bed.stored_endpoints()}
    said = [f"{each.id} of {each.host} was made, and is gone" for each in _missing(bed, stored)]
    said += [f"{identity} was removed, and is there" for identity in bed.removed & stored.keys()]
    for daemon in bed.daemons:
        status = daemon.answers()
        if status is None:
            said.append(f"{daemon.name} does not answer")
            continue
        said += [f"{daemon.name}: {problem}" for problem in status.problems]
        if status.peers_up != len(bed.daemons) - 1:
            said.append(f"{daemon.name} hears from {status.peers_up} of {len(bed.daemons) - 1} peers")
        with contextlib.suppress(FastpathError):
            known = {end.id: end for end in daemon.client.endpoints()}
            differs = {end.id for end in {*known.values()} ^ {*stored.values()}}
            said += [f"{daemon.name} differs from the store about {identity}" for identity in differs]
            said += _forwarding(daemon, stored)
    return said


def _missing(bed: Bed, stored: dict[str, Endpoint]) -> list[Endpoint]:
    return [end for end in bed.acknowledged.values() if end.id not in stored]


def _forwarding(daemon: HostDaemon, stored: dict[str, Endpoint]) -> Iterator[str]:
    """Compare a host's FDB with the store."""
    vteps = {each.host: str(each.peer.vtep) for each in daemon.client.peers() if each.peer is not None}
    vteps[daemon.name] = "here"
    wanted = {end.mac: vteps.get(end.host) for end in stored.values() if end.network == NETWORK}
    if not any(end.host == daemon.name for end in stored.values()):
        return  # it has no part in the network
    lines = [line for line in daemon.client.fdb(NETWORK) if line.state and line.mac != FLOODED]
    found = {line.mac: line.dst or "here" for line in lines}
    for mac in wanted.keys() | found.keys():
        if wanted.get(mac) != found.get(mac) and mac in wanted:
            yield f"{daemon.name} sends frames for {mac} to {found.get(mac)}, and not to {wanted.get(mac)}"
        elif mac not in wanted and found[mac] != "here":
            yield f"{daemon.name} sends frames for {mac} to {found[mac]}, and nobody has it"


def interfaces(bed: Bed) -> list[str]:
    """Each endpoint has its interface, and no other is left in the sandboxes."""
    said, have = [], {Path(end.sandbox.path).name for end in bed.stored_endpoints()}
    for sandbox in [sandbox for sandboxes in bed.spares for sandbox in sandboxes]:
        found = {name for _, name in sandbox.inside(socket.if_nameindex)} - {"lo"}
        if sandbox.name in have and "eth0" not in found:
            said.append(f"{sandbox.name} has an endpoint and no eth0")
        if sandbox.name not in have and found:
            said.append(f"{sandbox.name} has no endpoint, and there is {', '.join(sorted(found))}")
    return said


@dataclass(frozen=True)
class Traces:
    """What a host has: for a comparison with what it has at the end."""

    links: frozenset[str]
    tables: frozenset[str]
    namespaces: frozenset[str]
    fds: int
    memory: int  # bytes


def traces(daemon: HostDaemon) -> Traces:
    """Look at a host."""
    assert daemon.process is not None
    pid = daemon.process.pid
    status = Path(f"/proc/{pid}/status").read_text()
    rss = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return Traces(
        frozenset(links(daemon.host)),
        frozenset(_tables(daemon.host)),
        frozenset(name for name in namespaces() if name.startswith(f"fastpath-{daemon.name}")),
        len(list(Path(f"/proc/{pid}/fd").iterdir())),
        int(rss.split()[1]) << 10,
    )


def _tables(host: Namespace) -> set[str]:
    return {line.removeprefix("table ") for line in host.run("nft", "list", "tables").stdout.splitlines()}


def left(before: Traces, after: Traces) -> list[str]:
    """What is there that was not."""
    said = [f"the interface {name} is left" for name in sorted(after.links - before.links)]
    said += [f"the table {name} is left" for name in sorted(after.tables - before.tables)]
    said += [f"the namespace {name} is left" for name in sorted(after.namespaces - before.namespaces)]
    if after.fds > before.fds + MORE_FDS:
        said.append(f"{after.fds} descriptors are open, and there were {before.fds}")
    return said


def left_in_store(bed: Bed) -> list[str]:
    """What the store has of endpoints and networks that were removed."""
    found = [key for key in bed.stored(keys.OBJECTS) if not key.startswith(keys.PEERS) and key != keys.LAYOUT]
    found += [key for key in bed.stored(keys.CLAIMS) if key not in (keys.NETWORKS_GUARD, keys.REAPER)]
    return [f"the store still has {key}" for key in found]
