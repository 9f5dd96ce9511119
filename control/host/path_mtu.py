# SPDX-License-Identifier: Apache-2.0
"""The MTUs of the paths to the peers, found by probes of full size between the daemons (path_search.py): a router on
the way may take less than both hosts' interfaces, and its ICMP messages may be lost, or forged.

A question is a frame of probe.py's, filled up with zeros; the peer's daemon answers it in a few bytes, so each
direction is judged alone. The engine tells containers what does not fit.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from fastpath import Engine
from fastpath.addresses import IPAddress, family_of
from fastpath.control.host.path_search import LEAST_V4, LEAST_V6, PathSearch
from fastpath.control.host.probe import QUESTION, Prober, probe_mac
from fastpath.control.host.underlay import HostUnderlay
from fastpath.control.model.objects import Peer
from fastpath.errors import FastpathError

log = logging.getLogger(__name__)

ETHERNET = 14
TICK_S = 0.1  # while a search is on
LOOK_S = 1.0  # for new peers, checks that are due, and what the kernel believes
_IP_MTU, _IPV6_MTU = 14, 24  # <linux/in.h>, <linux/in6.h>


@dataclass
class Path:
    """The path to a peer. `told` is what the engine was told of it."""

    vtep: IPAddress
    search: PathSearch
    told: int | None = None


def kernel_belief(vtep: IPAddress, udp_port: int) -> int | None:
    """Return the path MTU that this host's kernel believes in; None if it has no route. Nothing is sent."""
    ipv4 = vtep.version == 4
    with socket.socket(family_of(vtep), socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.connect((str(vtep), udp_port))
            return sock.getsockopt(*((socket.IPPROTO_IP, _IP_MTU) if ipv4 else (socket.IPPROTO_IPV6, _IPV6_MTU)))
        except OSError:
            return None


class PathProber:
    """Belongs to the event loop's thread; `mtu` and `smaller` are for any. `peers` returns the usable ones by host."""

    def __init__(
        self,
        engine: Engine,
        prober: Prober,
        underlay: HostUnderlay,
        peers: Callable[[], Mapping[str, Peer]],
        belief: Callable[[IPAddress, int], int | None] = kernel_belief,
    ) -> None:
        self._engine = engine
        self._prober = prober
        self._underlay = underlay
        self._peers = peers
        self._belief = belief
        self._paths: dict[str, Path] = {}
        self._looked = float("-inf")
        self._changed: Callable[[Set[str]], object] = lambda _: None
        prober.on_sized_answer = self._answered

    def subscribe(self, listener: Callable[[Set[str]], object]) -> None:
        """Call `listener` with the hosts to which the path's MTU is another from now on."""
        self._changed = listener

    def mtu(self, host: str, configured: int) -> int:
        """Return the longest IP packet of the underlay, in bytes, that fits the path to a host, up to `configured`."""
        path = self._paths.get(host)
        return min(path.search.mtu, configured) if path is not None else configured

    def smaller(self, host: str) -> int | None:
        """Return that if it is less than both hosts' configuration says."""
        path = self._paths.get(host)
        return path.search.mtu if path is not None and path.search.mtu < path.search.ceiling else None

    async def run(self, interval: float) -> None:
        """Probe until cancelled; each path every `interval` seconds."""
        while True:
            self.turn(time.monotonic(), interval)
            busy = any(path.search.busy for path in self._paths.values())
            await asyncio.sleep(TICK_S if busy else min(interval, LOOK_S))

    def turn(self, now: float, interval: float) -> None:
        """Send what is due, and tell the engine what was found."""
        if now - self._looked >= min(interval, LOOK_S):
            self._looked = now
            self._look()
        for host, path in self._paths.items():
            for each in path.search.questions(now, interval):
                self._prober.send(probe_mac(host), QUESTION + each.nonce, length=self._frame_length(each.size))
        changed = {host for host, path in self._paths.items() if self._tell(host, path)}
        if changed:
            self._changed(changed)

    def _look(self) -> None:
        peers = self._peers()
        for host in [
            known for known, path in self._paths.items() if known not in peers or peers[known].vtep != path.vtep
        ]:
            self._set(self._paths.pop(host).vtep, None)
        for host, peer in peers.items():
            ceiling = min(self._underlay.mtu, peer.mtu)
            path = self._paths.get(host)
            if path is None:
                least = LEAST_V4 if peer.vtep.version == 4 else LEAST_V6
                path = self._paths[host] = Path(peer.vtep, PathSearch(ceiling, least))
            path.search.limit(ceiling)
            belief = self._belief(peer.vtep, self._engine.udp_port)
            if belief is not None:
                path.search.hint(belief)

    def _frame_length(self, size: int) -> int:
        """Return the length of the frame, in bytes, whose packet in the underlay has that size."""
        return max(0, size - self._underlay.overhead + ETHERNET)

    def _answered(self, nonce: bytes) -> None:
        for path in self._paths.values():
            if path.search.answered(nonce):
                return

    def _tell(self, host: str, path: Path) -> bool:
        """Tell the engine, if it is news, and return whether it was."""
        mtu = self.smaller(host)
        if mtu == path.told:
            return False
        path.told = mtu
        self._set(path.vtep, mtu)
        if mtu is None:
            log.info("the path to %s takes packets of %d bytes again", host, path.search.ceiling)
        else:
            log.warning("the path to %s takes packets of up to %d bytes: containers are told so", host, mtu)
        return True

    def _set(self, vtep: IPAddress, mtu: int | None) -> None:
        with contextlib.suppress(FastpathError):  # the engine was closed
            self._engine.set_path_mtu(vtep, mtu)
