# SPDX-License-Identifier: Apache-2.0
"""Host names of containers: DNS names, and Docker's names, which may have underscores."""

import re

LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
MAX_NAME = 253
MAX_NAMES = 32


def hostname(text: str) -> str:
    """Return the name in lower case. Raise ValueError for an invalid one."""
    lower = text.lower()
    if len(lower) > MAX_NAME or not text.isascii() or not re.fullmatch(rf"{LABEL}(?:\.{LABEL})*", lower):
        raise ValueError(
            "a host name has labels of 1 to 63 letters, digits, dashes and underscores, with dots between them, "
            "no dash at an end of one"
        )
    if re.fullmatch(r"[0-9.]+", lower):
        raise ValueError("a host name is not a number or an address")
    return lower


def usable(texts: list[str]) -> tuple[str, ...]:
    """Return the texts that are valid host names, without duplicates, MAX_NAMES at most."""
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[hostname(text)] = None
        except ValueError:
            continue
    return tuple(found)[:MAX_NAMES]


def of_sandbox(name_or_path: str) -> tuple[str, ...]:
    """Return the default names of a sandbox: its name in `ip netns`, if that can be a host name."""
    return usable([name_or_path]) if "/" not in name_or_path and "." not in name_or_path else ()
