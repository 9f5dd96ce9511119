# SPDX-License-Identifier: Apache-2.0
"""Snapshots of the engine's counters, summed over its workers.

"rx" is what came into the engine from there, "tx" what left the engine to there. Bytes are those of
inner frames; a super-frame counts as the frames that it stands for. A flooded frame counts once as
received and once for every copy that went out.
"""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Traffic:
    """Frames and bytes of a port, a remote, a segment or a worker."""

    rx_frames: int = 0
    rx_bytes: int = 0
    tx_frames: int = 0
    tx_bytes: int = 0
    drops: int = 0


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
    which it had no room.
    """

    name: str
    segment: int
    mtu: int
    gone: bool
    traffic: Traffic
    learned: int = 0
    unlearned: int = 0


@dataclass(frozen=True)
class RemoteStats:
    """A remote VTEP, configured or learned. `learned` and `unlearned` are as for a port."""

    address: str
    udp_port: int
    traffic: Traffic
    learned: int = 0
    unlearned: int = 0


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
class EngineStats:
    """All counters of an engine, at one moment."""

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

    @property
    def tallies(self) -> list[Tally]:
        """The tallies of the workers and the deferred forwarders. Their sum is the engine's total."""
        return [*self.workers, self.deferred]

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists, for JSON."""
        return asdict(self)
