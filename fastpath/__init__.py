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

from fastpath.engine.capture import Capture
from fastpath.engine.engine import Engine
from fastpath.engine.fdb import Fdb, FdbEntry
from fastpath.engine.neighbours import Neighbours
from fastpath.engine.port import MemoryPort, Port, TapPort
from fastpath.engine.remote import Remote
from fastpath.engine.segment import Segment
from fastpath.engine.tables import DROP_SENTENCES, EVENT_SENTENCES
from fastpath.errors import ConflictError, FastpathError, NotFoundError, RefusedError, UsageError
from fastpath.forwarder.burst import Burst
from fastpath.forwarder.forwarder import DROP, FLOOD, PASS, SENT, Chain, Forwarder, Hub, LearningBridge
from fastpath.forwarder.lookup import Table
from fastpath.forwarder.match import Match
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
