# SPDX-License-Identifier: Apache-2.0
"""A listening unix socket that only its owner can open; it replaces the one of a process that was killed."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from fastpath.errors import ConflictError, RefusedError


@contextlib.contextmanager
def listening_socket(path: Path, option: str = "--socket") -> Iterator[socket.socket]:
    """Listen on `path` and remove the socket at the end. Raise ConflictError if another process listens there."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError(f"cannot create {path.parent}: {error.strerror}") from error
    if _answers(path):
        raise ConflictError(f"another process listens on {path}, perhaps a fastpath daemon: choose another {option}")
    sock = listen(path)
    try:
        yield sock
    finally:
        sock.close()
        path.unlink(missing_ok=True)


def listen(path: Path) -> socket.socket:
    """Return a new listening socket; it replaces an old one. Raise RefusedError if `path` is something else."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        if path.is_symlink() or (path.exists() and not path.is_socket()):
            raise RefusedError(f"{path} exists and is not a socket: move it away, or give another path")
        path.unlink(missing_ok=True)
        # Before it has a name, which gets this mode: a umask would be that of all threads (net/unix/af_unix.c).
        os.fchmod(sock.fileno(), 0o600)
        sock.bind(str(path))
        sock.listen()
    except OSError as error:
        sock.close()
        raise RefusedError(f"cannot listen on {path}: {error.strerror or error}") from error
    except RefusedError:
        sock.close()
        raise
    return sock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
