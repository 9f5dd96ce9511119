# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterable
from contextlib import ExitStack
from os import PathLike
from typing import Final

from fastpath.errors import RefusedError

VERDICT_SENTENCES: Final[dict[str, str]]
PER_CPU: Final = (5, 6)
LOG_SIZE: Final = 65536
LOG_LINES: Final = 4
MAPS_OF_A_PROGRAM: Final = 16
TRIES: Final = 100
PAUSE_S: Final = 0.01

def refused(what: str, number: int) -> RefusedError: ...
def last_lines(text: str) -> str: ...
def maps_of(number: int, stack: ExitStack) -> dict[str, tuple[int, int]]: ...

class Map:
    name: str
    fd: int
    key_size: int
    value_size: int
    def __init__(self, name: str, fd: int, key_size: int, value_size: int, per_cpu: bool) -> None: ...
    def get(self, key: bytes) -> bytes | None: ...
    def set(self, key: bytes, value: bytes) -> None: ...
    def delete(self, key: bytes) -> bool: ...
    def keys(self) -> list[bytes]: ...

class Program:
    name: str
    fd: int
    id: int
    tag: bytes
    def __init__(self, name: str, fd: int, number: int, tag: bytes) -> None: ...

class Programs:
    def __new__(cls, path: str | PathLike[str], filters: Iterable[int] = ()) -> Programs: ...
    @property
    def programs(self) -> dict[str, Program]: ...
    @property
    def maps(self) -> dict[str, Map]: ...
    @property
    def taken_over(self) -> bool: ...
    def close(self) -> None: ...
