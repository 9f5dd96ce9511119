# SPDX-License-Identifier: Apache-2.0
"""Send frames from made-up source MAC addresses, each another one, so that who learns them fills its table."""

import argparse
from collections.abc import Iterator

from tests.attacks import packet


def frames(to: str, addresses: int) -> Iterator[bytes]:
    """A frame to `to` from each of so many addresses."""
    for number in range(addresses):
        source = (0x02_66_00_00_00_00 | number).to_bytes(6, "big").hex(":")
        yield packet.ethernet(source, to, packet.LOCAL_EXPERIMENT, bytes(46))


def main() -> None:
    """Send them."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.fdb_flood", description=__doc__)
    parser.add_argument("interface", help="the container's interface, e.g. eth0")
    parser.add_argument("--to", default=packet.BROADCAST, help="MAC address in the network (default: %(default)s)")
    parser.add_argument("--addresses", type=int, default=300_000, help="how many (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=20_000.0, help="frames a second (default: %(default)s)")
    given = parser.parse_args()
    print(packet.stream(given.interface, frames(given.to, given.addresses), given.rate), "frames were sent")


if __name__ == "__main__":
    main()
