# SPDX-License-Identifier: Apache-2.0
from typing import Self

from fastpath.engine.tables import Tables

class Worker:
    def __new__(
        cls,
        tables: Tables,
        index: int,
        *,
        receive: int,
        send: list[int],
        fragments: int = -1,
        family: int,
        strict: bool,
        known_only: bool,
        learned_udp_port: int,
        attention: int,
        spin_us: int,
        gso: bool,
        merge: bool,
        kernel_peers: bool,
    ) -> Self: ...
    def add(self, fd: int, what: int) -> None: ...
    def watch(self, fd: int, port: int) -> None: ...
    def unwatch(self, fd: int) -> None: ...
    def stop(self) -> None: ...
    def fileno(self) -> int: ...
    def poll(self) -> tuple[int, int]: ...
    def run(self, core: int | None = None) -> None: ...
