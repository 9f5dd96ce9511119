# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from typing import IO, Final, NamedTuple, Self

PIECE: Final = 262144

class Record(NamedTuple):
    interface: str
    linktype: int
    time_ns: int
    data: bytes
    original: int
    outbound: bool

class CaptureReader:
    def __new__(cls, file: IO[bytes], name: str, *, piece: int = ..., memory: int = ...) -> Self: ...
    @property
    def name(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def cut(self) -> bool: ...
    def fill(self) -> None: ...
    def __iter__(self) -> Iterator[Record]: ...
