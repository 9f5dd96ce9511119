# SPDX-License-Identifier: Apache-2.0
"""The benchmark without traffic: names, plans and the command."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from fastpath.bench.common.namespaces import Namespace
from fastpath.bench.common.progress import Lines
from fastpath.bench.e2e import congestion
from fastpath.bench.e2e.command import bench
from fastpath.bench.e2e.loops import native
from fastpath.bench.e2e.names import BASELINES, DEFAULT_SCENARIOS, Contestant, compared, contestant
from fastpath.bench.e2e.plan import LOOKING_S, Plan
from fastpath.bench.e2e.report import plot
from fastpath.bench.e2e.scenarios import SCENARIOS, Scenario, chosen
from fastpath.bench.e2e.session import Session
from fastpath.bench.e2e.sites import networks
from fastpath.bench.e2e.sites.overlays import OVERLAYS
from fastpath.bench.e2e.sites.site import Site
from fastpath.errors import UsageError


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
    assert (found.words, found.options, found.commit) == ("acl.py rules=a.toml,b.toml | bridge", [], None)
    assert str(found) == "forwarder:acl.py rules=a.toml,b.toml | bridge"


def test_who_is_compared_with_whom() -> None:
    assert compared((), None, (), full=False) == (
        ("fastpath", "fastpath:kernel-path=off"),
        ("kernel-bridge", "kernel-direct"),
    )
    assert compared(("fastpath", "null"), None, ("ovs",), full=True) == (("fastpath", "null"), ("ovs",))
    assert compared((), "a.py", (), full=False) == (("forwarder:a.py",), ("fastpath-device",))
    assert compared((), "a.py", ("forwarder:hub",), full=False) == (("forwarder:a.py",), ("forwarder:hub",))
    assert {"fastpath", "fastpath-device", "forwarder", "script"}.isdisjoint(compared((), None, (), full=True)[1])
    with pytest.raises(UsageError, match="give one of them"):
        compared(("fastpath:spin=0",), "a.py", (), full=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("forwarder", "write forwarder:FILE.py"),
        ("forwarder:", "write forwarder:FILE.py"),
        ("script", "write script:FILE.sh"),
        ("script:/no/such/file", '"/no/such/file" is no file that can be executed'),
        ("script:/etc/passwd", '"/etc/passwd" is no file that can be executed'),
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
    overview = {scenario.name: scenario.forms(("offload", "wire")) for scenario in chosen(["overview"])}
    assert (overview["tcp1"], overview["rr"], overview["local_tcp"]) == (("offload", "wire"), ("offload",), ("local",))
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


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = iter([0.0, 30.0, 60.0, 90.0, 120.0, 121.0])
    tell = Lines(lambda: next(now))
    for done in (0, 0, 5, 10, 10):
        tell("rr", done, 40)
    assert capsys.readouterr().err == "5 of 40, about 10 min left; rr\n"


def test_a_figure_without_end_is_left_out(tmp_path: Path) -> None:
    """Nothing arrived, so there is no CPU time of one datagram."""
    nothing = Scenario("udp64", "", lambda *_: {"received_kpps": 0.0, "cpu_us_per_datagram": math.inf}, ())
    plan = Plan((nothing,), ("wire",), (Contestant("fastpath"),), (), rounds=1, seconds=1)
    session = Session(plan, lambda *_: None)
    namespace = Namespace("h1", "")
    session.measure(0, nothing, "fastpath", Site(namespace, namespace, namespace, namespace, "wire", tmp_path))
    assert [one.figures for one in session.measurements] == [{"received_kpps": 0.0}]


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
