# SPDX-License-Identifier: Apache-2.0
"""A VXLAN device: an engine with one segment and one TAP."""

import contextlib
import os
import secrets
from collections.abc import Iterator

from fastpath import Engine, Port, Remote, TapPort, UsageError, VxlanLearning
from fastpath.addresses import format_mac, is_group, parse_mac
from fastpath.control.device.config import VxlanConfig
from fastpath.control.device.guard import DeviceGuard
from fastpath.control.device.requests import DeviceInfo, FdbChange, FdbFlush, FdbLine
from fastpath.control.host.guard.rules import MARK
from fastpath.control.kernel.netlink import Links, move_link, path_mtu
from fastpath.errors import ConflictError

FLOOD = "00:00:00:00:00:00"


class VxlanDevice:
    """A running device. If its creation fails, nothing is left. Closing it removes the interface and the guard."""

    def __init__(self, config: VxlanConfig) -> None:
        self.config = config
        self.mtu = config.mtu if config.mtu is not None else self._default_mtu()
        self.guard = DeviceGuard(config) if config.guard else None
        try:
            self._open(config)
        except BaseException:
            if self.guard is not None:
                self.guard.close()
            raise

    def _open(self, config: VxlanConfig) -> None:
        entries = max(1 << 16, config.maxaddress)
        self.engine = Engine(
            config.local,
            udp_port=config.dstport,
            workers=config.workers,
            ipv6=config.ipv6,
            source_ports=config.srcport,
            ttl=config.ttl,
            source_port_count=config.source_ports,
            fdb_entries=entries,
            fdb_reserve=0 if config.maxaddress else None,  # maxaddress bounds both kinds of entries, as the kernel's
            spin=config.spin,
            pin=config.pin,
            offloads=config.offloads,
            mark=MARK if config.guard else 0,
            freebind=True,  # as the kernel's device, which works as soon as the address is there
        )
        try:
            self.segment = self.engine.add_segment(
                config.id,
                learning=config.learning,
                ageing=config.ageing,
                max_entries=config.maxaddress or entries,
                forwarder=VxlanLearning(),
            )
            for remote in config.remote:
                self.segment.add_remote(remote)
            self.port = self._add_tap()
            self.up = False
        except BaseException:
            self.engine.close()
            raise

    def _add_tap(self) -> TapPort:
        """Create the interface. For another namespace, create it here with a unique name and move it: a TAP that is
        opened inside a namespace keeps that namespace alive."""
        config = self.config
        name = config.name if config.netns is None else f"fp-{secrets.token_hex(5)}"
        port = self.segment.add_tap(name, mtu=self.mtu, txqueuelen=config.txqueuelen)
        with Links() as links:
            links.limit_super_frames(links.get(name), self.mtu)
        if config.netns is not None:
            move_link(port.name, config.netns, config.name)
        return port

    def _default_mtu(self) -> int:
        config = self.config
        return max(68, min(path_mtu(config.local, config.remote) - config.overhead, config.largest_mtu))

    def close(self) -> None:
        """Stop, and remove the interface."""
        self.engine.close()
        if self.guard is not None:
            self.guard.close()

    def info(self) -> DeviceInfo:
        """Return the present settings."""
        config = self.config
        return DeviceInfo(
            ifname=config.name,
            id=config.id,
            local=str(config.local) if config.local is not None else None,
            remotes=tuple(self._text(remote) for remote in self.segment.remotes),
            dstport=config.dstport,
            srcport=config.srcport,
            ttl=config.ttl,
            learning=config.learning,
            ageing=config.ageing,
            maxaddress=config.maxaddress,
            mtu=self.mtu,
            netns=config.netns,
            workers=config.workers,
            pid=os.getpid(),
        )

    def _text(self, remote: Remote) -> str:
        if remote.udp_port == self.config.dstport:
            return str(remote.address)
        return f"{remote.address} port {remote.udp_port}"

    def _line(self, mac: str, to: Port | Remote, static: bool, age: int | None) -> FdbLine:
        remote = to if isinstance(to, Remote) else None
        return FdbLine(
            mac=mac,
            ifname=self.config.name,
            dst=str(remote.address) if remote is not None else None,
            port=remote.udp_port if remote is not None and remote.udp_port != self.config.dstport else None,
            state="permanent" if static else "",
            updated=age,
        )

    def look(self) -> None:
        """Forget what was learned, and learn nothing, while the interface is down, as the kernel's device does."""
        with contextlib.suppress(ConflictError):  # it was deleted
            self.up, before = self.port.up, self.up
            self.segment.learning = self.config.learning and self.up
            if before and not self.up:
                self.segment.fdb.flush()

    def fdb_show(self) -> Iterator[FdbLine]:
        """Yield all entries, the flood list first, as the kernel does."""
        self.look()
        for remote in self.segment.remotes:
            yield self._line(FLOOD, remote, True, None)
        for entry in self.segment.fdb.values():
            age = None if entry.static else entry.age
            for to in entry.to:
                yield self._line(entry.mac, to, entry.static, age)

    def fdb_change(self, change: FdbChange) -> None:
        """Add, append to, replace or delete an entry. Raise FastpathError."""
        mac = parse_mac(change.mac)
        if change.port is not None and change.dst is None:
            raise UsageError("port is the UDP port of dst: give dst as well")
        if change.dst is None and change.verb != "del":
            raise UsageError("an entry is for a remote: name it, e.g. dst 192.0.2.2")
        if mac == 0:
            self._change_flood_list(change)
        elif change.verb == "del":
            self.segment.fdb.delete(change.mac, self._to(change) if change.dst is not None else None)
        else:
            self._change_entry(change, mac)
        self._tell_guard()

    def _tell_guard(self) -> None:
        """Let the guard admit the remotes of the flood list and of static entries."""
        if self.guard is not None:
            static = [to for entry in self.segment.fdb.values() if entry.static for to in entry.to]
            remotes = [*self.segment.remotes, *(to for to in static if isinstance(to, Remote))]
            self.guard.set_remotes({remote.address for remote in remotes})

    def _to(self, change: FdbChange) -> Port | Remote:
        if change.dst is None:
            return self.port
        return self.segment.remote(change.dst, change.port)

    def _change_flood_list(self, change: FdbChange) -> None:
        """Change the flood list, which the all-zeros address stands for, see bridge(8)."""
        if change.dst is None:
            raise UsageError(f"{FLOOD} is the flood list: name a remote, e.g. dst 192.0.2.2")
        if change.verb == "replace":
            raise UsageError(f"{FLOOD} may have several remotes: use append and del")
        if change.verb == "add" and self.segment.remotes:
            raise ConflictError(f"{FLOOD} has a remote already: use append to add another")
        if change.verb == "del":
            self.segment.remove_remote(change.dst, change.port)
        elif self.segment.remote(change.dst, change.port) not in self.segment.remotes:
            self.segment.add_remote(change.dst, change.port)

    def _change_entry(self, change: FdbChange, mac: int) -> None:
        fdb, to = self.segment.fdb, self._to(change)
        known = fdb.get(change.mac)
        if change.verb == "append" and known is not None:
            if not isinstance(to, Remote):
                raise UsageError("append adds a remote: name it, e.g. dst 192.0.2.2")
            if to not in known.to:  # the kernel accepts a second append silently, too
                fdb.append(change.mac, to)
            return
        if change.verb == "add" and known is not None:
            more = "use append to add a remote" if is_group(mac) else "use replace to change it"
            raise ConflictError(f"{format_mac(mac)} has an entry already: {more}")
        fdb.set(change.mac, to, static=change.state == "permanent")

    def fdb_flush(self, flush: FdbFlush) -> int:
        """Delete entries, but never the flood list, and return how many."""
        if flush.port is not None and flush.dst is None:
            raise UsageError("port is the UDP port of dst: give dst as well")
        to = self.segment.remote(flush.dst, flush.port) if flush.dst is not None else None
        count = self.segment.fdb.flush(to, learned=flush.state != "permanent", static=flush.state != "dynamic")
        self._tell_guard()
        return count
