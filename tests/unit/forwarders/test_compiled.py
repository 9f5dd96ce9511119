# SPDX-License-Identifier: Apache-2.0
"""Forwarders that numba compiles: what they see, what they declare, and how they fail."""

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastpath import DROP, FLOOD, PASS, Burst, Forwarder, LearningBridge, MemoryPort, UsageError
from fastpath.control.runtime.forwarders import load
from fastpath.forwarder.compiled import Compiled, compiled
from tests.support.engine.frames import BROADCAST, frame, mac
from tests.support.engine.lab import Lab, drain

ROOT = Path(__file__).parents[3]
A, B = mac(0xA), mac(0xB)
PORT = 1 << 28  # what the number of a port begins with
ETHERTYPE = b"\x88\xb5"

pytestmark = pytest.mark.slow  # numba


@compiled(
    reasons=("short",),
    counters=("frames", "tagged"),
    limit=np.array([17], np.uint32),
    seen=np.zeros(4, [("length", np.uint32), ("hops", np.uint8), ("from_", np.uint64, (2,))]),
    times=np.zeros((2, 2), np.float64),
)
def probe(  # noqa: PLR0917
    burst: Any, seen: Any, tagged: Any, limit: Any, times: Any, frames: Any, short: Any, now: Any, worker: Any
) -> None:
    """One of everything that can be declared."""
    frames[0] += len(burst)
    times[worker, 1] = now
    for i in range(len(burst)):
        seen[i].length = burst.length[i]
        seen[i].hops = burst[i].ttl
        seen[i].from_[1] = burst[i].src_ip6[1]
        if burst[i].vlan:
            tagged[0] += 1
        burst.out[i] = short if burst[i].length < limit[0] else FLOOD


IPV6 = b"\x86\xdd\x60\0\0\0\0\0\x3b\x09" + bytes(15) + b"\x05" + bytes(16)  # no next header, hop limit 9
TAGGED = b"\x81\x00\x00\x07" + ETHERTYPE


def two_ports(lab: Lab, forwarder: Forwarder) -> tuple[MemoryPort, MemoryPort]:
    """Those of a segment with this forwarder."""
    segment = lab.engine.add_segment(7, forwarder=forwarder)
    return segment.add_memory_port("one"), segment.add_memory_port("two")


def through(lab: Lab, ports: tuple[MemoryPort, MemoryPort], *frames: bytes) -> list[bytes]:
    """Have frames from the first port decided on, in one burst; what came out of the second."""
    for data in frames:
        lab.send(ports[0], data)
    lab.poll()
    return drain(ports[1])


def send(lab: Lab, forwarder: Forwarder, *frames: bytes) -> list[bytes]:
    """The same in a new segment."""
    return through(lab, two_ports(lab, forwarder), *frames)


def test_columns_arrays_counters_and_reasons(lab: Lab) -> None:
    forwarder = probe()
    frames = [frame(B, A, IPV6), frame(B, A, TAGGED), frame(B, A, b"\x88\xb5")]
    assert send(lab, forwarder, *frames) == frames[:2]
    assert forwarder.counters == {"short": 1, "frames": 3, "tagged": 1}
    assert lab.drops() == {"forwarder": 1}
    assert forwarder.arrays["seen"]["length"].tolist() == [54, 18, 14, 0]
    assert forwarder.arrays["seen"]["hops"].tolist() == [9, 0, 0, 0]
    assert forwarder.arrays["seen"]["from_"][0].tolist() == [0, 5]
    assert forwarder.arrays["times"][0, 1] > 0
    assert not forwarder.deferred
    assert (forwarder.name, forwarder.__doc__) == ("probe", "One of everything that can be declared.")


def test_options_fill_the_arrays_of_one_forwarder(lab: Lab) -> None:
    strict, lenient = probe(limit="1000"), probe()
    assert (strict.arrays["limit"].tolist(), lenient.arrays["limit"].tolist()) == ([1000], [17])
    assert send(lab, strict, frame(B, A, IPV6)) == []
    assert strict.counters["short"] == 1
    assert lenient.counters["frames"] == 0


@compiled(number=np.zeros(1, np.uint32))
def fixed(burst: Any, number: Any) -> None:
    """Decides what it is told to."""
    burst.out[:] = number[0]


@pytest.mark.parametrize(
    ("number", "reason"),
    [(PASS, "undecided"), (DROP, "forwarder"), (6 << 28, "bad_target"), (PORT | 999, "bad_target")],
)
def test_what_does_not_arrive_is_counted(lab: Lab, number: int, reason: str) -> None:
    assert send(lab, fixed(number=number), frame(B, A), frame(B, A)) == []
    assert lab.drops() == {reason: 2}


def test_in_a_chain(lab: Lab) -> None:
    first, second = fixed(number=PASS), fixed(number=FLOOD)
    assert send(lab, first | second | fixed(number=DROP), frame(B, A)) == [frame(B, A)]


def test_in_a_chain_with_one_in_python(lab: Lab) -> None:
    class Flood(Forwarder):
        def forward(self, burst: Burst) -> None:
            burst.out = FLOOD

    assert send(lab, fixed(number=PASS) | Flood(), frame(B, A)) == [frame(B, A)]
    assert lab.drops() == {}


@compiled(table=np.zeros(4, np.uint32), mode=np.zeros(1, np.uint32))
def fragile(burst: Any, table: Any, mode: Any) -> None:
    """Fails in the way that `mode` says."""
    burst.out[:] = FLOOD
    for one in burst:
        if mode[0] == 1:
            one.out = table[one.length]
        elif mode[0] == 2:
            one.out = one.length // table[0]
        elif mode[0] == 3:
            raise ValueError(one.length)


@pytest.mark.parametrize("mode", [1, 2, 3])
def test_an_exception_drops_the_burst(lab: Lab, mode: int, capfd: pytest.CaptureFixture[str]) -> None:
    forwarder = fragile(mode=mode)
    ports = two_ports(lab, forwarder)
    assert through(lab, ports, frame(B, A), frame(B, A)) == []
    assert lab.drops() == {"forwarder_failed": 2}
    assert capfd.readouterr() == ("", "")
    forwarder.arrays["mode"][0] = 0
    assert through(lab, ports, frame(B, A)) == [frame(B, A)]


def test_unchecked_bounds_are_a_choice(lab: Lab) -> None:
    @compiled(bounds_checked=False)
    def trusting(burst: Any) -> None:
        burst.out[:] = FLOOD

    assert send(lab, trusting(), frame(B, A)) == [frame(B, A)]


def test_it_may_have_no_arguments(lab: Lab) -> None:
    @compiled
    def flood(burst: Any) -> None:
        burst.out[:] = FLOOD

    assert send(lab, flood(), frame(B, A)) == [frame(B, A)]


def test_a_subclass_can_use_ports_and_remotes(lab: Lab) -> None:
    class ToTwo(fixed):  # type: ignore[misc,valid-type]
        def start(self) -> None:
            self.arrays["number"][0] = self.port("two")

    segment = lab.engine.add_segment(7)
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    segment.forwarder = ToTwo()
    lab.send(one, frame(B, A))
    lab.poll()
    assert drain(two) == [frame(B, A)]


def test_it_is_loaded_by_name_with_parameters(tmp_path: Path) -> None:
    text = "import numpy as np\nfrom fastpath import DROP, FLOOD\nfrom fastpath.forwarder.compiled import compiled\n"
    text += "@compiled(size=np.zeros(1, np.uint32))\ndef upto(burst, size):\n"
    text += "    for one in burst:\n        one.out = FLOOD if one.length <= size[0] else DROP\n"
    (tmp_path / "upto.py").write_text(text)
    for spec in ("upto.py", "upto.py:upto"):
        forwarder = load(spec, {"size": "64"}, tmp_path)
        assert isinstance(forwarder, Compiled)
        assert forwarder.arrays["size"].tolist() == [64]
    for name, value, words in (("length", "64", "no parameter length: it has size"), ("size", "x", "size: invalid")):
        with pytest.raises(UsageError, match=words):
            load("upto.py", {name: value}, tmp_path)


def one_line(error: pytest.ExceptionInfo[UsageError], *words: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(__file__)
    for word in words:
        assert word in text, text


def unknown_name(burst: Any) -> None:
    burst.out[:] = nowhere  # type: ignore[name-defined]  # noqa: F821


def unknown_column(burst: Any) -> None:
    burst.colour[:] = FLOOD


def not_for_numba(burst: Any) -> None:
    burst.out[:] = sorted({"a": FLOOD}.items(), key=str)


@pytest.mark.parametrize(
    ("function", "words"), [(unknown_name, ["nowhere"]), (unknown_column, ["colour"]), (not_for_numba, [])]
)
def test_what_cannot_be_compiled_is_told_in_one_line(function: Callable[..., None], words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        compiled(function)()
    one_line(error, f"{function.__name__}: numba cannot compile it: ", *words)


def test_without_numba_it_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(UsageError) as error:
        compiled(unknown_column)()
    one_line(error, "pip install numba")


def test_where_memory_may_not_become_executable_it_says_what_to_do() -> None:
    """As with MemoryDenyWriteExecute of systemd."""
    code = """if True:
        import ctypes, sys
        from fastpath import UsageError
        from fastpath.forwarder.compiled import compiled
        from tests.unit.forwarders.test_compiled import unknown_column
        PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
        if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
            sys.exit("Linux 6.3 can forbid it")
        try:
            compiled(unknown_column)()
        except UsageError as error:
            print(error)
    """
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=root)
    if "Linux 6.3" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert "numba cannot start: this process may not make memory executable" in done.stdout
    assert done.stdout.count("\n") == 1
    assert "## Under systemd" in (root / "docs" / "forwarding" / "forwarders-numba.md").read_text()


def test_numba_is_imported_only_by_whoever_compiles() -> None:
    code = "import fastpath.forwarder.compiled, fastpath.control.cli.__main__, sys; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


OBJECTS = np.array([{}], object)


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({}, ["parameter table", "now, worker"]),
        ({"table": 5}, ["table must be an array"]),
        ({"table": np.uint32(5)}, ["table must be an array"]),
        ({"table": OBJECTS}, ["without objects"]),
        ({"table": np.zeros(1), "reasons": ["table"]}, ["'table' cannot be declared"]),
        ({"table": np.zeros(1), "reasons": ["no name"]}, ["'no name' cannot be declared"]),
        ({"table": np.zeros(1), "now": np.zeros(1)}, ["'now' cannot be declared"]),
    ],
)
def test_declarations_that_cannot_be(declared: dict[str, Any], words: list[str]) -> None:
    def takes_table(burst: Any, table: Any) -> None:
        pass

    with pytest.raises(UsageError) as error:
        compiled(**declared)(takes_table)
    one_line(error, "takes_table: ", *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speed": "1"}, ["no option speed", "limit, seen, times"]),
        ({"limit": "many"}, ["limit: "]),
        ({"limit": "-1"}, ["limit: "]),
        ({"limit": [1, 2]}, ["limit: "]),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        probe(**options)
    one_line(error, "probe: ", *words)


def test_the_base_class_alone_has_no_function(lab: Lab) -> None:
    class Empty(Compiled):
        def __init__(self) -> None:
            pass

    with pytest.raises(UsageError, match="has no function"):
        lab.engine.add_segment(7, forwarder=Empty())


def test_the_example_in_the_document_does_what_it_says(lab: Lab, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "forwarding" / "forwarders-numba.md").read_text()
    (tmp_path / "limit.py").write_text(re.findall(r"(?s)```python\n(.*?)```", text)[0])
    limiter = runpy.run_path(str(tmp_path / "limit.py"))["limiter"](limit=2)
    frames = [frame(BROADCAST, source, ETHERTYPE + bytes([n])) for n in range(3) for source in (A, B)]
    assert send(lab, limiter | LearningBridge(), *frames) == frames[:4]
    assert limiter.counters == {"too_many": 2, "frames": 6}


class Asked(Forwarder):
    """In Python: floods, and counts what it was asked for."""

    def forward(self, burst: Burst) -> None:
        self.count("asked", len(burst))
        burst.out[:] = FLOOD


@compiled(reasons=("odd",), counters=("seen",))
def first(burst: Any, odd: Any, seen: Any) -> None:
    """Floods frames of 60 bytes, drops those of 61, and leaves others."""
    seen[0] += len(burst)
    for i in range(len(burst)):
        if burst.length[i] == 60:
            burst.out[i] = FLOOD
        elif burst.length[i] == 61:
            burst.out[i] = odd


def test_what_is_compiled_in_front_runs_in_the_worker(lab: Lab) -> None:
    """Only what it leaves undecided goes to the thread of what is written in Python, here behind yet another."""
    frames = [frame(BROADCAST, A).ljust(size, b"\0") for size in (60, 61, 62, 60, 63)]
    segment = lab.engine.add_segment(7, forwarder=first() | Asked() | LearningBridge())
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    for data in frames:
        lab.send(one, data)
    lab.poll()
    assert sorted(map(len, drain(two))) == [60, 60, 62, 63]
    counters = segment.stats().forwarder.counters
    assert counters == {"first.odd": 1, "first.seen": 5, "Asked.asked": 2}
    stats = lab.engine.stats()
    assert stats.workers[0].traffic.tx_frames == 2
    assert stats.deferred.traffic.tx_frames == 2


def test_what_is_compiled_behind_runs_on_the_thread(lab: Lab) -> None:
    segment = lab.engine.add_segment(7, forwarder=Asked() | first())
    one, two = segment.add_memory_port("one"), segment.add_memory_port("two")
    lab.send(one, frame(BROADCAST, A).ljust(61, b"\0"))
    lab.poll()
    assert list(map(len, drain(two))) == [61]
    assert segment.stats().forwarder.counters == {"Asked.asked": 1, "first.odd": 0, "first.seen": 0}
