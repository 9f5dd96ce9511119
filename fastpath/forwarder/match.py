# SPDX-License-Identifier: Apache-2.0
"""Filters over bursts, for rules in a file or on a command line.

web = Match({"dst_ip": "10.0.0.0/8", "protocol": "tcp", "dst_port": [80, 443, "8000-8999"]})
burst.out[web(burst)] = DROP
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastpath.addresses import parse_mac
from fastpath.errors import UsageError
from fastpath.forwarder.burst import Burst
from fastpath.forwarder.record import RECORD

Mask: TypeAlias = NDArray[np.bool_]
Test: TypeAlias = Callable[[Burst], Mask]

NAMES = {
    "protocol": {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132},
    "ethertype": {"ip": 0x0800, "arp": 0x0806, "ip6": 0x86DD},
}
ADDRESSES = ("src_ip", "dst_ip")
MACS = ("src_mac", "dst_mac")
NUMBERS = (
    "vlan",
    "length",
    "segments",
    "ethertype",
    "src_port",
    "dst_port",
    "ip_version",
    "protocol",
    "tos",
    "ttl",
    "fragment",
)
WORDS = ("from", *MACS, *ADDRESSES, *NUMBERS)


class Match:
    """Which frames of a burst have all of the wanted properties; called with a Burst, it returns a mask.

    `wanted` has a value, or a list of values of which one is enough, for each property: `src_mac` and `dst_mac`
    (an address, or ADDRESS/MASK), `src_ip` and `dst_ip` (an address or prefix, IPv4 or IPv6), `from` ("port" or
    "remote"), and the columns of numbers (a number, "LOW-HIGH", or a name such as "tcp" or "arp"). Numbers may be
    text. Nothing wanted matches everything. Raises UsageError.
    """

    def __init__(self, wanted: Mapping[str, object]) -> None:
        self.tests = [any_of(column, value) for column, value in wanted.items()]

    def __call__(self, burst: Burst) -> Mask:
        """Return a mask over the frames of the burst."""
        result = np.ones(len(burst), np.bool_)
        for test in self.tests:
            result &= test(burst)
        return result

    @classmethod
    def parse(cls, words: Iterable[str]) -> "Match":
        """Return the filter for words such as `dst_port=443`. A repeated word is an alternative value."""
        wanted: dict[str, list[str]] = {}
        for word in words:
            column, equals, value = word.partition("=")
            if not equals:
                raise UsageError(f'"{word}" matches nothing: write it like dst_port=443')
            wanted.setdefault(column, []).append(value)
        return cls(wanted)


def any_of(column: str, value: object) -> Test:
    """Return the test for one property."""
    if column not in WORDS:
        raise UsageError(f'nothing can be matched by "{column}": there are {", ".join(WORDS)}')
    tests = [single(column, one) for one in (value if isinstance(value, list) else [value])]
    return lambda burst: np.logical_or.reduce([test(burst) for test in tests], axis=0, initial=False)


def single(column: str, value: object) -> Test:
    """Return the test for one value of a property."""
    text = str(value)
    if column == "from":
        return side(text)
    if column in MACS:
        return mac(column, text)
    if column in ADDRESSES:
        return network(column, text)
    return number(column, text)


def side(text: str) -> Test:
    """Return the test for where a frame came from, a port or a remote."""
    if text not in ("port", "remote"):
        raise UsageError(f'"{text}" is not where a frame comes from: write port or remote')
    return lambda burst: burst.from_port if text == "port" else burst.from_remote


def mac(column: str, text: str) -> Test:
    """Return the test for a MAC address, or for addresses that are equal to it in the bits of a mask."""
    address, slash, mask_text = text.partition("/")
    mask = parse_mac(mask_text) if slash else (1 << 48) - 1
    wanted = parse_mac(address) & mask
    return lambda burst: getattr(burst, column) & np.uint64(mask) == np.uint64(wanted)


def network(column: str, text: str) -> Test:
    """Return the test for an IPv4 or IPv6 prefix."""
    try:
        prefix = ipaddress.ip_network(text)
    except ValueError as error:
        raise UsageError(f'invalid address or prefix "{text}" ({error}): write it like 10.0.0.0/8 or fd00::5') from None
    if isinstance(prefix, ipaddress.IPv4Network):
        mask4, wanted4 = np.uint32(int(prefix.netmask)), np.uint32(int(prefix.network_address))
        return lambda burst: (burst.ip_version == 4) & (getattr(burst, column) & mask4 == wanted4)
    mask6, wanted6 = halves(prefix.netmask), halves(prefix.network_address)
    return lambda burst: (burst.ip_version == 6) & (getattr(burst, column + "6") & mask6 == wanted6).all(axis=1)


def halves(address: ipaddress.IPv6Address) -> NDArray[np.uint64]:
    """Return an IPv6 address in the form of the columns."""
    return np.array(divmod(int(address), 1 << 64), np.uint64)


def number(column: str, text: str) -> Test:
    """Return the test for a number, a range, or a name."""
    low, high = bounds(column, text)
    return lambda burst: (getattr(burst, column) >= low) & (getattr(burst, column) <= high)


def bounds(column: str, text: str) -> tuple[Any, Any]:
    """Return the lowest and the highest number that match, in the column's type."""
    kind = RECORD[column].type
    first, dash, last = text.partition("-")
    try:
        low = NAMES.get(column, {}).get(first) or int(first, 0)
        high = int(last, 0) if dash else low
        if not 0 <= low <= high <= int(np.iinfo(kind).max):
            raise ValueError
    except ValueError:
        known = "".join(f", {name}" for name in NAMES.get(column, ()))
        raise UsageError(f'"{text}" is nothing that {column} can be: write a number or LOW-HIGH{known}') from None
    return kind(low), kind(high)
