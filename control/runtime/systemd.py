# SPDX-License-Identifier: Apache-2.0
"""Notify systemd, as sd_notify(3) does, if it asks for that."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping

from fastpath.text import printable


class Notifier:
    """`address` is the socket to notify, or None. `watchdog` is the number of seconds of silence after which systemd
    restarts the daemon, or None."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.address: str | None = None
        self.watchdog: float | None = None
        path = environ.get("NOTIFY_SOCKET", "")
        if path.startswith(("/", "@")):
            self.address = "\0" + path[1:] if path.startswith("@") else path  # @: in the abstract namespace, unix(7)
        microseconds = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        if ours and microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0:
            self.watchdog = int(microseconds) / 1e6

    def ready(self, status: str) -> None:
        """Notify that the daemon is ready, so that units that wait for it start."""
        self._send("READY=1", _status(status))

    def status(self, status: str) -> None:
        """Set the line of `systemctl status`."""
        self._send(_status(status))

    def stopping(self, status: str = "stopping") -> None:
        """Notify that the daemon is ending."""
        self._send("STOPPING=1", _status(status))

    def fail(self) -> None:
        """Let systemd restart the daemon now, if it watches it. Callable from any thread."""
        if self.watchdog is not None:
            self._send("WATCHDOG=trigger", _status("a worker hangs or has ended"))

    async def beat(self, well: Callable[[], bool]) -> None:
        """Notify the watchdog twice in its interval while all is `well`, until cancelled; an event loop that hangs does
        not."""
        if self.address is None or self.watchdog is None:
            return
        while True:
            if well():
                self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog / 2)

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        # Never waits, and never fails: the overlay is more important than reports about it.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), self.address)


def _status(text: str) -> str:
    return "STATUS=" + printable(" ".join(text.split()))
