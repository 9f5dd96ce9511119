# SPDX-License-Identifier: Apache-2.0
"""Explain the kernel's refusals in one line."""

import contextlib
import errno
from collections.abc import Iterator

from fastpath.errors import ConflictError, RefusedError


@contextlib.contextmanager
def explained(what: str, *ignored: int) -> Iterator[None]:
    """Turn errors of netlink into FastpathErrors that begin with "cannot WHAT"; pass over those in `ignored`."""
    try:
        yield
    except OSError as error:
        if error.errno in ignored:
            return
        if error.errno in (errno.EPERM, errno.EACCES):
            raise RefusedError(f"cannot {what}: no permission (CAP_NET_ADMIN), run as root") from error
        if error.errno == errno.EEXIST:
            raise ConflictError(f"cannot {what}: it exists already") from error
        raise RefusedError(f"cannot {what}: {error.strerror or error}") from error
