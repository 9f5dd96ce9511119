# SPDX-License-Identifier: Apache-2.0
"""The kernel's refusals, as one line for people."""

import contextlib
import errno
import os
from collections.abc import Iterator

from pyroute2.netlink.exceptions import NetlinkError

from fastpath.errors import ConflictError, RefusedError


@contextlib.contextmanager
def explained(what: str, *ignored: int) -> Iterator[None]:
    """Errors of netlink become FastpathErrors that begin with "cannot WHAT"; those in `ignored` are none."""
    try:
        yield
    except NetlinkError as error:
        if error.code in ignored:
            return
        if error.code in (errno.EPERM, errno.EACCES):
            raise RefusedError(f"cannot {what}: no permission (CAP_NET_ADMIN), run as root") from error
        if error.code == errno.EEXIST:
            raise ConflictError(f"cannot {what}: it exists already") from error
        raise RefusedError(f"cannot {what}: {os.strerror(error.code)}") from error
    except OSError as error:
        raise RefusedError(f"cannot {what}: {error.strerror or error}") from error
