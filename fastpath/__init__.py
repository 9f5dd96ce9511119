# SPDX-License-Identifier: Apache-2.0
"""fastpath: a VXLAN overlay with its data plane in userspace.

from fastpath import Engine

with Engine(local="192.0.2.1") as engine:
    segment = engine.add_segment(vni=42)
    segment.add_remote("192.0.2.2")
    segment.add_tap("vx0", mtu=1450)
    engine.run()                      # until a signal

Names are loaded when they are first used: `import fastpath` is part of every command's start, and of the gap that a
daemon's restart leaves.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fastpath.version import VERSION

if TYPE_CHECKING:
    from fastpath.engine.captures.capture import Capture
    from fastpath.engine.engine import Engine
    from fastpath.engine.fdb import Fdb, FdbEntry
    from fastpath.engine.neighbours import Neighbours
    from fastpath.engine.ports.port import MemoryPort, Port, TapPort
    from fastpath.engine.remote import Remote
    from fastpath.engine.segment import Segment
    from fastpath.engine.tables import DROP_SENTENCES, EVENT_SENTENCES
    from fastpath.errors import ConflictError, FastpathError, NotFoundError, RefusedError, UsageError
    from fastpath.forwarder.burst import Burst
    from fastpath.forwarder.forwarder import (
        DROP,
        FLOOD,
        PASS,
        SENT,
        Chain,
        Forwarder,
        Hub,
        LearningBridge,
        VxlanLearning,
    )
    from fastpath.forwarder.lookup import Table
    from fastpath.forwarder.match import Match

__version__ = VERSION

_NAMES = {
    "engine.captures.capture": ("Capture",),
    "engine.engine": ("Engine",),
    "engine.fdb": ("Fdb", "FdbEntry"),
    "engine.neighbours": ("Neighbours",),
    "engine.ports.port": ("MemoryPort", "Port", "TapPort"),
    "engine.remote": ("Remote",),
    "engine.segment": ("Segment",),
    "engine.tables": ("DROP_SENTENCES", "EVENT_SENTENCES"),
    "errors": ("ConflictError", "FastpathError", "NotFoundError", "RefusedError", "UsageError"),
    "forwarder.burst": ("Burst",),
    "forwarder.forwarder": (
        "DROP",
        "FLOOD",
        "PASS",
        "SENT",
        "Chain",
        "Forwarder",
        "Hub",
        "LearningBridge",
        "VxlanLearning",
    ),
    "forwarder.lookup": ("Table",),
    "forwarder.match": ("Match",),
}
_MODULES = {name: f"fastpath.{module}" for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a name of __all__ (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'fastpath' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return all names, loaded or not."""
    return sorted({*globals(), *__all__})


def get_include() -> str:
    """Return the directory of the C headers that Cython modules need which `cimport` from fastpath."""
    from pathlib import Path  # noqa: PLC0415  # only builds call this

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
    "VxlanLearning",
    "get_include",
]
