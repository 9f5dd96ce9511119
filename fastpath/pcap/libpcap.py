# SPDX-License-Identifier: Apache-2.0
"""Capture filters in tcpdump's language (pcap-filter(7)), compiled by libpcap.

libpcap is loaded when the first filter is compiled; without filters it is not needed.
"""

import ctypes
import functools
import struct
from dataclasses import dataclass

from fastpath.errors import RefusedError, UsageError

DLT_ETHERNET, DLT_RAW = 1, 12  # <pcap/dlt.h>, on Linux

_NAMES = ("libpcap.so.0.8", "libpcap.so.1")  # Debian's, everybody else's
_MAX_LENGTH = 2000  # characters; libpcap takes a second for these, and eight for twice as many
_MAX_INSTRUCTIONS = 4096  # the kernel's own limit, BPF_MAXINSNS
_INSTRUCTION = struct.Struct("=HBBI")  # struct bpf_insn
_JUMP = 0x05  # BPF_JMP + BPF_JA; its operand is signed
_NETMASK_UNKNOWN = 0xFFFFFFFF


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


@dataclass(frozen=True)
class Filter:
    """A compiled filter: `program` is an array of struct bpf_insn, `function` the address of libpcap's
    `bpf_filter`, which runs it and reads nothing outside of the bytes that it is given."""

    program: bytes
    function: int


@functools.cache
def _library() -> ctypes.CDLL:
    """Return libpcap. Raise RefusedError if it is not installed."""
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pcap_open_dead.restype = ctypes.c_void_p
        library.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
        library.pcap_compile.argtypes = (
            ctypes.c_void_p,
            ctypes.POINTER(_Program),
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_uint,
        )
        library.pcap_geterr.restype = ctypes.c_char_p
        library.pcap_geterr.argtypes = (ctypes.c_void_p,)
        library.pcap_freecode.argtypes = (ctypes.POINTER(_Program),)
        library.pcap_freecode.restype = None
        library.pcap_close.argtypes = (ctypes.c_void_p,)
        library.pcap_close.restype = None
        return library
    raise RefusedError("a filter needs libpcap, which is not installed: install it (Debian: libpcap0.8)")


def compile_filter(expression: str, dlt: int, snaplen: int) -> Filter:
    """Compile tcpdump's `expression` for packets of this DLT_ type. libpcap may resolve names.

    Raise UsageError with libpcap's message, and RefusedError if libpcap is not installed.
    """
    if "\0" in expression or len(expression) > _MAX_LENGTH:
        raise UsageError(f"a filter is text of at most {_MAX_LENGTH} characters")
    library = _library()
    handle = library.pcap_open_dead(dlt, snaplen)
    if not handle:
        raise RefusedError("not enough memory for a filter")
    try:
        compiled = _Program()
        text = expression.encode(errors="replace")
        if library.pcap_compile(handle, ctypes.byref(compiled), text, 1, _NETMASK_UNKNOWN) != 0:
            why = library.pcap_geterr(handle).decode(errors="replace")
            raise UsageError(f'filter "{expression}": {" ".join(why.split())}')
        size = compiled.length * _INSTRUCTION.size
        program = ctypes.string_at(compiled.instructions, size)
        library.pcap_freecode(ctypes.byref(compiled))
    finally:
        library.pcap_close(handle)
    _check(program, expression)
    return Filter(program, ctypes.cast(library.bpf_filter, ctypes.c_void_p).value or 0)


def _check(program: bytes, expression: str) -> None:
    """Raise UsageError unless the program runs in a bounded, short time: frames wait meanwhile."""
    if len(program) > _MAX_INSTRUCTIONS * _INSTRUCTION.size:
        raise UsageError(f"a filter of {len(expression)} characters is too long: it became too many instructions")
    for code, _, _, operand in _INSTRUCTION.iter_unpack(program):
        if code == _JUMP and operand >> 31:
            raise UsageError(f'filter "{expression}": it loops (protochain), which would hold up frames')
