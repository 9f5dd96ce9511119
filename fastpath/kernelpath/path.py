# SPDX-License-Identifier: Apache-2.0
"""What the kernel path knows of ports, senders and destinations: the maps of its programs (src/bpf/entries.h).

Whatever is not in the maps goes to the engine, or is dropped. So an entry is added last when something comes, and
deleted first when it goes.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from fastpath.addresses import IPAddress, MacAddress, format_mac, is_group, parse_host, parse_mac
from fastpath.engine.stats import Traffic
from fastpath.errors import RefusedError, UsageError
from fastpath.kernelpath import OBJECT, unavailable
from fastpath.kernelpath.programs import VERDICT_SENTENCES, Map, Program, Programs

_INDEX = struct.Struct("=I")
_PORT = struct.Struct("=III")
_MAC = struct.Struct("=I6sH")
_DESTINATION = struct.Struct("=IIII")
_REMOTE_KEY = struct.Struct("=II")
_SENDER = struct.Struct("=I6sH16s")
_TRAFFIC = struct.Struct("=QQQQ")
_COUNTER = struct.Struct("=Q")
_ON, _ITSELF, _ANY_ADDRESS = 1, 0, 1
_LOCAL, _REMOTE = 1, 2
_SIZES = {
    "fp_ports": (_INDEX, _PORT),
    "fp_taps": (_INDEX, _INDEX),
    "fp_tunnels": (_INDEX, _INDEX),
    "fp_senders": (_SENDER, _INDEX),
    "fp_destinations": (_MAC, _DESTINATION),
}
PREFIX = "fp_from_"
"""How the names of our programs begin, also in the kernel."""


@dataclass(frozen=True)
class Destination:
    """Where the frames to a MAC address go: to a port (`mtu` is None) or to the vxlan device with that ifindex. `mtu`
    is the longest IP packet, in bytes, that fits the path to the remote, and `peer` the number of its host."""

    ifindex: int
    mtu: int | None = None
    peer: int = 0


def peer_number(vtep: IPAddress) -> int:
    """Return the number by which a host's traffic is counted: its IPv4 address, or a hash of its IPv6 address. Two
    hosts that have the same one are counted together."""
    return int(vtep) if vtep.version == 4 else zlib.crc32(vtep.packed)


class KernelPath:
    """The kernel path of a host. Interfaces are named by their ifindex in the pen, the namespace of all of them.

    `filters` are the numbers of our programs that run already: their maps are taken over, with what they know. Raise
    RefusedError if this installation or this kernel has no kernel path.
    """

    def __init__(self, filters: Iterable[int] = ()) -> None:
        if reason := unavailable():
            raise RefusedError(f"there is no kernel path: {reason}")
        self._programs = Programs(OBJECT, filters)
        self._maps = self._programs.maps
        for name, sizes in _SIZES.items():
            if (self._maps[name].key_size, self._maps[name].value_size) != tuple(part.size for part in sizes):
                raise RefusedError(f"{OBJECT} is of another version of fastpath: build again")
        self._senders: dict[tuple[int, bytes], set[bytes]] = {}  # the keys of each: the map is not sorted
        for key in self._maps["fp_senders"].keys():  # noqa: SIM118  # a Map
            scope, mac, _, _ = _SENDER.unpack(key)
            self._senders.setdefault((scope, mac), set()).add(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the programs and maps. What is attached goes on."""
        self._programs.close()

    @property
    def taken_over(self) -> bool:
        """Whether the maps are those of an earlier process."""
        return self._programs.taken_over

    @property
    def from_port(self) -> Program:
        """The program for the host end of a container's veth."""
        return self._programs.programs["fp_from_port"]

    @property
    def from_tunnel(self) -> Program:
        """The program for a network's vxlan device."""
        return self._programs.programs["fp_from_tunnel"]

    @property
    def from_engine(self) -> Program:
        """The program for an engine's TAP."""
        return self._programs.programs["fp_from_engine"]

    def set_port(self, ifindex: int, *, vni: int, tap: int, on: bool) -> None:
        """Make an interface a port of a network, with the TAP by which it reaches the engine. If it is not `on`, the
        engine gets all that it sends."""
        self._set_default("fp_port_traffic", _INDEX.pack(ifindex))
        self._maps["fp_taps"].set(_INDEX.pack(tap), _INDEX.pack(ifindex))
        self._maps["fp_ports"].set(_INDEX.pack(ifindex), _PORT.pack(vni, tap, _ON if on else 0))

    def delete_port(self, ifindex: int) -> None:
        """Drop whatever comes from the port, and for it, from now on."""
        key = _INDEX.pack(ifindex)
        known = self._maps["fp_ports"].get(key)
        self._maps["fp_ports"].delete(key)
        if known is not None:
            self._maps["fp_taps"].delete(_INDEX.pack(_PORT.unpack(known)[1]))
        self._maps["fp_port_traffic"].delete(key)

    @property
    def ports(self) -> dict[int, tuple[int, int, bool]]:
        """(VNI, ifindex of the TAP, whether it is on) by ifindex."""
        return {index: (vni, tap, bool(flags & _ON)) for index, (vni, tap, flags) in self._items("fp_ports", _PORT)}

    def set_tunnel(self, ifindex: int, vni: int) -> None:
        """Accept what arrives by a vxlan device for this network."""
        self._maps["fp_tunnels"].set(_INDEX.pack(ifindex), _INDEX.pack(vni))

    def delete_tunnel(self, ifindex: int) -> None:
        """Drop whatever arrives by the device."""
        self._maps["fp_tunnels"].delete(_INDEX.pack(ifindex))

    @property
    def tunnels(self) -> dict[int, int]:
        """VNIs by ifindex."""
        return {index: vni for index, (vni,) in self._items("fp_tunnels", _INDEX)}

    def set_sender(self, scope: int, mac: MacAddress, addresses: Iterable[str | IPAddress] | None) -> None:
        """Let a MAC address send from a port, or, as an endpoint of another host, by a vxlan device (`scope` is the
        ifindex); with these IP addresses and its link-local ones, or with any (None). Others that it had are gone."""
        number = _checked(mac)
        known = self._senders.setdefault((scope, number), set())
        wanted = {_SENDER.pack(scope, number, _ITSELF, bytes(16))}
        for address in map(parse_host, addresses or ()):
            wanted.add(_SENDER.pack(scope, number, address.version, address.packed.rjust(16, b"\0")))
        for key in known - wanted:
            self._maps["fp_senders"].delete(key)
            known.remove(key)
        for key in wanted:
            any_address = addresses is None and _SENDER.unpack(key)[2] == _ITSELF
            self._maps["fp_senders"].set(key, _INDEX.pack(_ANY_ADDRESS if any_address else 0))
            known.add(key)

    def delete_sender(self, scope: int, mac: MacAddress) -> None:
        """Let a MAC address send no more."""
        for key in self._senders.pop((scope, _checked(mac)), ()):
            self._maps["fp_senders"].delete(key)

    @property
    def senders(self) -> dict[tuple[int, str], frozenset[IPAddress] | None]:
        """The addresses of each, None for any, by (scope, MAC address)."""
        return {
            (scope, format_mac(int.from_bytes(mac, "big"))): self._addresses(keys)
            for (scope, mac), keys in self._senders.items()
        }

    def _addresses(self, keys: Iterable[bytes]) -> frozenset[IPAddress] | None:
        found: set[IPAddress] = set()
        for key in keys:
            what, ip = _SENDER.unpack(key)[2:]
            if what != _ITSELF:
                found.add(IPv6Address(ip) if what == 6 else IPv4Address(ip[12:]))
            elif self._maps["fp_senders"].get(key) == _INDEX.pack(_ANY_ADDRESS):
                return None
        return frozenset(found)

    def set_destination(self, vni: int, mac: MacAddress, destination: Destination) -> None:
        """Let the frames of a network to a MAC address bypass the engine."""
        kind = _LOCAL if destination.mtu is None else _REMOTE
        if kind == _REMOTE:
            self._set_default("fp_remote_traffic", _REMOTE_KEY.pack(vni, destination.peer))
        value = _DESTINATION.pack(kind, destination.ifindex, destination.mtu or 0, destination.peer)
        self._maps["fp_destinations"].set(_MAC.pack(vni, _checked(mac), 0), value)

    def delete_destination(self, vni: int, mac: MacAddress) -> None:
        """Leave the frames to a MAC address to the engine."""
        self._maps["fp_destinations"].delete(_MAC.pack(vni, _checked(mac), 0))

    def destination(self, vni: int, mac: MacAddress) -> Destination | None:
        """Return where the frames to a MAC address go; None: to the engine."""
        value = self._maps["fp_destinations"].get(_MAC.pack(vni, _checked(mac), 0))
        return _destination(value) if value is not None else None

    @property
    def destinations(self) -> dict[tuple[int, str], Destination]:
        """All of them, by VNI and MAC address."""
        found = {}
        for key in self._maps["fp_destinations"].keys():  # noqa: SIM118  # a Map
            if (value := self._maps["fp_destinations"].get(key)) is not None:
                vni, mac, _ = _MAC.unpack(key)
                found[vni, format_mac(int.from_bytes(mac, "big"))] = _destination(value)
        return found

    def forget_remote(self, vni: int, peer: int) -> None:
        """Count no more what goes to a host, and comes from there, in a network."""
        self._maps["fp_remote_traffic"].delete(_REMOTE_KEY.pack(vni, peer))

    def port_traffic(self, ifindex: int) -> Traffic:
        """Return what the kernel path carried for a port, as the engine counts; zeros if it is none."""
        return _traffic(self._maps["fp_port_traffic"].get(_INDEX.pack(ifindex)))

    def remote_traffic(self, vni: int, peer: int) -> Traffic:
        """Return what the kernel path carried of a network to and from a host; zeros if there is none of it."""
        return _traffic(self._maps["fp_remote_traffic"].get(_REMOTE_KEY.pack(vni, peer)))

    def verdicts(self) -> dict[str, int]:
        """Return how many frames met which fate; VERDICT_SENTENCES tells what the names mean."""
        counters = self._maps["fp_verdicts"]
        return {
            name: sum(count for (count,) in _COUNTER.iter_unpack(counters.get(_INDEX.pack(number)) or b""))
            for number, name in enumerate(VERDICT_SENTENCES)
        }

    def _set_default(self, name: str, key: bytes) -> None:
        of: Map = self._maps[name]
        if of.get(key) is None:
            of.set(key, bytes(of.value_size))

    def _items(self, name: str, value: struct.Struct) -> Iterable[tuple[int, tuple[int, ...]]]:
        for key in self._maps[name].keys():  # noqa: SIM118  # a Map
            if (found := self._maps[name].get(key)) is not None:
                yield _INDEX.unpack(key)[0], value.unpack(found)


def _destination(value: bytes) -> Destination:
    kind, ifindex, mtu, peer = _DESTINATION.unpack(value)
    return Destination(ifindex, mtu if kind == _REMOTE else None, peer)


def _traffic(value: bytes | None) -> Traffic:
    """Add up the counters of all CPUs."""
    return Traffic(*map(sum, zip((0,) * 4, *_TRAFFIC.iter_unpack(value or b""), strict=True)))


def _checked(mac: MacAddress) -> bytes:
    number = parse_mac(mac)
    if number == 0 or is_group(number):
        raise UsageError(f"{format_mac(number)} is not the address of one host")
    return number.to_bytes(6, "big")
