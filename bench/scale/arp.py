# SPDX-License-Identifier: Apache-2.0
"""ARP questions as a container asks them, answered by the engine of its own host.

When an address is answered for, it is in the neighbours and in the FDB (src/forward/respond.h).
"""

import contextlib
import ipaddress
import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence

from fastpath.bench.common.namespaces import Namespace
from fastpath.control.model.objects import IPInterface

ETH_P_ARP = 0x0806
DEVICE = "eth0"
AGAIN_S = 0.002  # until an unanswered question is asked again
BURST = 64  # questions in flight


def question(mac: bytes, own: IPInterface, target: int) -> bytes:
    """Return the frame that asks for an address (RFC 826)."""
    head = b"\xff" * 6 + mac + struct.pack("!HHHBBH", ETH_P_ARP, 1, 0x0800, 6, 4, 1)
    return head + mac + own.ip.packed + bytes(6) + target.to_bytes(4, "big")


def answered(frame: bytes) -> int | None:
    """Return the address that a frame answers for, or None."""
    if len(frame) < 42 or frame[12:14] != b"\x08\x06" or frame[20:22] != b"\0\x02":
        return None
    return int.from_bytes(frame[28:32], "big")


class Asker:
    """One container that asks. Its interface need not exist yet."""

    def __init__(self, where: Namespace, mac: str, own: IPInterface) -> None:
        self._mac = bytes.fromhex(mac.replace(":", ""))
        self._own = own
        self._sock = where.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)))
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._missing: dict[int, float] = {}  # address -> when it was asked for last

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self._sock.fileno()

    @property
    def waiting(self) -> bool:
        """Whether answers are missing."""
        return bool(self._missing)

    def expect(self, addresses: Iterable[int]) -> None:
        """Ask for these addresses from now on, until they are answered for."""
        self._missing |= dict.fromkeys(addresses, 0.0)

    def ask(self) -> None:
        """Ask for missing addresses that are due: BURST at a time, in order."""
        now = time.monotonic()
        for number, (target, asked) in enumerate(self._missing.items()):
            if number >= BURST:
                return
            if now - asked >= AGAIN_S:
                self._missing[target] = now
                with contextlib.suppress(OSError):  # no interface as yet, or it is down
                    self._sock.sendto(question(self._mac, self._own, target), (DEVICE, ETH_P_ARP))

    def receive(self) -> list[int]:
        """Return the missing addresses that have been answered for since the last call."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                target = answered(self._sock.recv(2048))
                if target is not None and self._missing.pop(target, None) is not None:
                    found.append(target)
        return found

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def sweep(askers: Sequence[Asker], until: float) -> float | None:
    """Ask until all is answered for. Return when that was (time.monotonic), or None if time ran out."""
    while time.monotonic() < until:
        waiting = [asker for asker in askers if asker.waiting]
        if not waiting:
            return time.monotonic()
        for asker in waiting:
            asker.ask()
        for asker in select.select(waiting, [], [], AGAIN_S)[0]:
            asker.receive()
    return None


def as_number(address: IPInterface) -> int:
    """Return an IPv4 address as the number that is compared here."""
    assert isinstance(address.ip, ipaddress.IPv4Address)
    return int(address.ip)
