# SPDX-License-Identifier: Apache-2.0
"""Open the files of a replay."""

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fastpath.errors import UsageError

STANDARD_INPUT = STANDARD_OUTPUT = "-"


@contextlib.contextmanager
def open_capture(name: str) -> Iterator[BinaryIO]:
    """Open the capture, without a buffer; `-` is standard input."""
    if name != STANDARD_INPUT:
        with open(name, "rb", buffering=0) as file:
            if file.seekable():
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            yield file
    elif sys.stdin is None or sys.stdin.isatty():
        raise UsageError("standard input is a terminal: pipe a capture into it")
    else:
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as file:
            yield file


def size_of(file: BinaryIO) -> int | None:
    """Return the size in bytes, or None if it is unknown."""
    return os.fstat(file.fileno()).st_size or None


@contextlib.contextmanager
def open_output(path: Path | None, capture: BinaryIO) -> Iterator[BinaryIO | None]:
    """Write a temporary file, and rename it when all went well: an existing file stays otherwise. A pipe or a device is
    written directly; `-` is standard output. Raise UsageError if the output is the capture itself."""
    if path is None:
        yield None
    elif str(path) == STANDARD_OUTPUT:
        if sys.stdout is None or sys.stdout.isatty():
            raise UsageError("standard output is a terminal: pipe it into a file or a program")
        _check_differs(os.fstat(sys.stdout.fileno()), capture, "standard output")
        with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as file:
            yield file
    elif path.exists() and not path.is_file():
        with path.open("wb", buffering=0) as file:
            yield file
    else:
        if path.exists():
            _check_differs(path.stat(), capture, str(path))
        target = path.resolve()
        descriptor, part = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                yield file
                os.fchmod(descriptor, target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
            os.replace(part, target)
        except BaseException:
            os.unlink(part)
            raise


def _check_differs(output: os.stat_result, capture: BinaryIO, name: str) -> None:
    given = os.fstat(capture.fileno())
    if stat.S_ISREG(given.st_mode) and os.path.samestat(output, given):
        raise UsageError(f"-o: {name} is the capture itself: name another file")


def _umask() -> int:
    """Return the umask, without setting it for a moment: it is that of all threads (proc_pid_status(5), Linux 4.7)."""
    status = Path("/proc/self/status").read_bytes()
    return int(next(line for line in status.splitlines() if line.startswith(b"Umask:")).split()[1], 8)
