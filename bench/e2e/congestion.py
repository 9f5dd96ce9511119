# SPDX-License-Identifier: Apache-2.0
"""TCP's congestion control (tcp(7)).

It is chosen for each connection (TCP_CONGESTION), which root may do with every algorithm of this kernel. The setting
net.ipv4.tcp_congestion_control of a network namespace accepts only those in tcp_allowed_congestion_control, a list of
the whole machine that the benchmark leaves alone.
"""

from pathlib import Path

from fastpath.bench.e2e.names import known

SETTINGS = Path("/proc/sys/net/ipv4")
DEFAULT = ("cubic", "bbr")  # what most hosts have, and what paces: overlays differ most between these


def own() -> str:
    """Return the machine's own, which new network namespaces take over."""
    return (SETTINGS / "tcp_congestion_control").read_text().strip()


def available() -> list[str]:
    """Return those that this kernel has loaded; they are the same in all namespaces."""
    return (SETTINGS / "tcp_available_congestion_control").read_text().split()


def chosen(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the named ones; without names those of DEFAULT that this kernel has, or its own if it has none of them.

    Raise UsageError for a name that this kernel does not have.
    """
    there = available()
    if names:
        return tuple(known(name, there, "congestion control of this kernel") for name in dict.fromkeys(names))
    return tuple(name for name in DEFAULT if name in there) or (own(),)
