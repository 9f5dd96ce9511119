# SPDX-License-Identifier: Apache-2.0
"""The benchmark without traffic: names, statistics, files and reports."""

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from fastpath.bench.common.namespaces import Namespace
from fastpath.bench.common.other_load import BUSY_CORES, BUSY_PRESSURE
from fastpath.bench.common.progress import Lines
from fastpath.bench.e2e import congestion, results
from fastpath.bench.e2e import table as readme_table
from fastpath.bench.e2e.command import bench
from fastpath.bench.e2e.loops import native
from fastpath.bench.e2e.names import BASELINES, DEFAULT_SCENARIOS, Contestant, compared, contestant
from fastpath.bench.e2e.plan import LOOKING_S, Plan
from fastpath.bench.e2e.report import page, plot, terminal
from fastpath.bench.e2e.report.rows import number, rows
from fastpath.bench.e2e.results import About, ContestantInfo, Measurement, Results, Skipped
from fastpath.bench.e2e.scenarios import SCENARIOS, Compared, Scenario, chosen
from fastpath.bench.e2e.session import Session
from fastpath.bench.e2e.sites import networks
from fastpath.bench.e2e.sites.overlays import OVERLAYS
from fastpath.bench.e2e.sites.site import Site
from fastpath.bench.e2e.traffic import streams, web, window
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
        ("fastpath-device", []),
        ("fastpath-device:spin=0", ["--spin", "0"]),
        ("fastpath-device:spin=0,workers=2", ["--spin", "0", "--workers", "2"]),
        ("fastpath-device:gso=off,merge=on", ["--no-gso"]),
        ("fastpath-device:source_ports=4", ["--source-ports", "4"]),
        ("fastpath-device:commit=abc123,workers=2", ["--workers", "2"]),
        ("fastpath-device:txqueuelen=10000,workers=2", ["--workers", "2"]),
    ],
)
def test_settings_become_options(text: str, options: list[str]) -> None:
    assert contestant(text).options == options
    assert str(contestant(text)) == text


def test_settings_of_a_network_are_the_daemon_s_or_the_network_s() -> None:
    own = contestant("fastpath:kernel-path=off,workers=2,commit=abc,guard=off,port_security=off").own
    of_daemon, of_network = networks.split(own)
    assert of_daemon == {"workers": "2", "guard": "off"}
    assert of_network == {"kernel_path": "off", "port_security": "off"}


def test_a_contestant_may_be_another_commit() -> None:
    assert contestant("fastpath:commit=v0.1.0").commit == "v0.1.0"
    assert Contestant("fastpath").commit is None


def test_a_contestant_may_have_another_queue_length() -> None:
    assert contestant("fastpath-device:txqueuelen=10000,workers=2").txqueuelen == "10000"
    assert contestant("null:txqueuelen=500").txqueuelen == "500"
    assert Contestant("fastpath").txqueuelen is None


def test_a_contestant_may_have_another_forwarder() -> None:
    found = contestant("forwarder:acl.py rules=a.toml,b.toml | bridge")
    assert (found.forwarder, found.options, found.commit) == ("acl.py rules=a.toml,b.toml | bridge", [], None)
    assert str(found) == "forwarder:acl.py rules=a.toml,b.toml | bridge"


def test_who_is_compared_with_whom() -> None:
    assert compared((), None, (), full=False) == (
        ("fastpath", "fastpath:kernel-path=off"),
        ("kernel-bridge", "kernel-direct"),
    )
    assert compared(("fastpath", "null"), None, ("ovs",), full=True) == (("fastpath", "null"), ("ovs",))
    assert compared((), "a.py", (), full=False) == (("forwarder:a.py",), ("fastpath-device",))
    assert compared((), "a.py", ("forwarder:hub",), full=False) == (("forwarder:a.py",), ("forwarder:hub",))
    assert {"fastpath", "fastpath-device", "forwarder"}.isdisjoint(compared((), None, (), full=True)[1])
    with pytest.raises(UsageError, match="give one of them"):
        compared(("fastpath:spin=0",), "a.py", (), full=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forwarder", "write forwarder:FILE.py"),
        ("kernel-brigde", 'did you mean "kernel-bridge"'),
        ("x", "known are kernel-bridge"),
        ("ovs:workers=2", "only fastpath fastpath-device null have settings"),
        ("kernel-bridge:txqueuelen=9", "only fastpath fastpath-device null have settings"),
        ("fastpath:txqueuelen=9", "networks choose it themselves"),
        ("null:workers=2", "known are txqueuelen"),
        ("fastpath-device:txqueuelen=0", "invalid txqueuelen"),
        ("fastpath-device:txqueuelen=x", "invalid txqueuelen"),
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
    promised = (
        "tcp1 tcp4 tcp_w64k http100k udp64 udp64x256 ndr64 unpinned udp_gso rr tcp_rr rr_loaded rr_flooded local fdb "
        "restarts idle memory"
    )
    assert {scenario.name for scenario in chosen(promised.split())} == set(SCENARIOS)
    with pytest.raises(UsageError, match='did you mean "udp64"'):
        chosen(["upd64"])


def test_a_scenario_may_be_measured_on_one_underlay() -> None:
    found = {scenario.name: scenario for scenario in chosen(["unpinned:wire", "rr", "flood64:offload"])}
    assert found["flood1300"].forms(("offload", "wire")) == ("wire",)
    assert found["flood64"].forms(("wire",)) == ("offload",)
    assert found["rr"].forms(("wire",)) == ("wire",)
    assert (found["rr"].word, found["flood64"].word) == ("rr", "flood64:offload")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("rr:wired", 'did you mean "wire"'),
        ("rr:", '"" is no underlay'),
        ("rr:local", '"local" is no underlay'),
        ("local:wire", "local_tcp is measured in the form local only: leave :wire out"),
    ],
)
def test_a_scenario_on_no_underlay_is_refused(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen([word])


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


def test_tcp_is_measured_with_each_congestion_control_and_the_rest_once(tmp_path: Path) -> None:
    asked: list[tuple[str, str | None]] = []

    def figures(name: str) -> Callable[..., dict[str, float]]:
        def measure(_site: Site, _seconds: float, congestion: str | None = None) -> dict[str, float]:
            asked.append((name, congestion))
            return {"x": 1.0}

        return measure

    scenarios = (Scenario("tcp1", "", figures("tcp1"), (), tcp=True), Scenario("rr", "", figures("rr"), ()))
    plan = Plan(
        scenarios, ("wire",), (Contestant("kernel-direct"),), (), rounds=2, seconds=1, congestion=("bbr", "cubic")
    )
    session = Session(plan, lambda *_: None)
    assert session.total == 2 * 3
    namespace = Namespace("h1", "")
    site = Site(namespace, namespace, namespace, namespace, "wire", tmp_path)
    for scenario in scenarios:
        for algorithm in scenario.under(plan.congestion):
            session.measure(0, scenario, "fastpath", site, algorithm)
    assert asked == [("tcp1", "bbr"), ("tcp1", "cubic"), ("rr", None)]
    assert [one.congestion for one in session.measurements] == ["bbr", "cubic", None]


def test_cubic_and_bbr_are_the_default_as_far_as_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert congestion.chosen((congestion.own(), congestion.own())) == (congestion.own(),)
    monkeypatch.setattr(congestion, "available", lambda: ["reno", "bbr", "cubic"])
    assert congestion.chosen(()) == ("cubic", "bbr")
    monkeypatch.setattr(congestion, "available", lambda: ["reno", "cubic"])
    assert congestion.chosen(()) == ("cubic",)
    monkeypatch.setattr(congestion, "available", lambda: ["reno"])
    assert congestion.chosen(()) == (congestion.own(),)


def test_iperf_must_have_used_the_congestion_control_that_was_asked_for() -> None:
    said = json.dumps({"end": {"sum_sent": {}, "sum_received": {}, "sender_tcp_congestion": "bbr"}})
    assert streams.read_end(said, None) == streams.read_end(said, "bbr")
    with pytest.raises(RefusedError, match="iperf3 used bbr instead of cubic"):
        streams.read_end(said, "cubic")
    with pytest.raises(RefusedError, match="iperf3: no route"):
        streams.read_end('{"error": "no route"}', None)
    with pytest.raises(RefusedError, match="iperf3 said: nonsense"):
        streams.read_end("much\nnonsense", None)


WRK = """Running 1s test @ http://10.9.0.2:8080/file
  1 threads and 1 connections
  Latency Distribution
     50%  462.00us
     75%  512.00us
     90%  600.00us
     99%    1.97ms
  1777 requests in 1.00s, 173.9MB read
Requests/sec:   1777.50
Transfer/sec:    173.90MB
"""


def test_what_wrk_says_is_read() -> None:
    assert web.read_report(WRK) == {"answers_per_s": 1777.5, "p50_us": 462.0, "p99_us": 1970.0}
    assert web.read_report(WRK.replace("1.97ms", "1.50s"))["p99_us"] == 1.5e6


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("unable to connect to 10.9.0.2:8080 Connection refused", "wrk said: unable to connect"),
        (WRK.replace("1777.50", "0.00"), "wrk said: Transfer/sec"),
        (WRK.replace("     99%    1.97ms\n", ""), "wrk said: Transfer/sec"),
        (WRK.replace("1.97ms", "1.97weeks"), "wrk said: 1.97weeks"),
        (WRK + "  Socket errors: connect 0, read 3, write 0, timeout 0\n", "Socket errors: connect 0, read 3"),
        (WRK + "  Non-2xx or 3xx responses: 12\n", "Non-2xx or 3xx responses: 12"),
    ],
)
def test_what_wrk_says_of_a_failure_is_no_figure(output: str, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        web.read_report(output)


def test_what_did_not_arrive_is_lost() -> None:
    assert window.lost_percent({"total": 75.0}, {"total": 100.0}) == 25
    assert window.lost_percent({"total": 100.0}, {"total": 100.0}) == 0
    assert window.lost_percent({"total": 0.0}, {"total": 0.0}) == 0


@pytest.fixture
def plan() -> Plan:
    """Three scenarios, two of them on both underlays, one of these with two congestion controls."""
    scenarios = (
        Scenario("tcp1", "", lambda *_: {}, (), tcp=True, beside_s=2),
        Scenario("rr", "", lambda *_: {}, (), times=3, beside_s=1),
        Scenario("table", "", lambda *_: {}, (), form="fdb"),
    )
    contestants = (contestant("kernel-direct"),), (contestant("kernel-bridge"),)
    return Plan(scenarios, ("offload", "wire"), *contestants, rounds=2, seconds=10, congestion=("cubic", "bbr"))


def test_how_long_it_takes_is_told_before(plan: Plan) -> None:
    """The kernel's device alone is not set up with large tables, so nothing is compared there."""
    assert plan.measurements == 2 * 2 * 2 * 3
    each = 2 * (10 + 2) + (3 * 10 + 1)
    assert plan.estimate_s == 2 * 2 * (2 * each + LOOKING_S + 2 * OVERLAYS["kernel-bridge"].setup_s)
    assert plan.in_words == "24 measurements in 2 rounds, about 8 min"


def test_a_scenario_whose_program_is_missing_takes_no_time(plan: Plan) -> None:
    more = (*plan.scenarios, Scenario("x", "", lambda *_: {}, (), programs=("no-such-program",)))
    assert replace(plan, scenarios=more).estimate_s == plan.estimate_s


def test_the_command_measures_the_same() -> None:
    made = Plan(
        chosen(["tcp1:offload", "local"]),
        ("wire",),
        (contestant("fastpath"), contestant("fastpath:guard=off")),
        (contestant("forwarder:acl.py rules=a.toml"),),
        rounds=3,
        seconds=0.5,
        congestion=("cubic",),
    )
    assert made.command == (
        "fastpath bench --scenario tcp1:offload --scenario local_tcp --scenario local_udp64 --underlay wire "
        "--subject fastpath --subject fastpath:guard=off --against 'forwarder:acl.py rules=a.toml' "
        "--congestion cubic --rounds 3 --seconds 0.5"
    )


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


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = iter([0.0, 30.0, 60.0, 90.0, 120.0, 121.0])
    tell = Lines(lambda: next(now))
    for done in (0, 0, 5, 10, 10):
        tell("rr", done, 40)
    assert capsys.readouterr().err == "5 of 40, about 10 min left; rr\n"


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
    plan = Plan((nothing,), ("wire",), (Contestant("fastpath"),), (), rounds=1, seconds=1)
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
        (["--subject", "fastpath", "--subject", "null", "--against", "null"], "compared with itself"),
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
