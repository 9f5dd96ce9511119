# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, Self, TypeAlias

_Outcome: TypeAlias = Literal["known", "learned", "moved", "pinned", "own", "full"]

VNET_SIZE: Final = 12
OUTCOMES: Final[tuple[_Outcome, ...]]

class Flow(NamedTuple):
    network: int
    transport: int
    end: int
    version: Literal[0, 4, 6]
    protocol: int
    tos: int
    fragment: bool
    hash: int

class Encapsulated(NamedTuple):
    drop: str | None
    packet: bytes | None
    tos: int | None
    completed: bool

class Decapsulated(NamedTuple):
    drop: str | None
    vni: int
    frame: bytes | None
    needs_checksum: bool
    checksum_start: int
    checksum_offset: int
    events: list[int]

class FdbValue(NamedTuple):
    kind: int
    index: int  # type: ignore[assignment]  # hides tuple.index
    seen: int
    flags: int

def checksum(data: bytes) -> bytes: ...
def checksum_in_pieces(pieces: list[bytes]) -> bytes: ...
def checksum_pseudo(ip: bytes, version: Literal[4, 6], protocol: int, length: int) -> bytes: ...
def checksum_replace(stored: bytes, before: bytes, after: bytes) -> bytes: ...
def parse(frame: bytes) -> Flow: ...
def encap(frame: bytes, vni: int, vnet: bytes = ...) -> Encapsulated: ...
def vnet_for_port(frame: bytes, mtu: int) -> tuple[bytes, bool]: ...

class Decapsulator:
    def __new__(cls, vnis: Iterable[int]) -> Self: ...
    def __call__(self, payload: bytes, outer_tos: int = 0, strict: bool = False) -> Decapsulated: ...

class FdbTable:
    def __new__(cls, entries: int, seed: int = 0) -> Self: ...
    def __len__(self) -> int: ...
    def configure(self, segment: int, limit: int, ageing: int) -> None: ...
    def learn(self, segment: int, mac: int, kind: int, index: int, now: int) -> _Outcome: ...
    def set(self, segment: int, mac: int, kind: int, index: int, flags: int, now: int) -> bool: ...
    def lookup(self, segment: int, mac: int) -> FdbValue | None: ...
    def retire(
        self,
        segment: int = 0,
        mac: int | None = None,
        dest: tuple[int, int] | None = None,
        learned_only: bool = False,
    ) -> int: ...
    def age(self, now: int) -> int: ...
    def reclaim(self) -> None: ...
    def entries(self) -> dict[tuple[int, int], FdbValue]: ...
