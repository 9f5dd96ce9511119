# SPDX-License-Identifier: Apache-2.0
"""Snapshots of the engine's counters, summed over its workers.

"rx" is what came into the engine from there, "tx" what left the engine to there. Bytes are those of
inner frames; a super-frame counts as the frames that it stands for. A flooded frame counts once as
received and once for every copy that went out.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Traffic:
    """Frames and bytes of a port, a remote, a segment or a worker."""

    rx_frames: int = 0
    rx_bytes: int = 0
    tx_frames: int = 0
    tx_bytes: int = 0
    drops: int = 0


def total(traffic: Iterable[Traffic]) -> Traffic:
    """Add up counters."""
    parts = list(traffic)
    return Traffic(**{each.name: sum(getattr(part, each.name) for part in parts) for each in fields(Traffic)})


@dataclass(frozen=True)
class Tally:
    """A segment's or a worker's counters; reasons and events that never happened are left out."""

    traffic: Traffic
    drops: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PortStats:
    """A port: `name` as it was created, `segment` its VNI.

    `learned` is how many addresses the FDB has learned there, `unlearned` how many frames from there had one more, for
    which it had no room. `label` is what people call what is behind it; None: it was given none.
    """

    name: str
    segment: int
    mtu: int
    gone: bool
    traffic: Traffic
    learned: int = 0
    unlearned: int = 0
    label: str | None = None


@dataclass(frozen=True)
class RemoteStats:
    """A remote VTEP, configured or learned. `learned` and `unlearned` are as for a port. `path_mtu` is the longest IP
    packet of the underlay, in bytes, that fits the path to it; None: not known."""

    address: str
    udp_port: int
    traffic: Traffic
    learned: int = 0
    unlearned: int = 0
    path_mtu: int | None = None


@dataclass(frozen=True)
class ForwarderStats:
    """A segment's forwarder.

    `deferred`: it is written in Python and runs on its own thread. `counters` are its own reasons and counters.
    `failures` is how often it raised an exception.
    """

    name: str = "LearningBridge"
    deferred: bool = False
    counters: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    last_error: str | None = None


@dataclass(frozen=True)
class SegmentStats:
    """A segment and its share of the FDB."""

    vni: int
    fdb_entries: int
    tally: Tally
    forwarder: ForwarderStats = field(default_factory=ForwarderStats)
    fdb_learned: int = 0


@dataclass(frozen=True)
class KernelPathStats:
    """What the kernel carried past the engine: ports, remotes and segments count it, workers do not. `verdicts` is how
    often the programs decided what, with super-frames counted once; what never happened is left out."""

    traffic: Traffic = Traffic()
    verdicts: dict[str, int] = field(default_factory=dict)

    @property
    def drops(self) -> int:
        """The number of frames that the programs dropped."""
        return sum(count for name, count in self.verdicts.items() if name.startswith("drop_"))


@dataclass(frozen=True)
class EngineStats:
    """All counters of an engine, at one moment. Those of the daemon's engine include what the kernel path carried."""

    workers: list[Tally]
    deferred: Tally
    """Counted by the threads of deferred forwarders."""
    segments: list[SegmentStats]
    ports: list[PortStats]
    remotes: list[RemoteStats]
    fdb_entries: int
    fdb_limit: int
    socket_overflows: int
    """Packets that the kernel discarded because the workers did not read them fast enough."""
    housekeeping_failures: int = 0
    """Rounds of the housekeeper that failed; `Engine.housekeeping` tells why."""
    kernel_path: KernelPathStats = field(default_factory=KernelPathStats)

    @property
    def tallies(self) -> list[Tally]:
        """The tallies of the workers and the deferred forwarders. Their sum is the engine's total."""
        return [*self.workers, self.deferred]

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists, for JSON."""
        return asdict(self)
