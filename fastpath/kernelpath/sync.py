# SPDX-License-Identifier: Apache-2.0
"""Make the kernel path what it should be, from whatever an earlier process left.

The order matters, since frames come all the time: first nobody is sent to what changes, then it changes, then frames go
there again. In between the engine gets them, so that none reaches a wrong container.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastpath.addresses import IPAddress
from fastpath.kernelpath.path import Destination, KernelPath


@dataclass(frozen=True)
class Wanted:
    """All that the maps should contain. Interfaces are ifindexes in the pen, MAC addresses as `format_mac` has them.

    `ports`: (VNI, TAP, whether it is on). `tunnels`: the VNI of each vxlan device. `senders`: the addresses of each
    (port or vxlan device, MAC address), None for any. `destinations`: by (VNI, MAC address).
    """

    ports: Mapping[int, tuple[int, int, bool]] = field(default_factory=dict)
    tunnels: Mapping[int, int] = field(default_factory=dict)
    senders: Mapping[tuple[int, str], frozenset[IPAddress] | None] = field(default_factory=dict)
    destinations: Mapping[tuple[int, str], Destination] = field(default_factory=dict)


def sync(path: KernelPath, wanted: Wanted) -> int:
    """Change what differs; return how many entries did. Raise RefusedError, for example when a map is full: what was
    not reached then is the engine's."""
    differing = _withdraw(path, wanted)
    ports, tunnels, senders = path.ports, path.tunnels, path.senders
    for tunnel, vni in wanted.tunnels.items():
        if tunnels.get(tunnel) != vni:
            path.set_tunnel(tunnel, vni)
            differing += 1
    for index, (vni, tap, on) in wanted.ports.items():
        if ports.get(index) != (vni, tap, on):
            path.set_port(index, vni=vni, tap=tap, on=on)
            differing += 1
    for (scope, mac), addresses in wanted.senders.items():
        if (scope, mac) not in senders or senders[scope, mac] != addresses:
            path.set_sender(scope, mac, addresses)
            differing += 1
    destinations = path.destinations
    for (vni, mac), destination in wanted.destinations.items():
        if destinations.get((vni, mac)) != destination:
            path.set_destination(vni, mac, destination)
            differing += 1
    return differing


def _withdraw(path: KernelPath, wanted: Wanted) -> int:
    """Delete what is not wanted, or wanted otherwise: also all about interfaces that are of another network, or have
    another TAP."""
    differing, ports, tunnels = 0, path.ports, path.tunnels
    moved = {index for index, known in ports.items() if wanted.ports.get(index, (0, 0))[:2] != known[:2]}
    moved |= {index for index, vni in tunnels.items() if wanted.tunnels.get(index) != vni}
    for (vni, mac), destination in path.destinations.items():
        if wanted.destinations.get((vni, mac)) != destination or destination.ifindex in moved:
            path.delete_destination(vni, mac)
            differing += 1
    for scope, mac in path.senders:
        if (scope, mac) not in wanted.senders or scope in moved:
            path.delete_sender(scope, mac)
            differing += 1
    for index in ports.keys() & moved:
        path.delete_port(index)
        differing += 1
    for tunnel in tunnels.keys() & moved:
        path.delete_tunnel(tunnel)
        differing += 1
    return differing
