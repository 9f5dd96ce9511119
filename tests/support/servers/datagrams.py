# SPDX-License-Identifier: Apache-2.0
"""Numbered datagrams between two containers, in both directions, of which none may be lost.

ping does not tell that: once one answer came, it waits for the last ones twice as long as the slowest took, and a busy
machine is later than that."""

import socket
import threading

from fastpath.bench.common import namespaces as base
from tests.support.hosts.hosts import DEADLINE_S

PAUSE_S = 0.02
PORT = 5001


class Datagrams:
    """They are sent until `end` is called."""

    def __init__(self, one: base.Namespace, other: base.Namespace, address: str) -> None:
        """Send from `one` to `address`, which `other` has, and back."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def there() -> socket.socket:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.bind((address, PORT))
            return sock

        def here() -> socket.socket:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.connect((address, PORT))
            return sock

        theirs, ours = other.inside(there), one.inside(here)
        theirs.connect(ours.getsockname()[:2])
        self._ends = (ours, theirs)
        self._sent = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        while not self._ending.wait(PAUSE_S):
            for end in self._ends:
                end.send(b"%d" % self._sent)
            self._sent += 1

    def end(self) -> None:
        """Wait until all that were sent have arrived."""
        self._ending.set()
        self._thread.join()
        for number, end in enumerate(self._ends):
            left = set(range(self._sent))
            end.settimeout(DEADLINE_S)
            try:
                while left:
                    left.discard(int(end.recv(64)))
            except TimeoutError:
                raise AssertionError(f"of {self._sent} to end {number} these are lost: {sorted(left)}") from None
        for end in self._ends:
            end.close()
