# SPDX-License-Identifier: Apache-2.0
"""Control sockets of devices: their paths, and who owns them.

Sockets are in a directory that only its owner can enter, one for each network namespace: device names, like interface
names, are unique within a namespace. The device's process holds a lock file beside its socket as long as it lives. So
the socket of a killed process is known to be stale, and commands can wait until a device is gone.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from fastpath.control.api.unix_socket import listen
from fastpath.engine.limits import check_name
from fastpath.errors import ConflictError, RefusedError


def socket_directory() -> Path:
    """Return the directory of this network namespace, in FASTPATH_RUN_DIR or /run/fastpath."""
    namespace = os.stat("/proc/self/ns/net").st_ino
    return Path(os.environ.get("FASTPATH_RUN_DIR", "/run/fastpath")).absolute() / f"net-{namespace}"


def socket_path(name: str) -> Path:
    """Return the control socket of a device. Raise UsageError for an invalid name."""
    check_name(name)
    return socket_directory() / f"{name}.sock"


def device_names() -> list[str]:
    """Return the names of the devices that run in this network namespace."""
    try:
        found = sorted(path.stem for path in socket_directory().iterdir() if path.suffix == ".sock")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise RefusedError(f"no permission to read {socket_directory()}: run as root") from error
    return [name for name in found if is_running(name)]


def is_running(name: str) -> bool:
    """Return whether a device of this name runs."""
    try:
        with _lock_path(name).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def control_socket(name: str) -> Iterator[socket.socket]:
    """Own the name and listen on its socket; remove both at the end. A killed device's socket is replaced. Raise
    ConflictError if a device of that name runs."""
    path = socket_path(name)
    try:
        lock = _acquire(name)
    except PermissionError as error:
        raise RefusedError(f"no permission to create {path}: run as root") from error
    except OSError as error:
        raise RefusedError(f"cannot create {path}: {error.strerror}") from error
    try:
        with listen(path) as sock:
            yield sock
    finally:
        path.unlink(missing_ok=True)
        _lock_path(name).unlink(missing_ok=True)
        for directory in (path.parent, path.parent.parent):
            with contextlib.suppress(OSError):  # other devices still use it
                directory.rmdir()
        os.close(lock)


def _lock_path(name: str) -> Path:
    return socket_path(name).with_suffix(".lock")


def _acquire(name: str) -> int:
    """Return the file descriptor of the lock file, locked."""
    path = _lock_path(name)
    while True:
        path.parent.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the last device just ended and removed the directories
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        except BlockingIOError as error:
            os.close(lock)
            raise ConflictError(f"a fastpath device named {name} runs here already: choose another name") from error
        except FileNotFoundError:
            pass
        os.close(lock)  # it was removed before it was locked: the name is free, take a new file
