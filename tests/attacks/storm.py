# SPDX-License-Identifier: Apache-2.0
"""Send broadcasts, each of which becomes a copy for every other port and host of the network."""

import argparse
import itertools

from tests.attacks import packet


def frame(mac: str) -> bytes:
    """A broadcast from this MAC address."""
    return packet.ethernet(mac, packet.BROADCAST, packet.LOCAL_EXPERIMENT, bytes(46))


def main() -> None:
    """Send them."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.storm", description=__doc__)
    parser.add_argument("interface", help="the container's interface, e.g. eth0")
    parser.add_argument("--count", type=int, default=200_000, help="of frames (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=20_000.0, help="frames a second (default: %(default)s)")
    given = parser.parse_args()
    made = itertools.repeat(frame(packet.mac_of(given.interface)), given.count)
    print(packet.stream(given.interface, made, given.rate), "broadcasts were sent")


if __name__ == "__main__":
    main()
