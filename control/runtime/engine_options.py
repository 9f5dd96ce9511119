# SPDX-License-Identifier: Apache-2.0
"""The engine's options that a VXLAN device and a daemon share, with their limits."""

import os
from typing import Annotated

from pydantic import Field, Strict

from fastpath.engine.limits import MAX_SPIN_US

MAX_WORKERS = 64
MAX_SOURCE_PORTS = 1024
DEFAULT_SOURCE_PORTS = 8


def default_workers() -> int:
    """Return one worker for every two cores that this process may use: the programs that send and receive need cores,
    too (docs/benchmarks/performance.md has the measurements)."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


UdpPort = Annotated[int, Strict(), Field(ge=1, le=65535)]
Workers = Annotated[int, Strict(), Field(ge=1, le=MAX_WORKERS)]
Spin = Annotated[int, Strict(), Field(ge=0, le=MAX_SPIN_US)]
SourcePorts = Annotated[int, Strict(), Field(ge=1, le=MAX_SOURCE_PORTS)]
