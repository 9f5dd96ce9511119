# SPDX-License-Identifier: Apache-2.0
"""The benchmark without traffic: names, statistics, files and reports."""

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from fastpath.bench.common.namespaces import Namespace
from fastpath.bench.e2e import congestion, results
from fastpath.bench.e2e import table as readme_table
from fastpath.bench.e2e.command import bench
from fastpath.bench.e2e.loops import native
from fastpath.bench.e2e.names import BASELINES, DEFAULT_SCENARIOS, Contestant, compared, contestant
from fastpath.bench.e2e.report import page, plot, terminal
from fastpath.bench.e2e.report.rows import number, rows
from fastpath.bench.e2e.results import About, ContestantInfo, Measurement, Results, Skipped
from fastpath.bench.e2e.scenarios import SCENARIOS, Compared, Scenario, chosen
from fastpath.bench.e2e.session import Plan, Session
from fastpath.bench.e2e.sites.overlays import OVERLAYS
from fastpath.bench.e2e.sites.site import Site
from fastpath.bench.e2e.traffic import streams
from fastpath.errors import RefusedError, UsageError

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


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("fastpath", []),
        ("fastpath:spin=0", ["--spin", "0"]),
        ("fastpath:spin=0,workers=2", ["--spin", "0", "--workers", "2"]),
        ("fastpath:gso=off,merge=on", ["--no-gso"]),
        ("fastpath:source_ports=4", ["--source-ports", "4"]),
        ("fastpath:commit=abc123,workers=2", ["--workers", "2"]),
        ("fastpath:txqueuelen=10000,workers=2", ["--workers", "2"]),
    ],
)
def test_settings_become_options(text: str, options: list[str]) -> None:
    assert contestant(text).options == options
    assert str(contestant(text)) == text


def test_a_contestant_may_be_another_commit() -> None:
    assert contestant("fastpath:commit=v0.1.0").commit == "v0.1.0"
    assert Contestant("fastpath").commit is None


def test_a_contestant_may_have_another_queue_length() -> None:
    assert contestant("fastpath:txqueuelen=10000,workers=2").txqueuelen == "10000"
    assert contestant("null:txqueuelen=500").txqueuelen == "500"
    assert Contestant("fastpath").txqueuelen is None


def test_a_contestant_may_have_another_forwarder() -> None:
    found = contestant("forwarder:acl.py rules=a.toml,b.toml | bridge")
    assert (found.forwarder, found.options, found.commit) == ("acl.py rules=a.toml,b.toml | bridge", [], None)
    assert str(found) == "forwarder:acl.py rules=a.toml,b.toml | bridge"


def test_who_is_compared_with_whom() -> None:
    assert compared("fastpath", None, (), full=False) == ("fastpath", ("kernel-bridge",))
    assert compared("fastpath", None, ("ovs",), full=True) == ("fastpath", ("ovs",))
    assert compared("fastpath", "a.py", (), full=False) == ("forwarder:a.py", ("fastpath",))
    assert compared("fastpath", "a.py", ("forwarder:hub",), full=False) == ("forwarder:a.py", ("forwarder:hub",))
    assert {"fastpath", "forwarder"}.isdisjoint(compared("fastpath", None, (), full=True)[1])
    with pytest.raises(UsageError, match="give one of them"):
        compared("fastpath:spin=0", "a.py", (), full=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forwarder", "write forwarder:FILE.py"),
        ("kernel-brigde", 'did you mean "kernel-bridge"'),
        ("x", "known are kernel-bridge"),
        ("ovs:workers=2", "only fastpath has settings"),
        ("kernel-bridge:txqueuelen=9", "only fastpath has settings"),
        ("null:workers=2", "known are txqueuelen"),
        ("fastpath:txqueuelen=0", "invalid txqueuelen"),
        ("fastpath:txqueuelen=x", "invalid txqueuelen"),
        ("fastpath:", "invalid setting"),
        ("fastpath:workers", "invalid setting"),
        ("fastpath:workers=", "invalid setting"),
        ("fastpath:--x=1", "invalid setting"),
        ("fastpath:spin=1,spin=2", "stands twice"),
    ],
)
def test_what_names_nobody_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        contestant(text)


def test_every_name_has_an_overlay_and_a_scenario() -> None:
    assert set(BASELINES) == set(OVERLAYS)
    assert set(DEFAULT_SCENARIOS) <= set(SCENARIOS)
    promised = "tcp1 tcp4 udp64 udp64x256 ndr64 rr rr_loaded rr_flooded local fdb idle memory"
    assert {scenario.name for scenario in chosen(promised.split())} == set(SCENARIOS)
    with pytest.raises(UsageError, match='did you mean "udp64"'):
        chosen(["upd64"])


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
    assert "| `tcp1 cubic` | wire | 10.0 Gbit/s | 40.0 | **0.25× (0.25–0.25)** |" in texts[3]
    assert "| `udp64` | wire | 300 kpps | 100 |" in texts[3]


def test_a_run_without_named_congestion_controls_was_made_with_the_machine_s_own(found: Results) -> None:
    assert found.congestions() == [None]
    assert found.tcp == "cubic"
    assert {row.title for row in rows(found)} == {"udp64", "rr"}


def test_the_short_table_has_ratios_and_cpu_under_cubic(with_both: Results) -> None:
    lines = readme_table.short_table(with_both).splitlines()
    assert "TCP with cubic; 3 rounds of 2 s" in lines[0]
    assert lines[-5:] == [
        "| | offload | CPU ↓ | wire | CPU ↓ |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| 1 TCP stream | – | – | **0.25× (0.25–0.25)** | 1.00× |",
        "| 64-byte datagrams, as fast as possible | – | – | **2.90× (2.00–3.00)** | 1.00× |",
        "| round trip of 64 bytes, median ↓ | – | – | **0.50× (0.50–0.50)** | – |",
    ]


def test_the_short_table_of_a_run_without_cubic_says_what_it_has(with_both: Results) -> None:
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


def test_tcp_is_measured_with_each_congestion_control_and_the_rest_once(tmp_path: Path) -> None:
    asked: list[tuple[str, str | None]] = []

    def figures(name: str) -> Callable[..., dict[str, float]]:
        def measure(_site: Site, _seconds: float, congestion: str | None = None) -> dict[str, float]:
            asked.append((name, congestion))
            return {"x": 1.0}

        return measure

    scenarios = (Scenario("tcp1", "", figures("tcp1"), (), tcp=True), Scenario("rr", "", figures("rr"), ()))
    plan = Plan(scenarios, ("wire",), Contestant("fastpath"), (), rounds=2, seconds=1, congestion=("bbr", "cubic"))
    session = Session(plan, lambda *_: None)
    assert session.total == 2 * 3
    namespace = Namespace("h1", "")
    site = Site(namespace, namespace, namespace, namespace, "wire", tmp_path)
    for scenario in scenarios:
        for algorithm in scenario.under(plan.congestion):
            session.measure(0, scenario, "fastpath", site, algorithm)
    assert asked == [("tcp1", "bbr"), ("tcp1", "cubic"), ("rr", None)]
    assert [one.congestion for one in session.measurements] == ["bbr", "cubic", None]


def test_the_machine_s_own_congestion_control_is_the_default() -> None:
    assert congestion.chosen(()) == (congestion.own(),)
    assert congestion.chosen((congestion.own(), congestion.own())) == (congestion.own(),)


def test_iperf_must_have_used_the_congestion_control_that_was_asked_for() -> None:
    said = json.dumps({"end": {"sum_sent": {}, "sum_received": {}, "sender_tcp_congestion": "bbr"}})
    assert streams.read_end(said, None) == streams.read_end(said, "bbr")
    with pytest.raises(RefusedError, match="iperf3 used bbr instead of cubic"):
        streams.read_end(said, "cubic")
    with pytest.raises(RefusedError, match="iperf3: no route"):
        streams.read_end('{"error": "no route"}', None)
    with pytest.raises(RefusedError, match="iperf3 said: nonsense"):
        streams.read_end("much\nnonsense", None)


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


def test_a_figure_without_end_is_left_out(tmp_path: Path) -> None:
    """Nothing arrived, so there is no CPU time of one datagram."""
    nothing = Scenario("udp64", "", lambda *_: {"received_kpps": 0.0, "cpu_us_per_datagram": math.inf}, ())
    plan = Plan((nothing,), ("wire",), Contestant("fastpath"), (), rounds=1, seconds=1)
    session = Session(plan, lambda *_: None)
    namespace = Namespace("h1", "")
    session.measure(0, nothing, "fastpath", Site(namespace, namespace, namespace, namespace, "wire", tmp_path))
    assert [one.figures for one in session.measurements] == [{"received_kpps": 0.0}]


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scenario", "tpc1"], 'did you mean "tcp1"'),
        (["--against", "fastpath"], "compared with itself"),
        (["--congestion", "cubik"], '"cubik" is no congestion control of this kernel'),
        (["--congestion", congestion.own(), "--congestion", "x"], f"known are {' '.join(congestion.available())}"),
        (["--plot", "/nowhere/at/all.png"], "there is no directory"),
        (["--plot", "e2e.gif"], "ends in .png or .svg"),
    ],
)
def test_mistakes_are_one_line_before_anything_runs(words: list[str], message: str) -> None:
    done = CliRunner().invoke(bench, words)
    assert done.exit_code == 2
    assert message in done.output
    assert done.output.count("\n") == 1


def test_without_matplotlib_one_line_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda _: None)
    done = CliRunner().invoke(bench, ["--html", "e2e.html"])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "matplotlib" in done.output


def test_without_root_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = CliRunner().invoke(bench, [])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "root" in done.output


def test_the_list_has_every_name() -> None:
    output = CliRunner().invoke(bench, ["--list"]).output
    assert all(name in output for name in (*SCENARIOS, *OVERLAYS))


@pytest.mark.parametrize("size", [7, 1473])
def test_the_load_refuses_sizes_that_it_has_no_room_for(size: int) -> None:
    with pytest.raises(ValueError, match="payload"):
        native.receive(-1, size, (0, 0, 0))
