# SPDX-License-Identifier: Apache-2.0
"""A VXLAN device: an engine with one segment and one TAP, which is what `fastpath vxlan add` makes."""

import os
import secrets

from fastpath import Engine, Port, Remote, UsageError
from fastpath.addresses import format_mac, is_group, parse_mac
from fastpath.control.device.config import VxlanConfig
from fastpath.control.device.requests import DeviceInfo, FdbChange, FdbFlush, FdbLine
from fastpath.control.kernel.netlink import Links, move_link, path_mtu
from fastpath.errors import ConflictError

FLOOD = "00:00:00:00:00:00"
OVERHEAD_V4, OVERHEAD_V6 = 50, 70  # outer IP, UDP and VXLAN headers and the inner Ethernet header


class VxlanDevice:
    """Made whole or not at all. Closing it removes the interface and everything else."""

    def __init__(self, config: VxlanConfig) -> None:
        self.config = config
        self.mtu = config.mtu if config.mtu is not None else self._default_mtu()
        self.engine = Engine(
            config.local,
            udp_port=config.dstport,
            workers=config.workers,
            ipv6=config.ipv6,
            source_ports=config.srcport,
            ttl=config.ttl,
            source_port_count=config.source_ports,
            fdb_entries=max(1 << 16, config.maxaddress),
            spin=config.spin,
            pin=config.pin,
            offloads=config.offloads,
        )
        try:
            self.segment = self.engine.add_segment(
                config.id, learning=config.learning, ageing=config.ageing, max_entries=config.maxaddress
            )
            for remote in config.remote:
                self.segment.add_remote(remote)
            self.port = self._add_tap()
        except BaseException:
            self.engine.close()
            raise

    def _add_tap(self) -> Port:
        """The interface. For another namespace it is made here, under a name that nobody has, and
        moved: a TAP that is opened inside a namespace would keep that namespace alive."""
        config = self.config
        name = config.name if config.netns is None else f"fp-{secrets.token_hex(5)}"
        port = self.segment.add_tap(name, mtu=self.mtu)
        with Links() as links:
            links.limit_super_frames(links.get(name), self.mtu)
        if config.netns is not None:
            move_link(port.name, config.netns, config.name)
        return port

    def _default_mtu(self) -> int:
        overhead = OVERHEAD_V6 if self.config.ipv6 else OVERHEAD_V4
        return max(68, path_mtu(self.config.local, self.config.remote) - overhead)

    def close(self) -> None:
        """Stop, and remove the interface."""
        self.engine.close()

    def info(self) -> DeviceInfo:
        """What it is, at present."""
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

    def fdb_show(self) -> list[FdbLine]:
        """All entries, the flood list first, as the kernel lists a vxlan device's."""
        lines = [self._line(FLOOD, remote, True, None) for remote in self.segment.remotes]
        for entry in self.segment.fdb.values():
            age = None if entry.static else entry.age
            lines.extend(self._line(entry.mac, to, entry.static, age) for to in entry.to)
        return lines

    def fdb_change(self, change: FdbChange) -> None:
        """Add, append, replace or delete. Raises FastpathError."""
        mac = parse_mac(change.mac)
        if change.port is not None and change.dst is None:
            raise UsageError("port says where the remote of dst listens: give dst as well")
        if mac == 0:
            self._change_flood_list(change)
        elif change.verb == "del":
            self.segment.fdb.delete(change.mac, self._to(change) if change.dst is not None else None)
        else:
            self._change_entry(change, mac)

    def _to(self, change: FdbChange) -> Port | Remote:
        if change.dst is None:
            return self.port
        return self.segment.remote(change.dst, change.port)

    def _change_flood_list(self, change: FdbChange) -> None:
        """The all-zeros address stands for the flood list (ip-link(8), bridge(8))."""
        if change.dst is None:
            raise UsageError(f"{FLOOD} stands for the flood list: say which remote, as in dst 192.0.2.2")
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
                raise UsageError("append adds a remote: say which, as in dst 192.0.2.2")
            if to not in known.to:  # the kernel, too, takes a second append in silence
                fdb.append(change.mac, to)
            return
        if change.verb == "add" and known is not None:
            more = "use append to add a remote" if is_group(mac) else "use replace to change it"
            raise ConflictError(f"{format_mac(mac)} has an entry already: {more}")
        fdb.set(change.mac, to, static=change.state == "permanent")

    def fdb_flush(self, flush: FdbFlush) -> int:
        """Remove entries, but never the flood list; returns how many."""
        if flush.port is not None and flush.dst is None:
            raise UsageError("port says where the remote of dst listens: give dst as well")
        to = self.segment.remote(flush.dst, flush.port) if flush.dst is not None else None
        return self.segment.fdb.flush(to, learned=flush.state != "permanent", static=flush.state != "dynamic")
