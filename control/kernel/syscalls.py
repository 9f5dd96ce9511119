# SPDX-License-Identifier: Apache-2.0
"""System calls for network namespaces, which Python 3.11 lacks. They raise OSError. Entering or leaving a namespace
affects the calling thread only (setns(2), unshare(2))."""

import ctypes
import os

CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED, MNT_DETACH = 0x1000, 0x4000, 1 << 20, 2
NS_GET_NSTYPE = 0xB703  # <linux/nsfs.h>

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter_namespace(fd: int) -> None:
    """Move the calling thread into the network namespace."""
    _call("setns", ctypes.c_int(fd), ctypes.c_int(CLONE_NEWNET))


def new_namespace() -> None:
    """Move the calling thread into a new network namespace."""
    _call("unshare", ctypes.c_int(CLONE_NEWNET))


def mount(source: str, target: str, flags: int) -> None:
    """Call mount(2), for bind mounts and changes of propagation."""
    _call("mount", source.encode(), target.encode(), b"none", ctypes.c_ulong(flags), None)


def unmount(target: str) -> None:
    """Call umount2(2), lazily."""
    _call("umount2", target.encode(), ctypes.c_int(MNT_DETACH))
