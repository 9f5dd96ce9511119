# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Which: TypeAlias = NDArray[np.bool_] | NDArray[np.integer[Any]] | Sequence[int] | int

class Burst:
    def __len__(self) -> int: ...
    @property
    def records(self) -> NDArray[np.void]: ...
    @property
    def out(self) -> NDArray[np.uint32]: ...
    @out.setter
    def out(self, value: Any) -> None: ...
    @property
    def now(self) -> float: ...
    @property
    def from_port(self) -> NDArray[np.bool_]: ...
    @property
    def from_remote(self) -> NDArray[np.bool_]: ...
    @property
    def to_remote(self) -> NDArray[np.bool_]: ...
    src_mac: NDArray[np.uint64]
    dst_mac: NDArray[np.uint64]
    src_ip6: NDArray[np.uint64]
    dst_ip6: NDArray[np.uint64]
    src_ip: NDArray[np.uint32]
    dst_ip: NDArray[np.uint32]
    port: NDArray[np.uint32]
    vni: NDArray[np.uint32]
    length: NDArray[np.uint32]
    segments: NDArray[np.uint32]
    flow_hash: NDArray[np.uint32]
    ethertype: NDArray[np.uint16]
    vlan: NDArray[np.uint16]
    src_port: NDArray[np.uint16]
    dst_port: NDArray[np.uint16]
    ip_version: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    tos: NDArray[np.uint8]
    ttl: NDArray[np.uint8]
    def frame(self, i: int) -> memoryview: ...
    def copy(self, which: Which, to: int) -> None: ...
