# SPDX-License-Identifier: Apache-2.0
"""The server: `python -m tests.support.launch.server FD`, where FD is a socket on which it is asked to start things.

It has one thread, ever: a child of a process with threads may wait forever for a lock that one of them held.
It ends when nobody can ask any more; what it started goes on.
"""

import atexit
import ctypes
import gc
import importlib
import os
import selectors
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fastpath.control.cli.__main__ import main as fastpath
from fastpath.control.cli.main import COMMANDS
from fastpath.control.store.open import open_store
from tests.support.launch.request import ENDED, LONGEST, PID, Request

# What commands load when they are called.
LATE = (
    "fastpath.control.cli.common.requests",
    "fastpath.control.cli.reports.stats",
    "fastpath.control.daemon.services",
    "fastpath.control.device.run",
    "fastpath.control.dns.resolvers",
)
STORES = ("sqlite:///nowhere", "etcd://127.0.0.1")  # opened when they are used, which is never
SEPARATE = ("bench",)  # a program of its own
CLONE_NEWNET = 0x40000000
PR_CAPBSET_DROP = 24
CAPABILITIES_V3 = 0x20080522
LIBC = ctypes.CDLL(None, use_errno=True)


def load() -> None:
    """Import what the commands and the daemon need, once for all."""
    for name, (place, _) in COMMANDS.items():
        if name not in SEPARATE:
            importlib.import_module(place.partition(":")[0])
    for module in LATE:
        importlib.import_module(module)
    for url in STORES:
        open_store(url)
    assert len(os.listdir("/proc/self/task")) == 1, "an import started a thread"
    gc.collect()
    gc.freeze()  # else the children's collectors write to every page that they share


class Server:
    """Forks what it is asked for, and says how it ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._children: dict[int, tuple[int, socket.socket]] = {}  # by pidfd

    def run(self) -> Request | None:
        """Serve until nobody can ask; None then. In each child: return what it was started for."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    self._reap(key.fd)
                    continue
                data, fds, _, _ = socket.recv_fds(self._control, LONGEST, 4)
                if not data:
                    return None
                if (request := self._start(Request.unpack(data), fds)) is not None:
                    return request

    def _start(self, request: Request, fds: list[int]) -> Request | None:
        *standard, answers = fds
        pid = os.fork()
        if pid == 0:
            self._leave()
            for number, fd in enumerate(standard):
                os.dup2(fd, number)
            for fd in fds:
                os.close(fd)
            return request
        for fd in standard:
            os.close(fd)
        answer = socket.socket(fileno=answers)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid, answer
        self._selector.register(pidfd, selectors.EVENT_READ)
        with suppress(OSError):  # who asked may have ended
            answer.send(PID.pack(pid))
        return None

    def _reap(self, pidfd: int) -> None:
        self._selector.unregister(pidfd)
        pid, answer = self._children.pop(pidfd)
        os.close(pidfd)
        _, status, used = os.wait4(pid, 0)
        with answer, suppress(OSError):
            answer.send(ENDED.pack(status, used.ru_utime + used.ru_stime))

    def _leave(self) -> None:
        """Close in a child what belongs to the server."""
        self._selector.close()
        self._control.close()
        for pidfd, (_, answer) in self._children.items():
            os.close(pidfd)
            answer.close()


def become(request: Request) -> None:
    """Take on what was asked for: as `nsenter` and `setpriv` do."""
    if request.namespace is not None:
        with Path("/run/netns", request.namespace).open("rb") as file:
            _checked(LIBC.setns(file.fileno(), CLONE_NEWNET), "setns")
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(request.folder)
    sys.argv = ["fastpath", *request.words]
    if request.capabilities is not None:
        _keep(request.capabilities)


def _keep(capabilities: Sequence[int]) -> None:
    """Lose all other capabilities, for good: a program that is called gets none of them back."""
    for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        if number not in capabilities:
            _checked(LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), "PR_CAPBSET_DROP")
    kept = sum(1 << number for number in capabilities)
    header = struct.pack("=Ii", CAPABILITIES_V3, 0)
    # Effective, permitted, inheritable: of the capabilities 0 to 31, then of the others.
    sets = struct.pack("=6I", kept & 0xFFFFFFFF, kept & 0xFFFFFFFF, 0, kept >> 32, kept >> 32, 0)
    _checked(LIBC.capset(header, sets), "capset")


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def call() -> int:
    """`fastpath …`, as sys.argv has it; its exit status."""
    try:
        fastpath(prog_name="fastpath")
    except SystemExit as error:  # click ends with a number in any case
        return int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end(status: int) -> None:
    """End a child as Python itself ends: but don't tear down a thousand modules, which takes longer than most commands.
    (multiprocessing does the same.)"""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody may read it any more
            stream.flush()
    os._exit(status)


def main() -> None:
    """Serve; or, in a child, be `fastpath`."""
    control = socket.socket(fileno=int(sys.argv[1]))
    load()
    request = Server(control).run()
    if request is not None:
        become(request)
        end(call())


if __name__ == "__main__":
    main()
