# SPDX-License-Identifier: Apache-2.0
"""Which of several machines with the same state directory this one is."""

import hashlib
import os
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
DIGITS = 16


def incarnation() -> str:
    """Return what is the same as long as this machine runs, and other in every copy of it that booted by itself: a hash
    of its boot and of this process's network namespace. Empty if the kernel does not say."""
    try:
        boot, namespace = BOOT_ID.read_text().strip(), os.stat("/proc/self/ns/net").st_ino
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:DIGITS]
