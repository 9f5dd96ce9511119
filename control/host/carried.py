# SPDX-License-Identifier: Apache-2.0
"""The counters of both paths together: what the kernel carries past the engine counts for the same ports, remotes and
segments (docs/kernel-path.md)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fastpath.addresses import IPAddress
from fastpath.engine.stats import EngineStats, KernelPathStats, Tally, Traffic, total


@dataclass(frozen=True)
class Carried:
    """What the kernel path carried of one network: by the engine's names of ports, and by VTEP."""

    vni: int
    ports: Mapping[str, Traffic]
    remotes: Mapping[IPAddress, Traffic]

    @property
    def traffic(self) -> Traffic:
        """Return what came from ports and remotes, and what went there."""
        return total((*self.ports.values(), *self.remotes.values()))


def with_kernel_path(stats: EngineStats, carried: Iterable[Carried], verdicts: Mapping[str, int]) -> EngineStats:
    """Return the engine's counters with those of the kernel path added."""
    networks = {each.vni: each for each in carried}
    remotes: dict[str, list[Traffic]] = defaultdict(list)
    for each in networks.values():
        for vtep, traffic in each.remotes.items():
            remotes[str(vtep)].append(traffic)
    return replace(
        stats,
        ports=[
            replace(port, traffic=total((port.traffic, networks[port.segment].ports.get(port.name, Traffic()))))
            if port.segment in networks
            else port
            for port in stats.ports
        ],
        remotes=[
            # If there are two UDP ports of one address, peers are at the first.
            replace(remote, traffic=total((remote.traffic, *remotes.pop(remote.address, ()))))
            for remote in stats.remotes
        ],
        segments=[
            replace(segment, tally=_with(segment.tally, networks[segment.vni])) if segment.vni in networks else segment
            for segment in stats.segments
        ],
        kernel_path=KernelPathStats(
            total(each.traffic for each in networks.values()),
            {name: count for name, count in verdicts.items() if count},
        ),
    )


def _with(tally: Tally, carried: Carried) -> Tally:
    return replace(tally, traffic=total((tally.traffic, carried.traffic)))
