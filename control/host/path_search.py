# SPDX-License-Identifier: Apache-2.0
"""Which packets fit the path to one peer: packetization layer path MTU discovery (RFC 8899), without I/O.

Sizes are those of the underlay's IP packets, in bytes; times are seconds of one clock, which the caller reads. A size
that is answered is known to fit; one that is not may have been lost, so it is tried several times, and only while the
peer answers small packets. What ICMP says is at most a reason to look: anybody can forge it.
"""

import secrets
from dataclasses import dataclass, field

LEAST_V4, LEAST_V6 = 576, 1280  # smaller paths are not looked for
KNOWN = (1006, 1280, 1300, 1350, 1376, 1400, 1420, 1440, 1450, 1460, 1472, 1480, 1492, 1500, 4352, 8900, 9000)
"""Sizes that links have: Ethernet without and with what usual tunnels add, FDDI, jumbo frames."""

TRIES, TRY_S = 3, 0.3
RAISE = 6  # checks, until a larger size is tried again
SMALL = 0  # the size of a question that fits any path
NEVER = float("-inf")
POINTS = 8  # sizes between two known ones that are tried at once
NONCE_SIZE = 8


@dataclass
class Try:
    """A question of one size: how often it was asked."""

    size: int
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_SIZE))
    times: int = 0


class PathSearch:
    """`mtu` is what is known, or believed until it is found wrong: `ceiling`, which both hosts' configuration allows.

    A round asks for several sizes at once, and for SMALL, which says whether the peer answers at all. A check is a
    round for `mtu` alone. If that fails, and each time that the path may have grown, rounds follow for sizes between
    what fits and what does not, until both are neighbours.
    """

    def __init__(self, ceiling: int, least: int) -> None:
        self.ceiling = ceiling
        self.mtu = ceiling
        self._least = min(least, ceiling)
        self._round: list[Try] = []
        self._alive = False  # SMALL was answered in this round
        self._due = 0.0  # the next try of the round
        self._checked = self._raised = NEVER
        self._fits = 0  # in a search: what fits,
        self._fails = 0  # and what does not; 0: there is no search
        self._hint: int | None = None

    @property
    def busy(self) -> bool:
        """Whether a round or a search is not over."""
        return bool(self._round or self._fails)

    def limit(self, ceiling: int) -> None:
        """Set another ceiling: the configuration changed."""
        if ceiling == self.ceiling:
            return
        at_ceiling, self.ceiling = self.mtu == self.ceiling, ceiling
        self._least = min(self._least, ceiling)
        if at_ceiling or self.mtu > ceiling:
            self.mtu = ceiling
        self._round, self._fails = [], 0
        self._checked = self._raised = NEVER

    def hint(self, mtu: int) -> None:
        """Take note of what the kernel believes of the path: if it is less than before, check at once."""
        if mtu < self.mtu and (self._hint is None or mtu < self._hint):
            self._checked = NEVER
        self._hint = mtu

    def answered(self, nonce: bytes) -> bool:
        """Take an answer. Return whether it was to one of our questions."""
        for each in self._round:
            if secrets.compare_digest(each.nonce, nonce):
                self._alive = True
                self._fits = max(self._fits, each.size)
                self._round = [other for other in self._round if other.size > each.size]
                return True
        return False

    def questions(self, now: float, interval: float) -> list[Try]:
        """Return the questions to ask now. A check is due every `interval` seconds, a look for more every sixth."""
        if self._began and (not self._round or (now >= self._due and self._round[-1].times >= TRIES)):
            self._end(now)
        if not self._began:
            self._begin(now, interval)
        if not self._round or now < self._due:
            return []
        self._due = now + TRY_S
        for each in self._round:
            each.times += 1
        return list(self._round)

    @property
    def _began(self) -> bool:
        return self._due > 0.0

    def _begin(self, now: float, interval: float) -> None:
        if self._fails:
            sizes = self._between()
        elif now - self._checked >= interval:
            self._checked, sizes = now, [self.mtu]
        elif self.mtu < self.ceiling and now - self._raised >= RAISE * interval:
            self._raised, self._fits, self._fails = now, self.mtu, self.ceiling + 1
            sizes = self._between()
        else:
            return
        self._round = [Try(size) for size in (SMALL, *sizes)]
        self._due, self._alive = now, False

    def _end(self, now: float) -> None:
        """End a round: all sizes were answered, or tried often enough."""
        unanswered = [each.size for each in self._round]
        self._round, self._due = [], 0.0
        if unanswered and not self._alive:
            self._fails = 0  # the peer is silent: that says nothing about sizes
        elif unanswered and not self._fails:
            self._fits, self._fails, self._raised = 0, self.mtu + 1, now  # look what fits; the size itself once more
        elif self._fails:
            self._fails = min(unanswered, default=self._fails)
            self.mtu = max(self._fits, self._least)
            if self.mtu + 1 >= self._fails:
                self._fails = 0

    def _between(self) -> list[int]:
        """Return the sizes to try in a search: at first all usual ones between what fits and what does not."""
        low, high = max(self._fits, self._least - 1), self._fails
        if self._fits == 0 or high == self.ceiling + 1:
            usual = (*KNOWN, self._hint or 0, self._least, high - 1)
            return sorted({size for size in usual if low < size < high})
        return list(range(low + 1, high, (high - low) // (POINTS + 1) + 1))
