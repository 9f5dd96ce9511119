# SPDX-License-Identifier: Apache-2.0
"""A slow twin of the FDB and of the learning bridge: a dict, and the decision as one reads it in a book."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

PORT, REMOTE = 1, 2  # kinds of places; with an index they make a Place
STATIC, LOCAL = 1, 2
CLOCK = 1 << 24  # the FDB keeps seconds modulo this

Place = tuple[int, int]


class Entry(NamedTuple):
    """Where an address is."""

    kind: int
    number: int
    seen: int
    flags: int

    @property
    def place(self) -> Place:
        return self.kind, self.number


@dataclass
class Share:
    """A segment's bounds: a limit of 0 means a fair part, an ageing of 0 none."""

    limit: int = 0
    ageing: int = 0


@dataclass
class TwinFdb:
    """(segment, MAC) -> Entry. `room` counts the slots of the real table: a retired entry keeps its slot
    until `reclaim`, since a reader may still look at it."""

    entries: int
    room: int | None = None
    reserve: int = 0
    table: dict[tuple[int, int], Entry] = field(default_factory=dict)
    shares: dict[int, Share] = field(default_factory=dict)
    retired: int = 0

    def used(self, segment: int) -> int:
        """What counts against the segment's limit: not the ports' own addresses."""
        return sum(1 for (at, _), entry in self.table.items() if at == segment and not entry.flags & LOCAL)

    def has_room(self, segment: int, flags: int = 0) -> bool:
        limit = 0 if flags & LOCAL else self.shares.get(segment, Share()).limit
        return (
            len(self.table) < self.entries
            and (limit == 0 or self.used(segment) < limit)
            and (self.room is None or len(self.table) + self.retired < self.room)
        )

    def learned(self, segment: int | None = None, place: Place | None = None) -> int:
        """How many entries were learned, in this segment and at this place."""
        return sum(
            1
            for (at, _), entry in self.table.items()
            if not entry.flags & STATIC and segment in (None, at) and place in (None, entry.place)
        )

    def may_learn(self, segment: int, place: Place) -> bool:
        """Every segment, and every place in it, may have as many entries as it leaves to the others."""
        free = self.entries - self.reserve - self.learned()
        if self.shares.get(segment, Share()).limit != 0:
            return free > 0
        left = free - self.learned(segment)
        return left > 0 and (place[1] >= 1 << 16 or self.learned(place=place) < left)

    def learn(self, segment: int, mac: int, place: Place, now: int) -> str:
        """A frame with this source address came from `place`."""
        old = self.table.get((segment, mac))
        if old is None and not (self.may_learn(segment, place) and self.has_room(segment)):
            return "full"
        if old is not None and old.flags & STATIC:
            if old.place == place:
                return "known"
            return "own" if old.flags & LOCAL else "pinned"
        self.table[segment, mac] = Entry(*place, now % CLOCK, 0)
        if old is None:
            return "learned"
        return "known" if old.place == place else "moved"

    def set(self, segment: int, mac: int, place: Place, flags: int, now: int) -> bool:
        if (segment, mac) not in self.table and not self.has_room(segment, flags):
            return False
        self.table[segment, mac] = Entry(*place, now % CLOCK, flags)
        return True

    def retire(
        self, segment: int = 0, mac: int | None = None, place: Place | None = None, *, learned_only: bool = False
    ) -> int:
        """Remove what matches; what is not given matches everything."""
        doomed = [
            key
            for key, entry in self.table.items()
            if segment in (0, key[0])
            and mac in (None, key[1])
            and place in (None, entry.place)
            and not (learned_only and entry.flags & STATIC)
        ]
        return self._remove(doomed)

    def age(self, now: int) -> int:
        doomed = [
            (segment, mac)
            for (segment, mac), entry in self.table.items()
            if not entry.flags & STATIC and 0 < self.shares.get(segment, Share()).ageing < (now - entry.seen) % CLOCK
        ]
        return self._remove(doomed)

    def reclaim(self) -> None:
        self.retired = 0

    def _remove(self, keys: list[tuple[int, int]]) -> int:
        for key in keys:
            del self.table[key]
        self.retired += len(keys)
        return len(keys)


class Decision(NamedTuple):
    """Where copies of a frame go, or why it goes nowhere."""

    outputs: frozenset[Place] = frozenset()
    drop: str | None = None


SEGMENT = 1  # a twin bridge is one segment


class TwinBridge:
    """The learning bridge of one VTEP: IEEE 802.1D learning and flooding, with VXLAN's split horizon
    (what came from a remote never goes to a remote) and head-end replication."""

    def __init__(self, ports: Iterable[int], remotes: Iterable[int], *, limit: int = 0, ageing: int = 0) -> None:
        self.ports = {(PORT, index) for index in ports}
        self.remotes = {(REMOTE, index) for index in remotes}
        self.learning = True
        self.now = 0
        self.groups: dict[int, frozenset[Place]] = {}  # a group address with several destinations
        self.fdb = TwinFdb(1 << 16)
        self.fdb.shares[SEGMENT] = Share(limit, ageing)

    def pin(self, mac: int, place: Place) -> None:
        """A static entry."""
        self.groups.pop(mac, None)
        self.fdb.set(SEGMENT, mac, place, STATIC, self.now)

    def unpin(self, mac: int) -> None:
        self.groups.pop(mac, None)
        self.fdb.retire(SEGMENT, mac)

    def forward(self, frame: bytes, source: Place) -> Decision:
        """What happens to a frame that came from `source`."""
        if len(frame) < 14:
            return Decision(drop="runt")
        reason = self._admit(int.from_bytes(frame[6:12], "big"), source)
        if reason is not None:
            return Decision(drop=reason)
        outputs = self._decide(int.from_bytes(frame[:6], "big"))
        if outputs is None:  # unknown, or a group address that nobody set: everywhere
            everywhere = self.ports | self.remotes
            return self._send(everywhere - {source}, source, nowhere="no_destination")
        if outputs == {source}:
            return Decision(drop="same_port" if source[0] == PORT else "split_horizon")
        return self._send(outputs, source, nowhere="split_horizon")

    def _admit(self, mac: int, source: Place) -> str | None:
        if mac == 0 or mac >> 40 & 1:
            return "bad_source_mac"
        if not self.learning:
            entry = self.fdb.table.get((SEGMENT, mac))
            elsewhere = entry is not None and entry.flags & STATIC and entry.kind == PORT and entry.place != source
            return "static_source" if elsewhere else None
        outcome = self.fdb.learn(SEGMENT, mac, source, self.now)
        return "static_source" if outcome == "pinned" else None

    def _decide(self, mac: int) -> frozenset[Place] | None:
        if mac in self.groups:
            return self.groups[mac]
        entry = self.fdb.table.get((SEGMENT, mac))
        return None if entry is None else frozenset({entry.place})

    def _send(self, outputs: set[Place] | frozenset[Place], source: Place, *, nowhere: str) -> Decision:
        if source[0] == REMOTE:  # split horizon
            outputs = {place for place in outputs if place[0] == PORT}
        return Decision(frozenset(outputs)) if outputs else Decision(drop=nowhere)
