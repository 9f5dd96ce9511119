# SPDX-License-Identifier: Apache-2.0
"""fastpath: a VXLAN overlay with its data plane in userspace.

from fastpath import Engine

with Engine(local="192.0.2.1") as engine:
    segment = engine.add_segment(vni=42)
    segment.add_remote("192.0.2.2")
    segment.add_tap("vx0", mtu=1450)
    engine.run()                      # until a signal
"""

from pathlib import Path

from fastpath.burst import Burst
from fastpath.capture import Capture
from fastpath.engine import Engine
from fastpath.errors import ConflictError, FastpathError, NotFoundError, RefusedError, UsageError
from fastpath.fdb import Fdb, FdbEntry
from fastpath.forwarder import DROP, FLOOD, PASS, SENT, Chain, Forwarder, Hub, LearningBridge
from fastpath.match import Match
from fastpath.neighbours import Neighbours
from fastpath.port import MemoryPort, Port, TapPort
from fastpath.remote import Remote
from fastpath.segment import Segment
from fastpath.table import Table
from fastpath.tables import DROP_SENTENCES, EVENT_SENTENCES
from fastpath.version import VERSION

__version__ = VERSION


def get_include() -> str:
    """The directory of the C headers that modules in Cython are compiled with which `cimport` from fastpath."""
    return str(Path(__file__).parent / "include")


__all__ = [
    "DROP",
    "DROP_SENTENCES",
    "EVENT_SENTENCES",
    "FLOOD",
    "PASS",
    "SENT",
    "Burst",
    "Capture",
    "Chain",
    "ConflictError",
    "Engine",
    "FastpathError",
    "Fdb",
    "FdbEntry",
    "Forwarder",
    "Hub",
    "LearningBridge",
    "Match",
    "MemoryPort",
    "Neighbours",
    "NotFoundError",
    "Port",
    "RefusedError",
    "Remote",
    "Segment",
    "Table",
    "TapPort",
    "UsageError",
    "get_include",
]
