# SPDX-License-Identifier: Apache-2.0
"""Limits that commands check before an engine is loaded."""

from fastpath.errors import UsageError
from fastpath.text import to_kernel

DEFAULT_SPIN_US, MAX_SPIN_US = 50, 1_000_000


def check_name(name: str) -> None:
    """Raise UsageError for a name that no interface can have.

    The rules are those of dev_valid_name in net/core/dev.c. Also refused are `%`, which would make the name a pattern,
    and unprintable characters.
    """
    packed = to_kernel(name)
    taken = name in (".", "..", "all", "default")  # the last two are directories of sysctl
    if not 1 <= len(packed) <= 15 or taken or not name.isprintable() or any(c in b"/:% \xa0" for c in packed):
        shown = ascii(name)[1:-1] if len(name) <= 60 else f"{ascii(name[:60])[1:-1]}…"
        allowed = "1 to 15 characters, no space, slash, colon or percent"
        raise UsageError(f'"{shown}" cannot be an interface name: {allowed}')
