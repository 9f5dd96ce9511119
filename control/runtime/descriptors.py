# SPDX-License-Identifier: Apache-2.0
"""The limit of open files: as high as it may be, and with some kept for what must go on when it is reached."""

import os
import resource

from fastpath.errors import RefusedError

RESERVE = 128
"""Descriptors that endpoints do not get: the store, the API, commands such as nft, and visits of namespaces do."""


def raise_limit() -> None:
    """Raise the soft limit of this process to its hard one. Login shells have a soft limit of 1,024, for programs that
    use select(2); an endpoint needs a descriptor for each worker."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def check_room() -> None:
    """Raise RefusedError if another endpoint would take a descriptor of the reserve."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return
    used = len(os.listdir("/proc/self/fd"))
    if used > limit - min(RESERVE, limit // 3):
        raise RefusedError(
            f"no descriptor is left for another endpoint: {used} of at most {limit} files are open; raise the limit "
            "(LimitNOFILE in the unit, ulimit -Hn in a shell), or use fewer workers"
        )
