# SPDX-License-Identifier: Apache-2.0
"""Ask a resolver as fast as a socket takes it: `python -m tests.attacks.dns_flood 10.0.0.1 10000`."""

import argparse
import socket

import dns.message


def flood(server: str, port: int, questions: int, source: str | None = None) -> int:
    """Send so many questions, each for another name, and return how many the kernel took. Nothing is read."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    sent = 0
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if source is not None:
            sock.bind((source, 0))
        sock.connect((server, port))
        for number in range(questions):
            try:
                sock.send(dns.message.make_query(f"n{number}.example.com", "A").to_wire())
            except OSError:
                continue
            sent += 1
    return sent


def main() -> None:
    """Ask."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.dns_flood", description=__doc__)
    parser.add_argument("server", help="the resolver's address")
    parser.add_argument("questions", type=int, help="how many")
    parser.add_argument("--port", type=int, default=53, help="of UDP (default: %(default)s)")
    given = parser.parse_args()
    print(flood(given.server, given.port, given.questions), "questions were sent")


if __name__ == "__main__":
    main()
