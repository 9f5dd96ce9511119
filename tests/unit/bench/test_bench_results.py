# SPDX-License-Identifier: Apache-2.0
"""The results of the benchmark: ratios, the file, tables and other reports."""

import json
import xml.etree.ElementTree as ET
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fastpath.bench.common.other_load import BUSY_CORES, BUSY_PRESSURE
from fastpath.bench.e2e import results
from fastpath.bench.e2e import table as readme_table
from fastpath.bench.e2e.report import page, plot, terminal
from fastpath.bench.e2e.report.rows import number, rows
from fastpath.bench.e2e.results import About, ContestantInfo, Measurement, Results, Skipped
from fastpath.bench.e2e.scenarios import SCENARIOS, Compared
from fastpath.bench.e2e.sites.overlays import OVERLAYS
from fastpath.errors import UsageError

FIGURES = {  # contestant -> (kpps received in each round, µs p50)
    "fastpath": ([300.0, 310.0, 290.0], [20.0, 21.0, 19.0]),
    "kernel-bridge": ([100.0, 155.0, 100.0], [40.0, 42.0, 38.0]),
    "ovs": ([150.0, 150.0, 150.0], [20.0, 20.0, 20.0]),
}


def measurement(scenario: str, name: str, number: int, **figures: float) -> Measurement:
    return Measurement(scenario=scenario, underlay="wire", contestant=name, round=number, figures=figures)


@pytest.fixture
def found() -> Results:
    """A run with two scenarios, two baselines, three rounds."""
    measurements = []
    for name, (kpps, p50) in FIGURES.items():
        for n in range(3):
            more = {"offered_kpps": 900.0, "cpu_us_per_datagram": 5.0}
            measurements.append(measurement("udp64", name, n, received_kpps=kpps[n], **more))
            measurements.append(measurement("rr", name, n, p50_us=p50[n], p99_us=p50[n] * 2))
    ratios = [
        results.ratio(measurements, compared, scenario=scenario, underlay="wire", subject="fastpath", baseline=baseline)
        for scenario in ("udp64", "rr")
        for baseline in ("kernel-bridge", "ovs")
        for compared in SCENARIOS[scenario].compared
    ]
    return Results(
        about=About(
            date="2026-01-02T03:04:05+00:00",
            cpu="A <CPU> & more",
            cores=2,
            kernel="6.18.1-x",
            python="3.11.7",
            fastpath="0.1.0",
            commit="0123456789ab",
            seconds=2,
            rounds=3,
            pinning="pinned",
            congestion="cubic",
            counted="all",
            order="A B, B A",
            offloads={"wire": {"tcp-segmentation-offload": "off"}},
            programs={"iperf3": "iperf 3.12"},
            idle_cores={"wire": 0.01},
        ),
        scenarios=[results.describe(SCENARIOS[name], ["wire"]) for name in ("udp64", "rr")],
        contestants=[ContestantInfo(name=name, what=OVERLAYS[name].what) for name in FIGURES],
        measurements=measurements,
        ratios=[ratio for ratio in ratios if ratio is not None],
        skipped=[Skipped(what="fastd", reason="fastd not installed")],
    )


def test_ratios_are_formed_within_a_round(found: Results) -> None:
    ratio = found.ratios[0]
    assert ratio.rounds == [3.0, 2.0, 2.9]
    assert (ratio.median, ratio.minimum, ratio.maximum) == (2.9, 2.0, 3.0)


def test_a_round_that_lacks_one_of_both_does_not_count() -> None:
    measurements = [measurement("udp64", "fastpath", n, received_kpps=2.0) for n in range(3)]
    compared = Compared("received_kpps", "kpps")
    names = {"scenario": "udp64", "underlay": "wire", "subject": "fastpath", "baseline": "ovs"}
    assert results.ratio(measurements, compared, **names) is None
    measurements.append(measurement("udp64", "ovs", 1, received_kpps=4.0))
    measurements.append(measurement("udp64", "ovs", 2, received_kpps=0.0))
    ratio = results.ratio(measurements, compared, **names)
    assert ratio is not None
    assert ratio.rounds == [0.5]


def tcp(name: str, number: int, algorithm: str | None, gbit: float) -> Measurement:
    return Measurement(
        scenario="tcp1",
        underlay="wire",
        contestant=name,
        congestion=algorithm,
        round=number,
        figures={"gbit_per_s": gbit, "cpu_s_per_gb": 1.0},
    )


@pytest.fixture
def with_both(found: Results) -> Results:
    """A run whose TCP was measured with two congestion controls, beside scenarios without TCP."""
    streams = [
        tcp(name, number, algorithm, gbit)
        for number in range(3)
        for algorithm, ours, theirs in (("bbr", 12.0, 16.0), ("cubic", 10.0, 40.0))
        for name, gbit in (("fastpath", ours), ("kernel-bridge", theirs))
    ]
    names = {"scenario": "tcp1", "underlay": "wire", "subject": "fastpath", "baseline": "kernel-bridge"}
    made = [
        results.ratio(streams, compared, congestion=algorithm, **names)
        for algorithm in ("bbr", "cubic")
        for compared in SCENARIOS["tcp1"].compared
    ]
    more = {
        "scenarios": [results.describe(SCENARIOS["tcp1"], ["wire"]), *found.scenarios],
        "measurements": [*streams, *found.measurements],
        "ratios": [*(ratio for ratio in made if ratio is not None), *found.ratios],
    }
    return found.model_copy(update=more)


def test_ratios_are_formed_within_one_congestion_control(with_both: Results) -> None:
    medians = {ratio.congestion: ratio.median for ratio in with_both.ratios if ratio.figure == "gbit_per_s"}
    assert medians == {"bbr": 0.75, "cubic": 0.25}
    assert with_both.congestions() == with_both.congestions("tcp1") == ["bbr", "cubic"]
    assert with_both.congestions("udp64") == [None]
    assert with_both.tcp == "bbr and cubic"


def test_every_report_tells_congestion_controls_apart(with_both: Results) -> None:
    output = StringIO()
    terminal.print_report(Console(width=160, file=output), with_both)
    texts = [output.getvalue(), page.render(with_both), plot.svg(with_both), readme_table.long_table(with_both)]
    for text in texts[:2]:
        assert "TCP congestion control: bbr and cubic (this machine&#x27;s own: cubic)" in text.replace("'", "&#x27;")
    for text in (texts[0], texts[1], texts[3]):
        assert "tcp1 bbr" in text
        assert "tcp1 cubic" in text
    assert "| `tcp1 cubic` | wire | 10.0 Gbit/s | 40.0 | **0.25× (0.25–0.25)** | 1.00× |" in texts[3]
    assert "| `udp64` | wire | 300 kpps | 100 |" in texts[3]


def test_a_run_without_named_congestion_controls_was_made_with_the_machine_s_own(found: Results) -> None:
    assert found.congestions() == [None]
    assert found.tcp == "cubic"
    assert {row.title for row in rows(found)} == {"udp64", "rr"}


def test_the_short_table_has_ratios_and_cpu_under_each_congestion_control(with_both: Results) -> None:
    lines = readme_table.short_table(with_both).splitlines()
    assert "TCP with bbr and cubic; 3 rounds of 2 s" in lines[0]
    assert lines[-6:] == [
        "| | offload | CPU ↓ | wire | CPU ↓ |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| 1 TCP stream, BBR | – | – | **0.75× (0.75–0.75)** | 1.00× |",
        "| 1 TCP stream, CUBIC | – | – | **0.25× (0.25–0.25)** | 1.00× |",
        "| 64-byte datagrams, as fast as possible | – | – | **2.90× (2.00–3.00)** | 1.00× |",
        "| round trip of 64 bytes, median ↓ | – | – | **0.50× (0.50–0.50)** | – |",
    ]


def test_the_short_table_of_a_run_with_one_congestion_control_says_which(with_both: Results) -> None:
    bbr = [one for one in with_both.measurements if one.congestion != "cubic"]
    text = readme_table.short_table(with_both.model_copy(update={"measurements": bbr}))
    assert "TCP with bbr" in text
    assert "| 1 TCP stream | – | – | **0.75× (0.75–0.75)** | 1.00× |" in text


def test_marks_choose_the_form(with_both: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_both.write(tmp_path / "e2e-x.json")
    monkeypatch.setattr(readme_table, "KEPT", tmp_path)
    blocks = [f"<!-- {name}: begin -->\nold\n<!-- {name}: end -->" for name in ("e2e-x.json", "e2e-x.json short")]
    text = readme_table.refresh("\n\n".join(blocks))
    assert "old" not in text
    long, short = readme_table.long_table(with_both), readme_table.short_table(with_both)
    assert f"<!-- e2e-x.json: begin -->\n{long}\n<!-- e2e-x.json: end -->" in text
    assert f"<!-- e2e-x.json short: begin -->\n{short}\n<!-- e2e-x.json short: end -->" in text


def test_the_command_is_in_every_report(found: Results) -> None:
    about = found.about.model_copy(update={"command": "fastpath bench --rounds 3"})
    made = found.model_copy(update={"about": about})
    output = StringIO()
    terminal.print_report(Console(width=160, file=output), made)
    foot = plot.draw(made).texts[-1].get_text()
    for text in (output.getvalue(), page.render(made), foot):
        assert "fastpath bench --rounds 3" in text


def test_a_busy_machine_is_named_in_every_report(found: Results) -> None:
    """What others used during a measurement, or who waited for a core before."""
    used = (0.0, BUSY_CORES, 0.5, 1.25)
    disturbed = [
        one.model_copy(update={"others_cores": cores}) for one, cores in zip(found.measurements, used, strict=False)
    ]
    assert results.busy_in_words(disturbed, {"wire": 0.8, "offload": 0.2}) == (
        "others used up to 1.2 cores in 2 of 4 measurements; "
        "processes waited for a core in 80% of the time without traffic"
    )
    made = found.model_copy(update={"about": found.about.model_copy(update={"busy": "others used up to 1.2 cores"})})
    output = StringIO()
    terminal.print_report(Console(width=160, file=output), made)
    texts = [output.getvalue(), page.render(made), plot.draw(made).texts[-1].get_text()]
    texts += [table(made).replace("\n", " ") for table in (readme_table.long_table, readme_table.short_table)]
    for text in texts:
        assert "machine was busy with other things" in text
        assert "others used up to 1.2 cores" in text


def test_a_quiet_machine_is_not_called_busy(found: Results) -> None:
    """Nor an older run, which does not tell."""
    quiet = [one.model_copy(update={"others_cores": BUSY_CORES}) for one in found.measurements]
    assert results.busy_in_words(quiet, {"wire": BUSY_PRESSURE}) == ""
    assert results.busy_in_words(found.measurements, {}) == ""
    assert "busy" not in readme_table.long_table(found)


def test_each_subject_has_lines_of_its_own(found: Results) -> None:
    """The run's first baseline becomes a second subject."""
    second = [
        results.ratio(
            found.measurements, compared, scenario=name, underlay="wire", subject="ovs", baseline="kernel-bridge"
        )
        for name in ("udp64", "rr")
        for compared in SCENARIOS[name].compared
    ]
    ours = [ratio for ratio in found.ratios if ratio.baseline == "kernel-bridge"]
    both = found.model_copy(update={"ratios": [*ours, *(ratio for ratio in second if ratio is not None)]})
    assert (both.subjects, both.baselines) == (["fastpath", "ovs"], ["kernel-bridge"])
    long, short = readme_table.long_table(both), readme_table.short_table(both)
    assert "| `udp64 fastpath` | wire | 300 kpps | 100 | **2.90× (2.00–3.00)** | 1.00× |" in long
    assert "| `udp64 ovs` | wire | 150 kpps | 100 | **1.50× (0.97–1.50)** | 1.00× |" in long
    assert short.splitlines()[-4:] == [
        "| | fastpath | CPU ↓ | ovs | CPU ↓ |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| 64-byte datagrams, as fast as possible, wire "
        "| **2.90× (2.00–3.00)** | 1.00× | **1.50× (0.97–1.50)** | 1.00× |",
        "| round trip of 64 bytes, median ↓, wire | **0.50× (0.50–0.50)** | – | **0.50× (0.48–0.53)** | – |",
    ]
    assert "udp64 ovs" in page.render(both)


def test_the_order_alternates() -> None:
    assert [results.order(["a", "b"], n) for n in range(3)] == [["a", "b"], ["b", "a"], ["a", "b"]]


def test_the_file_holds_everything(found: Results, tmp_path: Path) -> None:
    file = tmp_path / "e2e.json"
    found.write(file)
    assert Results.read(file) == found
    assert json.loads(file.read_text())["version"] == 1


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2}', "[1, 2]"])
def test_a_file_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "e2e.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="holds no results"):
        Results.read(file)


def test_rows_say_which_side_is_better(found: Results) -> None:
    verdicts = {(row.scenario, row.baseline, row.unit): row.verdict for row in rows(found)}
    assert verdicts["udp64", "kernel-bridge", "kpps, received of offered"] == "better"
    assert verdicts["rr", "kernel-bridge", "µs p50"] == "better"  # a lower time
    assert verdicts["rr", "ovs", "µs p50"] == ""  # the same
    assert {row.ours for row in rows(found) if row.scenario == "udp64" and row.main} == {"300 of 900"}


def test_numbers_have_the_digits_that_say_something() -> None:
    assert [number(value) for value in (None, 0.123, 1.5, 12.34, 123.4, 1234.5)] == [
        "–", "0.12", "1.50", "12.3", "123", "1,234",
    ]  # fmt: skip


def test_the_terminal_shows_every_ratio_and_what_was_skipped(found: Results) -> None:
    output = StringIO()
    terminal.print_report(Console(width=160, file=output), found)
    text = output.getvalue()
    assert "2.90× (2.00–3.00)" in text
    assert "0.50× (0.50–0.50)" in text
    assert "µs p50 ↓" in text
    assert "skipped: fastd: fastd not installed" in text


def test_the_readme_table_names_machine_and_ratios(found: Results, tmp_path: Path) -> None:
    file = tmp_path / "e2e.json"
    found.write(file)
    text = readme_table.long_table(Results.read(file))
    assert "Linux 6.18.1, TCP with cubic; 3 rounds of 2 s" in text
    assert "| `udp64` | wire | 300 kpps | 100 | **2.90× (2.00–3.00)** |" in text
    assert "| `rr` | wire | 40.0 µs p99 ↓ | 80.0 | **0.50× (0.50–0.50)** |" in text


@pytest.mark.parametrize("baselines", [1, 2])
def test_every_line_of_a_table_has_as_many_cells(baselines: int, with_both: Results) -> None:
    found = with_both.model_copy(update={"contestants": with_both.contestants[: 1 + baselines]})
    for text in (readme_table.long_table(found), readme_table.short_table(found)):
        cells = [line.count("|") for line in text.splitlines() if line.startswith("|")]
        assert len(cells) > 4
        assert len(set(cells)) == 1, text


@pytest.mark.slow
def test_the_picture_and_the_page_are_whole(found: Results, tmp_path: Path) -> None:
    picture = tmp_path / "e2e.png"
    plot.write(found, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    ET.fromstring(plot.svg(found))  # noqa: S314  # it is our own
    text = page.render(found)
    assert "A &lt;CPU&gt; &amp; more" in text
    assert "<svg" in text
    assert "2.90× (2.00–3.00)" in text
    assert "http://" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ), "the page needs nothing from elsewhere"
