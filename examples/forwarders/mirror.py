# SPDX-License-Identifier: Apache-2.0
"""Copies frames to a port where somebody listens, and leaves the frames to the next forwarder.

fastpath forwarder set blue examples/forwarders/mirror.py to=mon0 match=protocol=tcp,dst_port=443 '|' bridge
"""

from fastpath import Burst, Forwarder, Match


class Mirror(Forwarder):
    """Copies frames that have all properties of `match` (see fastpath.Match; default: all frames) to the port `to`.
    Frames from that port are dropped: a listener does not send."""

    def __init__(self, to: str = "mirror", match: list[str] = []) -> None:  # noqa: B006
        self.to, self.match = to, Match.parse(match)
        self.from_mirror = self.reason("from_mirror")

    def start(self) -> None:
        self.listener = self.port(self.to)

    def forward(self, burst: Burst) -> None:
        own = burst.port == self.listener
        burst.out[own] = self.from_mirror
        burst.copy(self.match(burst) & ~own, self.listener)
