# SPDX-License-Identifier: Apache-2.0
import threading
from typing import Self

from fastpath.addresses import IPAddress
from fastpath.engine.workers.uplink import Uplink

DROP_SENTENCES: dict[str, str]
EVENT_SENTENCES: dict[str, str]

class Clock:
    stands_at: float | None
    def __call__(self) -> float: ...
    def advance(self, seconds: float) -> None: ...

class Indices:
    def __init__(self, last: int, what: str, *, late: bool = False) -> None: ...
    def take(self) -> int: ...
    def give_back(self, index: int) -> None: ...

class Tables:
    def __new__(
        cls,
        *,
        fdb_entries: int,
        fdb_reserve: int,
        neighbour_entries: int,
        family: int,
        workers: int,
        seed: int | None = None,
    ) -> Self: ...
    @property
    def family(self) -> int: ...
    @property
    def workers(self) -> int: ...
    @property
    def path_mtus(self) -> dict[IPAddress, int]: ...
    @property
    def lock(self) -> threading.RLock: ...
    @property
    def segment_indices(self) -> Indices: ...
    @property
    def port_indices(self) -> Indices: ...
    @property
    def group_indices(self) -> Indices: ...
    @property
    def counters(self) -> int: ...
    uplink: Uplink
    running: bool
    clock: Clock
