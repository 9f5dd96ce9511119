# SPDX-License-Identifier: Apache-2.0
"""The work that may be left to the kernel. Each offload has a switch, for diagnosis and for kernels with defects."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Offloads:
    """All are on by default. Offloads that the kernel lacks are not used."""

    tso: bool = True
    """Ports hand over TCP super-frames, which are split here (TUN_F_TSO4, TUN_F_TSO6)."""
    uso: bool = True
    """Ports hand over UDP super-frames (TUN_F_USO4, TUN_F_USO6; Linux 6.2)."""
    gso: bool = True
    """Packets for one remote leave in trains (UDP_SEGMENT, udp(7))."""
    gro: bool = True
    """Packets from one remote arrive in trains (UDP_GRO, udp(7))."""
    merge: bool = True
    """Frames of one flow that arrived together go to a port as one super-frame."""


DEFAULT_OFFLOADS = Offloads()
