# SPDX-License-Identifier: Apache-2.0
"""One replay, from an open capture to its counters."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fastpath.addresses import IPAddress
from fastpath.control.model.requests import ForwarderElement
from fastpath.control.replay.ports import FRAMES, PACKETS, PortMap
from fastpath.control.runtime.forwarders import load_all
from fastpath.engine.ports.port import Port
from fastpath.engine.segment import Segment
from fastpath.engine.stats import EngineStats
from fastpath.errors import UsageError
from fastpath.forwarder.forwarder import Forwarder, LearningBridge
from fastpath.pcap.pcap import CaptureReader
from fastpath.replay.recording import Recording
from fastpath.replay.replay import BEGIN, DESCRIPTION, END, SEGMENT, WAIT, Replayer
from fastpath.text import printable

VNI = 1  # of the one segment that frames are in
MOST_SEGMENTS = 1024  # made on demand

SKIPPED = {
    "odd": "blocks of the file that make no sense, such as packets of an interface that was not described",
    "cut_off": "records that the capture cut off, of packets longer than any frame",
    "outbound": "records of frames that an interface had sent, not received",
    "other_link": "records of interfaces of another link type",
    "too_long": "records longer than any frame",
    "not_vxlan": "records of other packets than to the VXLAN port",
    "no_port": "frames from source addresses that enter at no port (--ports)",
}

MENDED = {
    "filled": "records of which the capture has the front only (its snaplen): the rest was taken for zeros",
    "open_checksums": "frames whose checksum was left to the sender's card: it was computed",
}


@dataclass(frozen=True)
class Plan:
    """How to replay a capture. `make_forwarder` is called for each segment; `ports` None: chosen by the capture;
    `remotes` are on the flood list of every segment; `timed` keeps the pauses of the capture."""

    make_forwarder: Callable[[], Forwarder]
    ports: PortMap | None = None
    vxlan: bool = False
    udp_port: int = 4789
    local: IPAddress | None = None
    remotes: tuple[IPAddress, ...] = ()
    burst: int = 64
    timed: bool = False


@dataclass(frozen=True)
class Result:
    """`skipped` counts records that were not replayed, by the names in SKIPPED, and `mended` those that were, by the
    names in MENDED; `cut`: the file ends within a record. Everything but `seconds` is the same in every run."""

    records: int
    skipped: dict[str, int]
    mended: dict[str, int]
    cut: bool
    stats: EngineStats
    seconds: float = field(compare=False)


class Session:
    """Run a plan once. `sleep` and `clock` are those of `time`; tests pass their own."""

    def __init__(
        self,
        plan: Plan,
        reader: CaptureReader,
        recording: Recording | None = None,
        *,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan = plan
        self.replayer = Replayer(
            reader, recording=recording, vxlan=plan.vxlan, udp_port=plan.udp_port, local=plan.local, burst=plan.burst
        )
        self._reader = reader
        self._sleep, self._clock = sleep, clock
        self._start, self._first_ns = 0.0, 0
        self._by_interface = False
        self._port_of_name: dict[str, Port] = {}
        self.replayer.wait_before(plan.timed)

    def run(self, progress: Callable[[int], object] = lambda _: None) -> Result:
        """Replay everything. `progress` is called with the number of bytes read. Raise UsageError for a damaged
        capture, FastpathError if a forwarder cannot start."""
        since = self._clock()
        while self.step() != END:
            progress(self.replayer.offset)
        if not self.replayer.segments and not self.plan.vxlan:
            self._begin()
        counted = self.replayer.counted
        records = counted.pop("records")
        skipped = {name: counted[name] for name in SKIPPED if counted[name]}
        mended = {name: counted[name] for name in MENDED if counted[name]}
        return Result(records, skipped, mended, self._reader.cut, self.replayer.stats(), self._clock() - since)

    def close(self) -> None:
        """Stop the forwarders."""
        self.replayer.close()

    def step(self) -> int:
        """Go on until something is to be done, do it, and return what it was."""
        why = self.replayer.step()
        if why == BEGIN:
            self._start, self._first_ns = self._clock(), self.replayer.time_ns
            self._begin()
        elif why == DESCRIPTION and self._by_interface:
            self._bind(len(self.replayer.interfaces) - 1)
        elif why == SEGMENT:
            self._add_segment()
        elif why == WAIT:
            self._wait()
        return why

    def _begin(self) -> None:
        """Create segment and ports: the interfaces before the first record are known."""
        if self.plan.vxlan:
            return
        interfaces = self.replayer.interfaces
        segment = self._new_segment(VNI)
        if self.plan.ports is not None or len(interfaces) < 2:
            self._add_ports(segment, self.plan.ports or FRAMES)
        else:
            self._by_interface = True
            for number in range(len(interfaces)):
                self._bind(number)
        self.replayer.set_forwarder(segment, self.plan.make_forwarder())

    def _bind(self, number: int) -> None:
        """Let frames of an interface enter at the port of its name."""
        given = self.replayer.interfaces[number] or f"if{number}"
        name = printable(given)  # it will be shown on a terminal
        if name not in self._port_of_name:
            self._port_of_name[name] = self.replayer.add_port(self.replayer.segments[VNI], name)
        self.replayer.enter_by_interface(number, self._port_of_name[name])

    def _new_segment(self, vni: int) -> Segment:
        """Return a segment without its forwarder, which comes after the ports: it may look them up by name."""
        segment = self.replayer.add_segment(vni, LearningBridge())
        for address in self.plan.remotes:
            segment.add_remote(address)
        return segment

    def _add_ports(self, segment: Segment, ports: PortMap) -> None:
        for name, addresses in ports.ports.items():
            port = self.replayer.add_port(segment, name)
            for mac in addresses:
                self.replayer.enter_at(port, mac)
            if name == ports.rest:
                self.replayer.enter_at(port)

    def _add_segment(self) -> None:
        if len(self.replayer.segments) == MOST_SEGMENTS:
            self.replayer.refuse_segments()
        else:
            segment = self._new_segment(self.replayer.wanted_vni)
            self._add_ports(segment, self.plan.ports or PACKETS)
            self.replayer.set_forwarder(segment, self.plan.make_forwarder())

    def _wait(self) -> None:
        """Wait until as much time has passed since the first record as in the capture."""
        pause = self._start + (self.replayer.time_ns - self._first_ns) / 1e9 - self._clock()
        if pause > 0:
            self._sleep(pause)
        self.replayer.waited()


def forwarder_factory(elements: Sequence[ForwarderElement]) -> Callable[[], Forwarder]:
    """Return what makes a forwarder for each segment. Calling it raises FastpathError if one cannot be loaded."""
    return lambda: load_all(elements)


def check_remotes(local: IPAddress | None, remotes: tuple[IPAddress, ...]) -> None:
    """Raise UsageError for an address that is given twice, is the VTEP's own, or is of another family than it: a packet
    has one family."""
    if len(set(remotes)) != len(remotes):
        raise UsageError("--remote: an address is given twice")
    for address in remotes:
        if address == local:
            raise UsageError(f"--remote: {address} is --local itself")
        if local is not None and address.version != local.version:
            raise UsageError(f"--remote: {address} and {local} are of different families")
