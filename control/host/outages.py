# SPDX-License-Identifier: Apache-2.0
"""The log's lines about what was away: peers that fell silent, and the store; and how long, when they are back."""

import asyncio
import logging
import time
from collections.abc import Iterable

from fastpath.control.cluster.mirror import Mirror
from fastpath.control.host.probe import Prober

log = logging.getLogger(__name__)

LOOK_S = 1.0
LINES = 10  # about peers, of one look: a switch that fails silences all of them


class Outages:
    """Let `run` run. A peer that has not answered for `patience` seconds is silent."""

    def __init__(self, mirror: Mirror, prober: Prober, patience: float) -> None:
        self._mirror = mirror
        self._prober = prober
        self._patience = patience
        self._silent: dict[str, float] = {}  # since when, in time.monotonic()
        self._away: float | None = None  # the store; the same

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Tell what has changed since the last look."""
        now = time.monotonic()
        self._look_at_peers(now)
        self._look_at_store(now)

    def _look_at_peers(self, now: float) -> None:
        pulses = self._prober.pulses
        silent = {host for host, pulse in pulses.items() if pulse.silent(now, self._patience)}
        back, fell = sorted((self._silent.keys() & pulses.keys()) - silent), sorted(silent - self._silent.keys())
        for host in _few(fell, "do not answer, either"):
            pulse = pulses[host]
            seconds = now - (pulse.answered if pulse.answered is not None else pulse.since)
            told = "the peer %s (%s) is silent: it has not answered over the overlay's UDP port for %.0f s"
            log.warning(told, host, pulse.vtep, seconds)
        for host in _few(back, "answer again, too"):
            log.info("the peer %s answers again, after %.0f s", host, now - self._silent[host])
        since = {host: pulses[host].answered or pulses[host].since for host in fell}
        self._silent = {host: when for host, when in self._silent.items() if host in silent} | since

    def _look_at_store(self, now: float) -> None:
        trouble = self._mirror.trouble
        if trouble is not None and self._away is None:
            self._away = now
            log.warning("the store is away, what runs goes on: %s", trouble)
        elif trouble is None and self._away is not None:
            log.info("the store is back, after %.0f s", now - self._away)
            self._away = None


def _few(hosts: list[str], others: str) -> Iterable[str]:
    """Yield the first ones, and log how many there are beside them."""
    yield from hosts[:LINES]
    if len(hosts) > LINES:
        log.warning("%d more peers %s", len(hosts) - LINES, others)
