# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterable
from typing import Final, Self

from fastpath.addresses import IPAddress
from fastpath.engine.captures.capture import DEFAULT_ROOM, Capture
from fastpath.engine.housekeeper import Housekeeping
from fastpath.engine.limits import DEFAULT_SPIN_US
from fastpath.engine.offloads import DEFAULT_OFFLOADS, Offloads
from fastpath.engine.ports.port import Port
from fastpath.engine.remote import Remote
from fastpath.engine.segment import DEFAULT_AGEING, Segment
from fastpath.engine.stats import EngineStats
from fastpath.forwarder.forwarder import Forwarder
from fastpath.pcap.pcapng import Direction

DEFAULT_UDP_PORT: Final = 4789
DEFAULT_SOURCE_PORTS: Final = (49152, 65535)
DEFAULT_FDB_ENTRIES: Final = 65536
DEFAULT_NEIGHBOUR_ENTRIES: Final = 65536
RESERVE_PART: Final = 16
FRUITLESS_TURNS: Final = 16
MAX_VOUCHED_S: Final = 3600
MIN_PATH_MTU: Final = 68
MAX_PATH_MTU: Final = 65535
REMEMBERED_S: Final = 600
NOWHERE: dict[int, bytes]

def drain(fd: int) -> None: ...

class Engine:
    def __init__(
        self,
        local: str | IPAddress | None = None,
        *,
        udp_port: int = DEFAULT_UDP_PORT,
        workers: int = 1,
        ipv6: bool = False,
        source_ports: tuple[int, int] = DEFAULT_SOURCE_PORTS,
        source_port_count: int = 8,
        ttl: int = 0,
        mark: int = 0,
        fdb_entries: int = DEFAULT_FDB_ENTRIES,
        fdb_reserve: int | None = None,
        neighbour_entries: int = DEFAULT_NEIGHBOUR_ENTRIES,
        strict: bool = False,
        known_only: bool = False,
        kernel_peers: bool = True,
        probed_paths: bool = False,
        freebind: bool = False,
        spin: int = DEFAULT_SPIN_US,
        pin: bool = False,
        offloads: Offloads = DEFAULT_OFFLOADS,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    @property
    def local(self) -> IPAddress | None: ...
    @property
    def udp_port(self) -> int: ...
    @property
    def offloads(self) -> Offloads: ...
    @property
    def known_only(self) -> bool: ...
    def capture(
        self,
        segment: Segment | None = None,
        *,
        ports: Iterable[Port] = (),
        remotes: Iterable[str | IPAddress] = (),
        drops: Iterable[str] = (),
        directions: Iterable[Direction] = ("in", "out"),
        outer: bool = False,
        filter: str | None = None,  # noqa: A002  # as everybody calls it
        snaplen: int = 0,
        room: int = DEFAULT_ROOM,
        name_of: Callable[[Port], str] | None = None,
    ) -> Capture: ...
    @property
    def admitted(self) -> tuple[Remote, ...]: ...
    def admit(self, address: str | IPAddress, udp_port: int | None = None) -> Remote: ...
    def dismiss(self, address: str | IPAddress, udp_port: int | None = None) -> None: ...
    @property
    def segments(self) -> dict[int, Segment]: ...
    @property
    def running(self) -> bool: ...
    def add_segment(
        self,
        vni: int,
        *,
        learning: bool = True,
        ageing: int = DEFAULT_AGEING,
        max_entries: int = 0,
        members_only: bool = False,
        probes: bool = False,
        forwarder: Forwarder | None = None,
    ) -> Segment: ...
    def remove_segment(self, segment: Segment) -> None: ...
    def set_path_mtu(self, address: str | IPAddress, mtu: int | None) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def run(self) -> None: ...
    def poll(self, timeout: float = 0.0) -> bool: ...
    def close(self) -> None: ...
    def on_port_gone(self, callback: Callable[[Port], object]) -> None: ...
    def vouch(self, seconds: int) -> None: ...
    @property
    def housekeeping(self) -> Housekeeping: ...
    def tidy(self) -> None: ...
    def advance_clock(self, seconds: int) -> None: ...
    def stats(self) -> EngineStats: ...
    def worker_states(self) -> list[tuple[int, bool]]: ...
