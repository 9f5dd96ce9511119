# SPDX-License-Identifier: Apache-2.0
"""A TCP connection between two containers that lasts as long as a test needs it."""

import hashlib
import random
import socket
import struct
import threading

from fastpath.bench.common import namespaces as base
from tests.support.hosts.hosts import wait_for

PAUSE_S = 0.005  # after each block of a stream: one without would take all processors for as long as a test lasts
# TCP waits twice as long after each attempt in vain: after two restarts of 20 s on a busy machine, nearly a minute.
PATIENCE_S = 300
_TOTAL_RETRANS = 100  # where struct tcp_info has it (<linux/tcp.h>)


def listener(where: base.Namespace, address: str) -> socket.socket:
    def make() -> socket.socket:
        sock = socket.create_server((address, 5000))
        sock.settimeout(PATIENCE_S)
        return sock

    return where.inside(make)


class Stream:
    """A TCP connection from one container to another that carries numbered blocks, until it is told to end."""

    def __init__(self, frm: base.Namespace, to: base.Namespace, address: str) -> None:
        server = listener(to, address)
        self._out = frm.inside(lambda: socket.create_connection((address, 5000), PATIENCE_S))
        self._in = server.accept()[0]
        self._in.settimeout(PATIENCE_S)
        server.close()
        self._sent, self._received = hashlib.sha256(), hashlib.sha256()
        self.bytes = 0
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        block = random.randbytes(1 << 16)
        while not self._ending.wait(PAUSE_S):
            self._out.sendall(block)
            self._sent.update(block)
        self._out.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        while data := self._in.recv(1 << 16):
            self._received.update(data)
            self.bytes += len(data)

    def flows(self) -> None:
        """Wait until more arrives."""
        before = self.bytes
        wait_for(lambda: self.bytes > before + (1 << 20), "more arrives", PATIENCE_S)

    def retransmitted(self) -> int:
        """How many segments were sent once more, so far."""
        info = self._out.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOTAL_RETRANS + 4)
        (count,) = struct.unpack_from("=I", info, _TOTAL_RETRANS)
        return int(count)

    def end(self) -> None:
        """All that was sent has to arrive."""
        self._ending.set()
        for thread in self._threads:
            thread.join(60)
        self._out.close()
        self._in.close()
        assert self._sent.digest() == self._received.digest()
