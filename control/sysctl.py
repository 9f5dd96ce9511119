# SPDX-License-Identifier: Apache-2.0
"""Kernel settings under /proc/sys/net, which shows each thread those of the namespace that it is in."""

from pathlib import Path

NET = Path("/proc/sys/net")


def ensure(path: str, value: int) -> bool:
    """Set /proc/sys/net/PATH; whether that changed anything. False where the kernel has no such setting, too."""
    file = NET / path
    try:
        if file.read_text(encoding="ascii").strip() == str(value):
            return False
    except FileNotFoundError:
        return False
    file.write_text(f"{value}\n", encoding="ascii")
    return True
