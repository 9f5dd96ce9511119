# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share, without a benchmark: figures of rounds, ratios, documents, waiting for a quiet machine."""

import os
from pathlib import Path

import pytest

from fastpath.bench.common import command, machine, other_load, quiet
from fastpath.bench.common.documents import KeptTable, Marks, paragraph
from fastpath.bench.common.machine import CpuTime
from fastpath.bench.common.results import Frozen, by_round
from fastpath.bench.common.spread import Spread, in_words, ratios
from fastpath.errors import RefusedError


class Measured(Frozen):
    scenario: str
    round: int
    figures: dict[str, float]


def test_figures_are_found_by_place_and_round() -> None:
    found = [
        Measured(scenario="a", round=0, figures={"x": 1.0}),
        Measured(scenario="a", round=1, figures={"y": 2.0}),
        Measured(scenario="b", round=1, figures={"x": 3.0}),
        Measured(scenario="a", round=2, figures={"x": 4.0}),
    ]
    assert by_round(found, "x", scenario="a") == {0: 1.0, 2: 4.0}
    assert by_round(found, "x") == {0: 1.0, 1: 3.0, 2: 4.0}


def test_ratios_need_both_sides_of_a_round() -> None:
    assert ratios({0: 1.0, 1: 4.0, 2: 6.0}, {1: 2.0, 2: 0.0, 3: 5.0}) == [2.0]
    assert Spread.of([3.0, 1.0, 2.0, 10.0]) == Spread(2.5, 1.0, 10.0)


def test_a_range_is_shown_where_there_is_one() -> None:
    assert [in_words(values, 1) for values in ([], [2.0], [1234.56, 1.0, 3.0])] == ["–", "2.0", "3.0 (1.0–1,234.6)"]


def test_a_table_stands_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, document = tmp_path / "run.json", tmp_path / "document.md"
    run.write_text("figures")
    document.write_text("before\n<!-- a run: begin -->\nold\n<!-- a run: end -->\nafter\n")
    table = KeptTable("a run", str(run), Path.read_text, str.upper)
    monkeypatch.setattr("sys.argv", ["table", str(document)])
    table.command()
    assert document.read_text() == "before\n<!-- a run: begin -->\nFIGURES\n<!-- a run: end -->\nafter\n"
    with pytest.raises(SystemExit, match="lacks the marks <!-- another: begin -->"):
        Marks("another").place(document.read_text(), "x")


def test_paragraphs_are_wrapped_between_words() -> None:
    text = " ".join(["word", "a-word-with-hyphens"] * 20)
    lines = paragraph(text).splitlines()
    assert " ".join(lines) == text
    assert 80 < max(len(line) for line in lines) <= 100


def test_missing_programs_are_named() -> None:
    assert command.missing(("sh",)) is None
    assert command.missing(("sh", "no-such-program", "nor-this")) == "no-such-program, nor-this not installed"
    with pytest.raises(RefusedError, match=r"^no-such-program not installed$"):
        command.check_programs("sh", "no-such-program")
    assert machine.version_of("no-such-program") == ""


@pytest.mark.parametrize(("patience", "samples"), [(0.0, 1), (3600.0, 3)])
def test_a_quiet_machine_is_waited_for_as_long_as_patience_lasts(
    patience: float, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = iter([0.0, 2.0, 0.0, 2.0, 0.0, 0.2])  # seconds of CPU time before and after each sample of two seconds
    monkeypatch.setattr(machine, "cpu_time", lambda: CpuTime(next(busy), 0.0))
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    assert quiet.wait_for_quiet(patience) == pytest.approx(1.0 if samples == 1 else 0.1)
    assert slept == [quiet.SAMPLE_S] * samples


PROCESSES = {  # PID → parent, flags, CPU seconds of its own, and of its ended children
    1: (0, 0, 1, 2),
    2: (0, other_load.PF_KTHREAD, 100, 0),
    3: (2, other_load.PF_KTHREAD, 100, 0),
    10: (1, 0, 4, 8),
    20: (10, 0, 1000, 1000),  # the benchmark
    21: (20, 0, 1000, 1000),
    22: (21, 0, 1000, 1000),
    30: (1, 0, 16, 32),
}


def proc(folder: Path, processes: dict[int, tuple[int, int, int, int]]) -> Path:
    """A /proc with these processes; (2) of proc_pid_stat(5) may hold anything."""
    for pid, (parent, flags, own, ended) in processes.items():
        (folder / str(pid)).mkdir(parents=True, exist_ok=True)
        ticks = [0, own * other_load.TICKS, ended * other_load.TICKS, 0]
        fields = ["S", parent, pid, pid, 0, -1, flags, 0, 0, 0, 0, *ticks, 20, 0]
        (folder / str(pid) / "stat").write_text(f"{pid} (a) b (c) {' '.join(map(str, fields))}\n")
    (folder / "uptime").write_text("1.0 1.0\n")
    (folder / "31").mkdir(exist_ok=True)  # one that ends just now
    return folder


def test_the_time_of_others_is_without_the_benchmark_and_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getpid", lambda: 20)
    assert other_load.cpu_seconds_of_others(proc=proc(tmp_path, PROCESSES)) == 1 + 2 + 4 + 8 + 16 + 32


def test_a_process_that_ends_is_not_taken_for_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is in what its parent's ended children used."""
    monkeypatch.setattr("os.getpid", lambda: 20)
    before = other_load.cpu_seconds_of_others(proc=proc(tmp_path / "before", PROCESSES))
    after = {pid: one for pid, one in PROCESSES.items() if pid != 30} | {1: (0, 0, 1, 2 + 16 + 32)}
    assert other_load.cpu_seconds_of_others(proc=proc(tmp_path / "after", after)) == before


def test_processes_in_the_benchmark_s_namespaces_are_not_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as daemons that have left their parent."""
    monkeypatch.setattr("os.getpid", lambda: 20)
    monkeypatch.setattr(other_load, "NETNS", tmp_path)
    (tmp_path / "h1").touch()
    folder = proc(tmp_path / "proc", PROCESSES)
    (folder / "30" / "ns").mkdir()
    (folder / "30" / "ns" / "net").hardlink_to(tmp_path / "h1")
    assert other_load.cpu_seconds_of_others(["h1", "h2"], folder) == 1 + 2 + 4 + 8


def test_all_processes_here_can_be_told_apart() -> None:
    """This process and its children do not count, and the others have used something since they began."""
    assert os.getpid() in other_load._processes(other_load.PROC)
    assert other_load.cpu_seconds_of_others() > 0


def test_waiting_is_told_by_the_kernel_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_load, "PRESSURE", tmp_path / "cpu")
    assert other_load.waiting_seconds() == 0
    (tmp_path / "cpu").write_text("some avg10=1.00 avg60=0.50 avg300=0.10 total=2500000\nfull avg10=0.00 total=9\n")
    assert other_load.waiting_seconds() == 2.5


def test_a_look_tells_busy_cores_and_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, waited = iter([10.0, 13.0]), iter([1.0, 2.0])
    monkeypatch.setattr(machine, "cpu_time", lambda: CpuTime(next(busy), 0.0))
    monkeypatch.setattr(other_load, "waiting_seconds", lambda: next(waited))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert other_load.look(2.0) == other_load.Look(cores=1.5, pressure=0.5)


def test_others_use_cores_and_guests_take_some(monkeypatch: pytest.MonkeyPatch) -> None:
    spent, stolen, now = iter([5.0, 8.0]), iter([1.0, 2.0]), iter([0.0, 2.0])
    monkeypatch.setattr(other_load, "cpu_seconds_of_others", lambda _: next(spent))
    monkeypatch.setattr(machine, "cpu_time", lambda: CpuTime(0.0, next(stolen)))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    assert other_load.OtherLoad().cores() == 2.0
