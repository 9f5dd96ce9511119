# SPDX-License-Identifier: Apache-2.0
"""One network in the kernel path of this host: its ports, its vxlan device, and the addresses behind both
(docs/kernel-path.md).

A destination goes first and comes last: whatever changes in between, the engine carries the frames.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastpath.addresses import IPAddress

if TYPE_CHECKING:
    from fastpath.engine.stats import Traffic
    from fastpath.kernelpath.path import Destination, KernelPath


@dataclass(frozen=True)
class Place:
    """The ifindexes of an endpoint's interfaces in the pen, as the maps want them."""

    veth: int
    tap: int


@dataclass(frozen=True)
class Reach:
    """How the kernel path reaches a MAC address: by interfaces of this host (`place`), or at a VTEP, with IP packets of
    up to `mtu` bytes; 0: this host sends it nothing by the kernel path. It may send from the addresses `senders`; None:
    from any."""

    mac: str
    senders: frozenset[IPAddress] | None
    place: Place | None = None
    vtep: IPAddress | None = None
    mtu: int = 0


class TunnelTable(Protocol):
    """The addresses that a vxlan device knows (Pen)."""

    def set_tunnel_entry(self, vni: int, mac: str, vtep: IPAddress) -> None:
        """Send frames for a MAC address to a VTEP."""

    def delete_tunnel_entry(self, vni: int, mac: str, vtep: IPAddress) -> None:
        """Send nothing more there. No error if there is no such entry."""


class KernelNetwork:
    """Its methods are for one thread at a time. `places` are those of this host's endpoints, by id; `publish` tells the
    guard who may send."""

    def __init__(
        self,
        path: "KernelPath",
        vni: int,
        table: TunnelTable,
        places: Mapping[str, Place],
        tell: Callable[[], object] = lambda: None,
    ) -> None:
        self.places = places
        self.tunnel: int | None = None
        self.on = False
        self._path = path
        self.vni = vni
        self._table = table
        self._tell = tell
        self._told = True
        self._reaches: dict[str, Reach] = {}
        self._ports: dict[str, Place] = {}  # they stay when the engine alone carries an endpoint's frames
        self._owners: dict[str, str] = {}  # of MAC addresses: the endpoint that was told last
        self._vteps: Counter[IPAddress] = Counter()
        self._gone: set[IPAddress] = set()  # VTEPs whose counters are there still

    @property
    def vteps(self) -> frozenset[IPAddress]:
        """Return who may send for this network."""
        return frozenset(self._vteps)

    def sends_to(self, mac: str) -> bool:
        """Return whether the map says that frames to a remote MAC address go by the kernel path, as an earlier process
        may have left it."""
        destination = self._path.destination(self.vni, mac)
        return destination is not None and bool(destination.mtu)

    def switch(self, on: bool) -> None:
        """Let this host's endpoints send by the kernel path, or by the engine only. What comes in is accepted."""
        if on == self.on:
            return
        self.on = on
        for place in self._ports.values():
            self._set_port(place)

    def use_tunnel(self, ifindex: int | None) -> None:
        """Use another vxlan device, or none."""
        if ifindex == self.tunnel:
            return
        remote = {identity: reach for identity, reach in self._reaches.items() if reach.place is None}
        for identity in remote:
            self.withdraw(identity)
        if self.tunnel is not None:
            self._path.delete_tunnel(self.tunnel)
        self.tunnel = ifindex
        if ifindex is not None:
            self._path.set_tunnel(ifindex, self.vni)
            for identity, reach in remote.items():
                self.set(identity, reach)

    @contextmanager
    def changing(self, identity: str, reach: Reach | None) -> Iterator[None]:
        """Within, the engine is told of an endpoint: meanwhile it alone carries the endpoint's frames."""
        if self._reaches.get(identity) != reach:
            self.withdraw(identity)
        yield
        self.set(identity, reach)

    def set(self, identity: str, reach: Reach | None) -> None:
        """Reach an endpoint so from now on; None: by the engine. Raise RefusedError, for example if a map is full: then
        the engine carries its frames."""
        if reach is not None and reach.place is None and self.tunnel is None:
            reach = None
        if self._reaches.get(identity) == reach:
            return
        self.withdraw(identity)
        if reach is None:
            return
        if (other := self._owners.get(reach.mac)) is not None:
            self.withdraw(other)
        self._reaches[identity], self._owners[reach.mac] = reach, identity
        if reach.place is not None:
            former, self._ports[identity] = self._ports.get(identity), reach.place
            if former is not None and former != reach.place:
                self._path.delete_port(former.veth)
            self._set_port(reach.place)
            self._path.set_sender(reach.place.veth, reach.mac, reach.senders)
        elif reach.vtep is not None and self.tunnel is not None:
            self._join(reach.vtep, 1)
            self._table.set_tunnel_entry(self.vni, reach.mac, reach.vtep)
            self._path.set_sender(self.tunnel, reach.mac, reach.senders)
        self._path.set_destination(self.vni, reach.mac, self._destination(reach))

    def withdraw(self, identity: str) -> None:
        """Leave an endpoint to the engine. Its port stays one, of which the engine gets all frames."""
        reach = self._reaches.pop(identity, None)
        if reach is None or self._owners.get(reach.mac) != identity:
            return
        del self._owners[reach.mac]
        self._path.delete_destination(self.vni, reach.mac)
        if reach.place is not None:
            self._path.delete_sender(reach.place.veth, reach.mac)
        elif reach.vtep is not None and self.tunnel is not None:
            self._path.delete_sender(self.tunnel, reach.mac)
            self._table.delete_tunnel_entry(self.vni, reach.mac, reach.vtep)
            self._join(reach.vtep, -1)

    def remove_port(self, identity: str) -> None:
        """Drop what an endpoint of this host sends, and what it is sent: its interfaces are about to go."""
        self.withdraw(identity)
        if (place := self._ports.pop(identity, None)) is not None:
            self._path.delete_port(place.veth)

    def remove(self) -> None:
        """Remove all ports, and leave the rest to the engine."""
        for identity in [*self._reaches, *self._ports]:
            self.remove_port(identity)
        self.use_tunnel(None)

    # What the maps should contain, for fastpath/kernelpath/sync.py.

    @property
    def ports(self) -> dict[int, tuple[int, int, bool]]:
        """Return (VNI, TAP, whether it is on) by port."""
        return {place.veth: (self.vni, place.tap, self.on) for place in self._ports.values()}

    @property
    def tunnels(self) -> dict[int, int]:
        """Return the VNI of the vxlan device."""
        return {self.tunnel: self.vni} if self.tunnel is not None else {}

    @property
    def senders(self) -> dict[tuple[int, str], frozenset[IPAddress] | None]:
        """Return the addresses by (port or vxlan device, MAC address)."""
        return {(self._scope(reach), reach.mac): reach.senders for reach in self._reaches.values()}

    @property
    def destinations(self) -> "dict[tuple[int, str], Destination]":
        """Return the destinations by (VNI, MAC address)."""
        return {(self.vni, reach.mac): self._destination(reach) for reach in self._reaches.values()}

    @property
    def tunnel_entries(self) -> dict[str, IPAddress]:
        """Return the VTEPs by MAC address."""
        return {reach.mac: reach.vtep for reach in self._reaches.values() if reach.vtep is not None}

    def _scope(self, reach: Reach) -> int:
        return reach.place.veth if reach.place is not None else self.tunnel or 0

    def _destination(self, reach: Reach) -> "Destination":
        from fastpath.kernelpath.path import Destination, peer_number  # noqa: PLC0415  # which not every installation has

        if reach.place is not None:
            return Destination(reach.place.veth)
        return Destination(self.tunnel or 0, reach.mtu, peer_number(reach.vtep) if reach.vtep is not None else 0)

    def _set_port(self, place: Place) -> None:
        self._path.set_port(place.veth, vni=self.vni, tap=place.tap, on=self.on)

    def _join(self, vtep: IPAddress, number: int) -> None:
        before = vtep in self._vteps
        self._vteps[vtep] += number
        if self._vteps[vtep] <= 0:
            del self._vteps[vtep]
            self._gone.add(vtep)
        if before != (vtep in self._vteps):
            self._told = False

    def publish(self) -> None:
        """Have it told who may send, if that changed."""
        if not self._told:
            self._told = True
            self._tell()
        self._forget_remotes()

    def _forget_remotes(self) -> None:
        """Drop the counters of VTEPs that are gone. One that is told of again at once keeps its own."""
        from fastpath.kernelpath.path import peer_number  # noqa: PLC0415

        for vtep in self._gone.difference(self._vteps):
            self._path.forget_remote(self.vni, peer_number(vtep))
        self._gone.clear()

    @property
    def traffic(self) -> tuple[dict[str, "Traffic"], dict[IPAddress, "Traffic"]]:
        """Return what was carried, by the ids of endpoints of this host and by VTEP. For any thread."""
        from fastpath.kernelpath.path import peer_number  # noqa: PLC0415

        ports = {identity: self._path.port_traffic(place.veth) for identity, place in list(self._ports.items())}
        return ports, {vtep: self._path.remote_traffic(self.vni, peer_number(vtep)) for vtep in list(self._vteps)}
