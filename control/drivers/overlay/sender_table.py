# SPDX-License-Identifier: Apache-2.0
"""The nftables table in a network's namespace that checks what its endpoints send to each other (sender_rules.py).

Nobody but root enters such a namespace, so nothing has to keep the table at every moment: each pass of the reconciler
looks whether somebody changed nftables there, by the number that the kernel counts such changes with.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastpath.control.drivers import naming
from fastpath.control.drivers.overlay import sender_rules
from fastpath.control.drivers.overlay.sender_rules import TABLE, Sender
from fastpath.control.kernel import nftables
from fastpath.control.kernel.nft_query import known_generation
from fastpath.control.kernel.visit import Visit
from fastpath.control.model.objects import Endpoint
from fastpath.errors import RefusedError

log = logging.getLogger(__name__)


RETRY_S = 10.0  # after a refusal: most are for good, as of a kernel without nftables for bridges
PRISTINE = 1  # the number of a rule set that nobody changed yet

Senders = dict[str, Sender]


@dataclass(frozen=True)
class _Written:
    """What was written, None if there is no table, and the number of the rule set then."""

    senders: Senders | None
    number: int


class SenderTable:
    """The table of one namespace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._written: _Written | None = None
        self._clock = clock
        self._refused: tuple[RefusedError, float] | None = None  # and when to try again

    def ensure(self, visit: Visit, endpoints: Iterable[Endpoint] | None) -> None:
        """Let these endpoints, and no others, send from their addresses; None: everybody may send anything. Raise
        RefusedError."""
        wanted = _senders(endpoints) if endpoints is not None else None
        now = visit.run(known_generation)
        known = self._written if self._written is not None and self._written.number == now else None
        if (wanted is None and now == PRISTINE) or (known is not None and known.senders == wanted):
            return
        if self._refused is not None and self._clock() < self._refused[1]:
            raise self._refused[0]
        self._written, before = None, known.senders if known is not None else None
        try:
            visit.run(lambda: _write(before, wanted))
        except RefusedError as error:
            self._refused = error, self._clock() + RETRY_S
            raise
        self._refused = None
        after = visit.run(known_generation)
        if now is not None and after == now + 1:  # else somebody else changed nftables, too
            self._written = _Written(wanted, after)


def _senders(endpoints: Iterable[Endpoint]) -> Senders:
    return {
        naming.veth_name(each): Sender(each.mac, frozenset(a.ip for a in (*each.addresses, *each.allowed)))
        for each in endpoints
    }


def _write(before: Senders | None, wanted: Senders | None) -> None:
    if wanted is None:
        nftables.delete(TABLE)
        return
    if before:
        try:
            nftables.run(sender_rules.change(before, wanted), TABLE)
        except RefusedError as error:
            log.debug("replacing the nftables table %s", TABLE, exc_info=error)
        else:
            return
    nftables.replace(TABLE, sender_rules.body(wanted))
