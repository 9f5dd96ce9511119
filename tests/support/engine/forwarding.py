# SPDX-License-Identifier: Apache-2.0
"""A segment of memory ports with a forwarder under test, driven in the calling thread."""

from fastpath import Forwarder, MemoryPort, Segment
from fastpath.engine.stats import ForwarderStats
from tests.support.engine.lab import Lab, drain

VNI = 7


class Site:
    """One segment with ports of these names."""

    def __init__(self, lab: Lab, ports: str = "a b c") -> None:
        self.lab = lab
        lab.engine.advance_clock(0)  # it stands still now
        self.segment: Segment = lab.engine.add_segment(VNI)
        self.ports: dict[str, MemoryPort] = {name: self.segment.add_memory_port(name) for name in ports.split()}

    def use(self, forwarder: Forwarder) -> None:
        """Have this forwarder decide from now on."""
        self.segment.forwarder = forwarder

    def send(self, port: str, *frames: bytes) -> dict[str, list[bytes]]:
        """Hand frames to the engine on a port, and see what comes out, by the ports that get anything."""
        for frame in frames:
            self.lab.send(self.ports[port], frame)
        self.lab.poll()
        return self.received()

    def send_super(self, port: str, frame: tuple[bytes, bytes], segments: int) -> dict[str, list[bytes]]:
        """The same with a (virtio-net header, super-frame) that stands for so many."""
        self.lab.send(self.ports[port], frame[1], vnet=frame[0], segments=segments)
        self.lab.poll()
        return self.received()

    def received(self) -> dict[str, list[bytes]]:
        """What waits on the ports."""
        result = {name: drain(port) for name, port in self.ports.items()}
        return {name: frames for name, frames in result.items() if frames}

    def wait(self, seconds: int) -> None:
        """Let time pass, and the forwarder tick."""
        self.lab.engine.advance_clock(seconds)
        self.lab.engine.poll()

    @property
    def stats(self) -> ForwarderStats:
        """What the engine tells of the forwarder."""
        return self.segment.stats().forwarder

    @property
    def counters(self) -> dict[str, int]:
        """The forwarder's own counters that are not zero; it never failed."""
        stats = self.stats
        assert (stats.failures, stats.last_error) == (0, None)
        return {name: count for name, count in stats.counters.items() if count}
