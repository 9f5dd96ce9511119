# SPDX-License-Identifier: Apache-2.0
"""Open a connection that must not be possible, such as a container's to the store. And run a function with the rights
of somebody else."""

import argparse
import ctypes
import os
import platform
import socket
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
OPEN, REFUSED, SILENT, UNREACHABLE = "open", "refused", "no answer", "unreachable"
NOBODY = 65534
_SETRESUID = {"x86_64": 117, "aarch64": 147}


def reach(host: str, port: int, seconds: float = 5.0) -> str:
    """Return what a TCP connection to the port meets: OPEN, REFUSED, SILENT or UNREACHABLE."""
    try:
        socket.create_connection((host, port), seconds).close()
    except ConnectionRefusedError:
        return REFUSED
    except TimeoutError:
        return SILENT
    except OSError:
        return UNREACHABLE
    return OPEN


def as_nobody(function: Callable[[], T]) -> T:
    """Call a function with the rights of an unprivileged user, in a thread that ends afterwards: it never gets its own
    rights back. The other threads keep theirs."""
    # The system call, which concerns one thread; libc's function of this name concerns all.
    if ctypes.CDLL(None, use_errno=True).syscall(_SETRESUID[platform.machine()], NOBODY, NOBODY, NOBODY) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return function()


def main() -> None:
    """Open a connection."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.access", description=__doc__)
    parser.add_argument("host", help="an address")
    parser.add_argument("port", type=int, help="of TCP")
    given = parser.parse_args()
    print(reach(given.host, given.port))


if __name__ == "__main__":
    main()
