# SPDX-License-Identifier: Apache-2.0
"""Kernel settings under /proc/sys/net, which shows each thread the settings of its namespace. It may be read-only in a
container: FASTPATH_PROC_SYS says where the host's /proc/sys is mounted."""

import os
from pathlib import Path

from fastpath.errors import RefusedError

NET = Path(os.environ.get("FASTPATH_PROC_SYS", "/proc/sys")) / "net"


def ensure(path: str, value: int) -> bool:
    """Set /proc/sys/net/PATH; return whether that changed anything. False if the kernel has no such setting, too.
    Raise RefusedError if it may not be written."""
    file = NET / path
    try:
        if file.read_bytes().strip() == str(value).encode():
            return False
    except FileNotFoundError:
        return False
    try:
        file.write_text(f"{value}\n", encoding="ascii")
    except OSError as error:
        raise RefusedError(f"cannot set {file} to {value}: {error.strerror}") from error
    return True


def read(path: str) -> int | None:
    """Return /proc/sys/net/PATH; None if the kernel has no such setting."""
    try:
        return int((NET / path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
