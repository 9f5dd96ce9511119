# SPDX-License-Identifier: Apache-2.0
"""Where a device's control socket lies, and who may open it.

The socket lies in a directory that only its owner can enter, named by the network namespace that the
device's process runs in: like interface names, device names are unique within a namespace.
"""

import os
import socket
from pathlib import Path

from fastpath.errors import ConflictError, RefusedError
from fastpath.port import check_name


def socket_directory() -> Path:
    """Where the sockets of this network namespace's devices lie (FASTPATH_RUN_DIR or /run/fastpath)."""
    namespace = os.stat("/proc/self/ns/net").st_ino
    return Path(os.environ.get("FASTPATH_RUN_DIR", "/run/fastpath")) / f"net-{namespace}"


def socket_path(name: str) -> Path:
    """The control socket of the device with this name. Raises UsageError for what cannot be one."""
    check_name(name)
    return socket_directory() / f"{name}.sock"


def device_names() -> list[str]:
    """The devices that run in this network namespace, by name."""
    try:
        found = sorted(path for path in socket_directory().iterdir() if path.suffix == ".sock")
    except FileNotFoundError:
        return []
    except PermissionError:
        raise RefusedError(f"no permission to look into {socket_directory()}: run as root") from None
    return [path.stem for path in found if answers(path)]


def answers(path: Path) -> bool:
    """Whether a process listens on the socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def bind_socket(name: str) -> socket.socket:
    """The listening socket for a device, open to its owner only. Raises ConflictError where a device
    of that name runs; one that a killed process left is replaced."""
    path = socket_path(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            if answers(path):
                raise ConflictError(f"a fastpath device named {name} runs here already: choose another name")
            path.unlink()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen()
        return sock
    except PermissionError:
        raise RefusedError(f"no permission to create {path}: run as root") from None


def unlink_socket(name: str) -> None:
    """Remove a device's socket, and the directory if it was the last one."""
    path = socket_path(name)
    path.unlink(missing_ok=True)
    for directory in (path.parent, path.parent.parent):
        try:
            directory.rmdir()
        except OSError:
            return  # others are still there
