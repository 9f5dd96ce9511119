# SPDX-License-Identifier: Apache-2.0
"""Forwarders in Python: what they see, what becomes of what they decide, and of what they do wrong."""

import gc
import os
import threading
import weakref
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest

from fastpath import (
    DROP,
    FLOOD,
    PASS,
    Burst,
    Chain,
    ConflictError,
    Forwarder,
    Hub,
    LearningBridge,
    MemoryPort,
    RefusedError,
    Segment,
    Table,
    UsageError,
)
from fastpath.engine.tables import Indices
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab, drain, receive, wait_until

A, B, C = mac(0xA), mac(0xB), mac(0xC)


class By(Forwarder):
    """Decides as it was told."""

    def __init__(self, decide: Callable[["By", Burst], object]) -> None:
        self.decide = decide

    def forward(self, burst: Burst) -> None:
        self.decide(self, burst)


class Learning(Forwarder):
    """The algorithm of the built-in bridge, without ageing."""

    def start(self) -> None:
        self.hosts = Table(4096)
        self.where = self.hosts.column(np.uint32, FLOOD)

    def forward(self, burst: Burst) -> None:
        self.where[self.hosts.add(burst.src_mac)] = burst.port
        burst.out = self.where[self.hosts.find(burst.dst_mac)]
        burst.out[burst.out == burst.port] = DROP
        burst.out[burst.from_remote & burst.to_remote] = DROP


def segment_with(lab: Lab, forwarder: Forwarder, vni: int = 1) -> tuple[Segment, MemoryPort, MemoryPort]:
    segment = lab.engine.add_segment(vni, forwarder=forwarder)
    return segment, segment.add_memory_port("a"), segment.add_memory_port("b")


def flood(_: Forwarder, burst: Burst) -> None:
    burst.out = FLOOD


def test_a_bridge_in_python_does_what_the_built_in_one_does(lab: Lab) -> None:
    """Random frames through both, ports and a remote: the same frames come out at the same places."""
    far = lab.far(2)
    outputs: list[list[list[bytes]]] = []
    for vni, forwarder in ((1, LearningBridge()), (2, Learning())):
        random = np.random.default_rng(7)
        segment = lab.engine.add_segment(vni, forwarder=forwarder)
        segment.add_remote(far.address)
        ports = [segment.add_memory_port(f"p{i}") for i in range(3)]
        places: list[list[bytes]] = [[], [], [], []]
        for number in range(150):
            where, source, destination = random.integers(0, 4), random.integers(1, 9), random.integers(1, 9)
            # An address belongs to a place: one that moves is a matter of timing between bursts.
            away = mac(int(16 * random.integers(0, 4) + destination))
            data = frame(away, mac(int(16 * where + source)), b"\x88\xb5%d" % number)
            if where == 3:
                far.send(vni, data)
            else:
                lab.send(ports[int(where)], data)
            lab.poll()
            for i, port in enumerate(ports):
                places[i] += drain(port)
        places[3] = [packet.frame for packet in far.receive()]
        outputs.append(places)
    assert outputs[0] == outputs[1]
    assert all(outputs[0])


def test_columns_say_what_the_headers_say(lab: Lab) -> None:
    seen: list[np.ndarray] = []
    _, a, _ = segment_with(lab, By(lambda _, burst: seen.append(burst.records.copy())))
    ip = bytes.fromhex("4510001c 00010000 40110000 c0000201 c6336407".replace(" ", ""))
    udp = bytes.fromhex("1f90 0035 0008 0000".replace(" ", ""))
    lab.send(a, bytes.fromhex("02000000000b 02000000000a 8100 3064 0800".replace(" ", "")) + ip + udp)
    lab.poll()
    (record,) = seen[0]
    assert {
        name: record[name].tolist() for name in record.dtype.names or () if name not in ("flow_hash", "unused")
    } == {
        "src_mac": 0x02000000000A,
        "dst_mac": 0x02000000000B,
        "src_ip6": [0, 0],
        "dst_ip6": [0, 0],
        "src_ip": 0xC0000201,
        "dst_ip": 0xC6336407,
        "port": a.number,
        "out": PASS,
        "vni": 1,
        "length": 46,
        "segments": 1,
        "ethertype": 0x0800,
        "vlan": 100,
        "src_port": 8080,
        "dst_port": 53,
        "ip_version": 4,
        "protocol": 17,
        "tos": 0x10,
        "ttl": 64,
        "fragment": 0,
    }


def test_ipv6_columns(lab: Lab) -> None:
    seen: list[np.ndarray] = []
    _, a, _ = segment_with(lab, By(lambda _, burst: seen.append(burst.records.copy())))
    header = bytes.fromhex("60000000 0008 06 05".replace(" ", ""))
    source, destination = bytes.fromhex("20010db8" + "00" * 11 + "01"), bytes.fromhex("fe80" + "00" * 13 + "02")
    lab.send(a, frame(B, A, b"\x86\xdd" + header + source + destination + bytes.fromhex("00160017") + bytes(4)))
    lab.poll()
    (record,) = seen[0]
    assert record["src_ip6"].tolist() == [0x20010DB800000000, 1]
    assert record["dst_ip6"].tolist() == [0xFE80000000000000, 2]
    assert (record["ip_version"], record["protocol"], record["ttl"], record["src_ip"]) == (6, 6, 5, 0)
    assert (record["src_port"], record["dst_port"]) == (22, 23)


def test_reasons_and_counters_of_its_own(lab: Lab) -> None:
    def decide(forwarder: Forwarder, burst: Burst) -> None:
        forwarder.count("seen", len(burst))
        burst.out[burst.dst_mac == 0x02000000000B] = forwarder.reason("forbidden")
        burst.out[burst.dst_mac == 0x02000000000C] = DROP

    segment, a, b = segment_with(lab, By(decide))
    for destination in (B, B, C, A):
        lab.send(a, frame(destination, A))
        lab.poll()
    assert segment.stats().forwarder.counters == {"seen": 4, "forbidden": 2}
    assert lab.drops() == {"forwarder": 3, "undecided": 1}
    assert drain(b) == []


@pytest.mark.parametrize("target", [1 << 28 | 77, 2 << 28 | 5, 4 << 28 | 3, 7 << 28, 0xFFFFFFFF, 5 << 28 | 0xFFFFFFF])
def test_garbage_is_dropped_and_counted(lab: Lab, target: int) -> None:
    def decide(_: Forwarder, burst: Burst) -> None:
        burst.out = target

    _, a, b = segment_with(lab, By(decide))
    lab.send(a, frame(B, A))
    lab.poll()
    assert sum(lab.drops().values()) == 1
    assert set(lab.drops()) <= {"bad_target", "forwarder"}
    assert drain(b) == []


def test_no_way_into_another_segment(lab: Lab) -> None:
    _, other, _ = segment_with(lab, Hub(), vni=2)

    def decide(_: Forwarder, burst: Burst) -> None:
        burst.out = other.number

    _, a, _ = segment_with(lab, By(decide))
    lab.send(a, frame(B, A))
    lab.poll()
    assert lab.drops() == {"bad_target": 1}
    assert drain(other) == []


@pytest.mark.parametrize("error", [ValueError("so be it"), SystemExit(3), KeyboardInterrupt()])
def test_what_it_raises_is_counted_and_told_once(
    lab: Lab, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def decide(_: Forwarder, burst: Burst) -> None:
        if (burst.dst_mac == 0x02000000000B).any():
            raise error
        burst.out = FLOOD

    segment, a, b = segment_with(lab, By(decide))
    for destination in (B, B, C):
        lab.send(a, frame(destination, A))
        lab.poll()
    assert drain(b) == [frame(C, A)]
    assert lab.drops() == {"forwarder_failed": 2}
    stats = segment.stats().forwarder
    assert (stats.failures, stats.last_error) == (2, f"By: {type(error).__name__}: {error}")
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == 1


class Acl(Forwarder):
    def forward(self, burst: Burst) -> None:
        burst.out[burst.dst_mac == 0x02000000000C] = self.reason("denied")


@pytest.mark.parametrize("second", [LearningBridge, Learning])
def test_a_chain_asks_the_next_about_what_is_left(lab: Lab, second: type[Forwarder]) -> None:
    chain = Acl() | second()
    assert chain.name == f"Acl | {second.__name__}"
    segment, a, b = segment_with(lab, chain)
    for destination in (B, C, BROADCAST):
        lab.send(a, frame(destination, A))
    lab.poll()
    assert drain(b) == [frame(B, A), frame(BROADCAST, A)]
    assert segment.stats().forwarder.counters == {"Acl.denied": 1}
    assert (second is LearningBridge) == (segment.fdb.get(A) is not None)


def test_a_chain_of_compiled_ones_needs_no_thread(lab: Lab) -> None:
    segment, a, b = segment_with(lab, LearningBridge() | Hub())
    assert not segment.forwarder.deferred
    lab.send(a, frame(B, A))
    lab.poll()
    assert drain(b) == [frame(B, A)]


def test_chains_that_cannot_be(lab: Lab) -> None:
    bridge = LearningBridge()
    with pytest.raises(UsageError, match="once"):
        _ = bridge | bridge
    with pytest.raises(UsageError, match="decides nothing"):
        lab.engine.add_segment(1, forwarder=Forwarder() | bridge)
    with pytest.raises(UsageError, match="1 to 16"):
        Chain(*[Hub() for _ in range(17)])


def test_copies(lab: Lab) -> None:
    def decide(forwarder: Forwarder, burst: Burst) -> None:
        burst.out = forwarder.port("b")
        burst.copy(burst.dst_mac == 0x02000000000C, forwarder.port("mirror"))

    segment, a, b = segment_with(lab, By(decide))
    mirror = segment.add_memory_port("mirror")
    lab.send(a, frame(B, A))
    lab.send(a, frame(C, A))
    lab.poll()
    assert drain(b) == [frame(B, A), frame(C, A)]
    assert drain(mirror) == [frame(C, A)]


def test_a_remote_that_is_held_stays(lab: Lab) -> None:
    far = lab.far(2)

    class ToFar(Forwarder):
        def start(self) -> None:
            self.far = self.remote(far.address)

        def forward(self, burst: Burst) -> None:
            burst.out = self.far

    segment, a, _ = segment_with(lab, ToFar())
    for _ in range(3):
        lab.engine.tidy()
    lab.send(a, frame(B, A))
    lab.poll()
    assert [packet.frame for packet in far.receive()] == [frame(B, A)]
    segment.forwarder = Hub()
    for _ in range(3):
        lab.engine.tidy()
    assert lab.engine.stats().remotes == []


def test_start_refuses_and_nothing_changes(lab: Lab) -> None:
    class Broken(Forwarder):
        def start(self) -> None:
            raise FileNotFoundError("rules.toml")

        def forward(self, burst: Burst) -> None: ...

    segment, a, b = segment_with(lab, Hub())
    with pytest.raises(RefusedError, match=r"Broken could not start: FileNotFoundError: rules\.toml"):
        segment.forwarder = Broken()
    assert isinstance(segment.forwarder, Hub)
    lab.send(a, frame(B, A))
    lab.poll()
    assert drain(b) == [frame(B, A)]


def test_one_forwarder_serves_one_segment(lab: Lab) -> None:
    forwarder = Learning()
    segment = lab.engine.add_segment(1, forwarder=forwarder)
    with pytest.raises(ConflictError, match="serves VNI 1 already"):
        lab.engine.add_segment(2, forwarder=forwarder)
    assert 2 not in lab.engine.segments
    segment.forwarder = Hub()
    assert forwarder.segment is None
    lab.engine.add_segment(2, forwarder=forwarder)


def test_ticks_come_when_they_are_due(lab: Lab) -> None:
    class Ticking(Forwarder):
        tick_interval: ClassVar[float | None] = 5000.0
        ticks = 0

        def tick(self) -> None:
            self.ticks += 1

        def forward(self, burst: Burst) -> None: ...

    forwarder = Ticking()
    lab.engine.add_segment(1, forwarder=forwarder)
    for seconds, expected in ((0, 0), (4000, 0), (1000, 1), (4000, 1), (7000, 2)):
        lab.engine.advance_clock(seconds)
        lab.engine.poll()
        assert forwarder.ticks == expected


def test_frames_are_seen_and_kept_from_writing(lab: Lab) -> None:
    seen: list[memoryview] = []

    def decide(_: Forwarder, burst: Burst) -> None:
        with pytest.raises(IndexError):
            burst.frame(len(burst))
        with pytest.raises(UsageError, match="rewrites"):
            burst.set_src_mac(0, 1)
        seen.append(burst.frame(0))

    _, a, _ = segment_with(lab, By(decide))
    lab.send(a, frame(B, A))
    lab.poll()
    assert seen[0].readonly
    assert len(seen[0]) == len(frame(B, A))  # it may be looked at later: the memory is kept


def test_super_frames_are_one_frame(lab: Lab) -> None:
    """Larger than what a ring's entries usually are, and as many of them as fit."""
    _, a, b = segment_with(lab, By(flood))
    data = frame(B, A, b"\x88\xb5" + bytes(60_000))
    for _ in range(20):
        lab.send(a, data)
        lab.poll()
        assert drain(b) == [data]


# With threads.


class Slow(Forwarder):
    """Holds on to every burst until it is let go."""

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def forward(self, burst: Burst) -> None:
        self.entered.set()
        self.go.wait()
        burst.out = FLOOD


def forwarders_since(before: list[threading.Thread]) -> list[threading.Thread]:
    """The forwarders' threads of segment 1 that began since then. Their name alone does not tell whose they are: the
    second worker of any engine in this process has it, too."""
    return [each for each in threading.enumerate() if each.name == "fastpath-1" and each not in before]


def test_one_that_takes_long_stops_nobody_else(lab: Lab) -> None:
    slow = Slow()
    segment, a, b = segment_with(lab, slow)
    _, c, d = segment_with(lab, Learning(), vni=2)
    _, e, f = segment_with(lab, LearningBridge(), vni=3)
    lab.engine.start()
    a.send(frame(B, A))
    wait_until(slow.entered.is_set)
    for one, two in ((c, d), (e, f)):
        one.send(frame(B, A))
        assert receive(two, 1) == [frame(B, A)]
    # What it does not keep up with is dropped, and counted.
    sent = 1
    while a.traffic.drops == 0:
        try:
            a.send(frame(B, A))
            sent += 1
        except BlockingIOError:
            pass
    # It can be replaced all the same, and its successor works at once.
    segment.forwarder = By(flood)
    a.send(frame(C, A))
    wait_until(lambda: frame(C, A) in drain(b))
    segment.forwarder = Hub()
    slow.go.set()
    wait_until(lambda: a.traffic.rx_frames == sent + 1)
    wait_until(lambda: b.traffic.tx_frames + b.traffic.drops + a.traffic.drops == sent + 1)
    assert lab.drops().keys() <= {"forwarder_busy", "port_full"}


def test_a_segment_goes_while_its_forwarder_holds_its_frames(lab: Lab) -> None:
    before, slow = threading.enumerate(), Slow()
    segment, a, _ = segment_with(lab, slow)
    lab.engine.start()
    a.send(frame(B, A))
    wait_until(slow.entered.is_set)
    assert len(forwarders_since(before)) == 1
    lab.engine.remove_segment(segment)
    slow.go.set()
    wait_until(lambda: lab.drops() == {"undecided": 1})
    wait_until(lambda: not forwarders_since(before))


def test_replaced_a_thousand_times_under_load(lab: Lab) -> None:
    """Every frame is accounted for, and no thread, file descriptor or reference is left."""
    before = threading.enumerate()
    segment, a, b = segment_with(lab, By(flood))
    other, c, d = segment_with(lab, LearningBridge(), vni=2)
    lab.engine.start()
    stopping = threading.Event()
    sent = {a: 0, c: 0}
    received = {b: 0, d: 0}

    def pump() -> None:
        while not stopping.is_set():
            for one in sent:
                try:
                    one.send(frame(B, A))
                    sent[one] += 1
                except BlockingIOError:
                    pass
            for two in received:
                received[two] += len(drain(two))

    thread = threading.Thread(target=pump)
    thread.start()
    for _ in range(250):
        for forwarder in (By(flood), Hub(), Learning(), Acl() | LearningBridge()):
            segment.forwarder = forwarder
    segment.forwarder = LearningBridge()
    stopping.set()
    thread.join()
    wait_until(lambda: [p.traffic.rx_frames for p in sent] == list(sent.values()))
    wait_until(lambda: b.traffic.tx_frames + a.traffic.drops + b.traffic.drops == sent[a])
    wait_until(lambda: d.traffic.tx_frames + c.traffic.drops + d.traffic.drops == sent[c])
    assert "forwarder_failed" not in lab.drops()
    assert other.stats().tally.drops.keys() <= {"port_full"}
    wait_until(lambda: not forwarders_since(before))


def test_it_goes_on_after_a_stop(lab: Lab) -> None:
    _, a, b = segment_with(lab, By(flood))
    for number in range(3):
        lab.engine.start()
        lab.engine.stop()
        a.send(frame(mac(number), A))
    lab.engine.start()
    assert receive(b, 3) == [frame(mac(number), A) for number in range(3)]


def test_a_table_is_a_dict(lab: Lab) -> None:
    del lab
    random = np.random.default_rng(3)
    table, model = Table(50), dict[int, int]()
    value = table.column(np.int64, -1)
    for step in range(2000):
        keys = random.integers(0, 120, random.integers(0, 8)).astype(np.uint64)
        if step % 3 == 2:
            rows = table.find(keys)
            table.remove(rows)
            for key in keys.tolist():
                model.pop(key, None)
        else:
            value[table.add(keys)] = step
            for key in keys.tolist():
                if key in model or len(model) < 50:
                    model[key] = step
        everything = np.arange(120, dtype=np.uint64)
        assert value[table.find(everything)].tolist() == [model.get(key, -1) for key in range(120)]
        assert len(table) == len(model) == len(table.rows)
        assert sorted(table.keys[table.rows].tolist()) == sorted(model)
    table.clear()
    assert len(table) == 0
    assert value[:51].tolist() == [-1] * 51


# What a forwarder's own methods may do, and what goes wrong in them.


class Watched(Forwarder):
    """Counts the calls of its `stop`, and uses its segment in every burst."""

    def __init__(self) -> None:
        self.stops = 0

    def forward(self, burst: Burst) -> None:
        assert self.segment is not None
        burst.out = self.port("b")

    def stop(self) -> None:
        self.stops += 1


def test_it_is_stopped_once(lab: Lab) -> None:
    watched = Watched()
    segment, _, _ = segment_with(lab, watched)
    segment.forwarder = Hub()
    assert (watched.stops, watched.segment) == (1, None)
    other, _, _ = segment_with(lab, watched, vni=2)
    lab.engine.remove_segment(segment)
    assert watched.stops == 1
    lab.engine.remove_segment(other)
    assert watched.stops == 2


def test_it_has_its_segment_until_its_last_frame(lab: Lab) -> None:
    segment, a, b = segment_with(lab, Watched())
    lab.engine.start()
    sent = 0
    for _ in range(100):
        for _ in range(20):
            try:
                a.send(frame(B, A))
                sent += 1
            except BlockingIOError:
                pass
        segment.forwarder = Watched()
        drain(b)
    wait_until(lambda: b.traffic.tx_frames + a.traffic.drops + b.traffic.drops == sent)
    assert "forwarder_failed" not in lab.drops()


@pytest.mark.parametrize("native", [False, True])
def test_its_end_may_wait_for_somebody_who_uses_the_engine(
    lab: Lab, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def stop() -> None:
        thread = threading.Thread(target=lambda: asked.append(lab.engine.segments))
        thread.start()
        thread.join()

    class Ending(Forwarder):
        def forward(self, burst: Burst) -> None: ...

    class EndingBridge(LearningBridge):
        pass

    kind = EndingBridge if native else Ending
    monkeypatch.setattr(kind, "stop", lambda _: stop())
    segment, _, _ = segment_with(lab, kind())
    segment.forwarder = kind()
    lab.engine.remove_segment(segment)
    segment_with(lab, kind(), vni=2)
    lab.engine.close()
    assert len(asked) == 3


def test_what_it_does_while_it_ends_changes_nothing(lab: Lab) -> None:
    done = []

    class Ending(Watched):
        def stop(self) -> None:
            assert self.segment is not None
            with pytest.raises(ConflictError):
                lab.engine.remove_segment(self.segment)
            with pytest.raises(ConflictError):
                self.segment.add_memory_port("late")
            done.append(self)

    segment, _, _ = segment_with(lab, Ending())
    lab.engine.remove_segment(segment)
    assert len(done) == 1


def test_a_chain_whose_second_cannot_start_stops_the_first(lab: Lab) -> None:
    class Broken(Forwarder):
        def start(self) -> None:
            raise ValueError("no")

        def forward(self, burst: Burst) -> None: ...

    watched = Watched()
    segment, _, _ = segment_with(lab, Hub())
    with pytest.raises(RefusedError, match="ValueError: no"):
        segment.forwarder = watched | Broken()
    assert (watched.stops, watched.segment) == (1, None)


@pytest.mark.parametrize("interval", [None, float("inf"), 1e9, "soon"])
def test_any_interval_is_survived(lab: Lab, interval: object) -> None:
    class Ticking(By):
        tick_interval: ClassVar[float | None] = 1000.0

        def tick(self) -> None:
            type(self).tick_interval = interval  # type: ignore[assignment]

    _, a, b = segment_with(lab, Ticking(flood))
    lab.engine.advance_clock(1000)
    lab.engine.start()
    for _ in range(2):
        a.send(frame(B, A))
        assert receive(b, 1) == [frame(B, A)]


def test_an_exception_that_cannot_be_shown_is_counted(lab: Lab) -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def decide(_: Forwarder, burst: Burst) -> None:
        raise UnspeakableError

    segment, a, _ = segment_with(lab, By(decide))
    for _ in range(2):
        lab.send(a, frame(B, A))
        lab.poll()
    assert segment.stats().forwarder.failures == 2
    assert segment.stats().forwarder.last_error == "By: UnspeakableError: it cannot be shown"


def test_it_may_replace_itself(lab: Lab) -> None:
    def decide(forwarder: Forwarder, burst: Burst) -> None:
        assert forwarder.segment is not None
        burst.out = FLOOD
        forwarder.segment.forwarder = Hub()

    _, a, b = segment_with(lab, By(decide))
    for number in range(3):
        lab.send(a, frame(mac(number), A))
        lab.poll()
    assert drain(b) == [frame(mac(number), A) for number in range(3)]


def test_copies_of_others_survive_a_failure(lab: Lab) -> None:
    def copy(forwarder: Forwarder, burst: Burst) -> None:
        burst.copy(0, forwarder.port("b"))

    def fail(forwarder: Forwarder, burst: Burst) -> None:
        copy(forwarder, burst)
        raise ValueError

    _, a, b = segment_with(lab, By(copy) | By(fail))
    lab.send(a, frame(B, A))
    lab.poll()
    assert drain(b) == [frame(B, A)]
    assert lab.drops() == {"forwarder_failed": 1}


def test_a_replaced_forwarder_is_freed_at_once(lab: Lab) -> None:
    """With its rings and its descriptor: no cycle waits for the garbage collector."""
    segment, a, _ = segment_with(lab, Hub())
    forwarder: Forwarder = Learning()
    seen = weakref.ref(forwarder)
    segment.forwarder = forwarder
    lab.send(a, frame(B, A))
    lab.poll()
    descriptors = len(os.listdir("/proc/self/fd"))
    gc.disable()
    try:
        segment.forwarder = Hub()
        segment.forwarder = LearningBridge()
        del forwarder
        assert seen() is None
        assert len(os.listdir("/proc/self/fd")) == descriptors - 1
    finally:
        gc.enable()


def test_frames_of_a_port_that_is_gone(lab: Lab) -> None:
    """While a forwarder thinks about a frame, its port is removed and another one made: nothing is learned there."""

    def replace(_: Forwarder, burst: Burst) -> None:
        if not b.removed:
            burst.send(0, a.number)  # it leaves at once
            segment.remove_port(b)
            made.append(segment.add_memory_port("c"))
            burst.send(0, a.number)
        burst.out = PASS

    made: list[MemoryPort] = []
    segment, a, b = segment_with(lab, Chain(By(replace), LearningBridge()))
    number = b.number
    lab.send(b, frame(BROADCAST, B))
    lab.poll()
    assert len(drain(a)) == 1
    assert B not in segment.fdb
    assert lab.drops() == {"port_down": 2}
    assert made[0].number != number  # forwarders may remember it
    assert made[0].stats().traffic.drops == 0
    lab.send(made[0], frame(BROADCAST, B))
    lab.poll()
    assert segment.fdb[B].to == (made[0],)


@pytest.mark.parametrize("reason", ["not_member", "unknown_vtep"])
def test_frames_of_a_remote_that_is_dismissed(reason: str) -> None:
    """While a forwarder thinks about a frame, its sender is dismissed: nothing is learned from there after that."""

    def dismiss(_: Forwarder, burst: Burst) -> None:
        if reason == "not_member":
            segment.dismiss(far.address)
        else:
            lab.engine.dismiss(far.address)
        burst.out = PASS

    with Lab(known_only=True) as lab:
        far = lab.far(2)
        segment = lab.engine.add_segment(1, members_only=True, forwarder=Chain(By(dismiss), LearningBridge()))
        port = segment.add_memory_port("a")
        lab.engine.admit(far.address)
        segment.admit(far.address)
        far.send(1, frame(BROADCAST, B))
        lab.poll()
        assert drain(port) == []
        assert B not in segment.fdb
        assert lab.drops() == {reason: 1}


def test_the_number_of_a_port_is_given_again_late() -> None:
    indices = Indices(3, "ports", late=True)
    first, second = indices.take(), indices.take()
    indices.give_back(second)
    indices.give_back(first)
    assert [indices.take(), indices.take(), indices.take()] == [3, second, first]
    with pytest.raises(ConflictError, match="3 ports"):
        indices.take()
