# SPDX-License-Identifier: Apache-2.0
"""Run `fastpath …` and append the name of each of its own Python functions to a file when it is entered.

python -m tests.trace.calls FILE daemon --config fastpath.toml

Several processes may share the file: a line is appended as a whole. A daemon's reconciler makes no passes of its own,
so that only what is asked for happens.
"""

import asyncio
import os
import sys
import threading
from types import FrameType
from typing import Any

from fastpath.control.cli.__main__ import main as fastpath
from fastpath.control.host.reconciler import Reconciler
from tests.trace.walks import ROOT

FOLDERS = tuple(f"{ROOT / folder}{os.sep}" for folder in ("control", "fastpath"))


def line(path: str, name: str) -> bytes | None:
    """Return the function as ARCHITECTURE.md names it; None where it is not one of fastpath's."""
    path = os.path.realpath(path)
    if not path.startswith(FOLDERS):
        return None
    return f"{path.removeprefix(f'{ROOT}{os.sep}')}: {name}\n".encode()


def record(file: str) -> None:
    """Record the calls of this thread, and of those that start from now on."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    lines: dict[Any, bytes | None] = {}

    def enter(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            code = frame.f_code
            if code not in lines:
                lines[code] = line(code.co_filename, code.co_qualname)
            if (text := lines[code]) is not None:
                os.write(fd, text)

    threading.setprofile(enter)
    sys.setprofile(enter)


async def _no_passes(self: Reconciler, interval: float) -> None:
    await asyncio.Event().wait()


def main() -> None:
    """Record, then be `fastpath`."""
    file, *sys.argv[1:] = sys.argv[1:]
    Reconciler.run = _no_passes  # type: ignore[method-assign]

    record(file)
    fastpath()


if __name__ == "__main__":
    main()
