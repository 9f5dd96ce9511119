# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share, without a benchmark: figures of rounds, ratios, documents, waiting for a quiet machine."""

from pathlib import Path

import pytest

from fastpath.bench.common import command, machine, quiet
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
