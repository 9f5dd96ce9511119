# SPDX-License-Identifier: Apache-2.0
"""Run a program of the kernel path on a frame, without any interface but the loopback (BPF_PROG_TEST_RUN)."""

import ctypes
import os
import platform
import struct

TEST_RUN = 10
SYSCALL = {"x86_64": 321, "aarch64": 280}
ATTRIBUTES = struct.Struct("=IIIIQQIIIIQQIII4x")  # union bpf_attr, its member `test`
CONTEXT_SIZE, IFINDEX, GSO_SEGS, GSO_SIZE = 192, 40, 164, 176  # struct __sk_buff (<linux/bpf.h>)
SHOT, REDIRECT = 2, 7  # TC_ACT_SHOT, TC_ACT_REDIRECT


def shortest(frame: bytes) -> int:
    """Return the most bytes of such a frame with which the kernel does not run a program."""
    return {b"\x08\x00": 33, b"\x86\xdd": 53}.get(frame[12:14], 14)


def run(fd: int, frame: bytes, *, ifindex: int = 1, gso_size: int = 0, gso_segs: int = 0) -> int:
    """Return what the program returns for a frame that arrives at the interface."""
    context = bytearray(CONTEXT_SIZE)
    for at, value in ((IFINDEX, ifindex), (GSO_SEGS, gso_segs), (GSO_SIZE, gso_size)):
        struct.pack_into("=I", context, at, value)
    given = (ctypes.c_char * len(frame)).from_buffer_copy(frame)
    about = (ctypes.c_char * CONTEXT_SIZE).from_buffer(context)
    asked = ATTRIBUTES.pack(
        fd, 0, len(frame), 0, ctypes.addressof(given), 0, 1, 0, CONTEXT_SIZE, 0, ctypes.addressof(about), 0, 0, 0, 0
    )
    attributes = ctypes.create_string_buffer(asked, len(asked))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SYSCALL[platform.machine()], TEST_RUN, attributes, len(asked)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(ATTRIBUTES.unpack(attributes.raw[: len(asked)])[1])
