# SPDX-License-Identifier: Apache-2.0
"""`fastpath bench` for real, for a moment: structure and cleanliness, never speed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from fastpath.bench.common.command import missing
from fastpath.bench.common.other_load import BUSY_CORES
from fastpath.bench.e2e import congestion, names
from fastpath.bench.e2e.results import Results
from fastpath.bench.e2e.scenarios import IPERF, SCENARIOS, WEB
from fastpath.bench.e2e.sites import kernel_path, overlays, site
from fastpath.bench.e2e.sites.site import PREFIX
from fastpath.bench.e2e.traffic import restarts
from fastpath.errors import RefusedError
from tests.support.hosts.hosts import namespaces, wait_for

BENCH = [sys.executable, "-m", "fastpath", "bench", "--rounds", "1", "--seconds", "0.5"]
OF_TWO_HOSTS = ["--underlay", "offload", "--subject", "fastpath-device", "--against", "kernel-bridge"]
LONG = ["--seconds", "30", "--scenario", "udp64", "--against", "kernel-bridge"]
BASELINES = ["kernel-direct", "null", "ovs", "openvpn", "fastd"]
STARTED = {os.getpid()}  # processes whose PIDs are in the names of what they make


def start(*words: str, **more: Any) -> subprocess.Popen[str]:
    process = subprocess.Popen([*BENCH, *words], text=True, **more)
    STARTED.add(process.pid)
    return process


def left() -> set[str]:
    """What the runs of these tests left, namespaces and scratch directories; others may run at the same time."""
    names = {path.name for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*")} | namespaces()
    ours = {f"{prefix}{pid}-" for prefix in (PREFIX, "fastpath-fpbench-") for pid in STARTED}
    return {name for name in names if name.startswith(tuple(ours)) or name in {f"{PREFIX}{pid}" for pid in STARTED}}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    with start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            output, errors = process.communicate(timeout=500)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def figures(file: Path) -> dict[tuple[str, str, str], dict[str, float]]:
    found = Results.read(file)
    return {(one.scenario, one.underlay, one.contestant): one.figures for one in found.measurements}


@pytest.fixture(scope="module")
def baselines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run with all baselines that are installed."""
    before, file = left(), tmp_path_factory.mktemp("baselines") / "e2e.json"
    installed = [name for name in BASELINES if overlays.OVERLAYS[name].missing("offload") is None]
    against = [word for name in installed for word in ("--against", name)]
    words = ["--scenario", "udp64", "--scenario", "rr", "--underlay", "offload", "--subject", "fastpath-device"]
    run(*words, *against, "--json", str(file))
    assert left() == before
    return file


@pytest.mark.slow
def test_ours_and_the_kernel_on_both_underlays(tmp_path: Path) -> None:
    before = left()
    file, picture, page = tmp_path / "e2e.json", tmp_path / "e2e.png", tmp_path / "e2e.html"
    scenarios = ("tcp1", "udp64", "rr") if shutil.which("iperf3") else ("udp64", "rr")
    words = [word for name in scenarios for word in ("--scenario", name)]
    words += ["--subject", "fastpath", "--against", "kernel-bridge"]
    done = run(
        *words, "--congestion", congestion.own(), "--json", str(file), "--plot", str(picture), "--html", str(page)
    )
    assert "udp64" in done.stdout
    assert left() == before
    found = Results.read(file)
    underlays = ("offload", "wire") if shutil.which("ethtool") else ("offload",)
    measured = figures(file)
    assert set(measured) == {
        (scenario, underlay, name)
        for scenario in scenarios
        for underlay in underlays
        for name in ("fastpath", "kernel-bridge")
    }
    for (scenario, _, _), values in measured.items():
        main = {"tcp1": "gbit_per_s", "udp64": "received_kpps", "rr": "transactions"}[scenario]
        assert values[main] > 0, f"no frame passed: {scenario} {values}"
        assert values["cpu_cores"] > 0
    assert all(values["offered_kpps"] > 0 for (scenario, *_), values in measured.items() if scenario == "udp64")
    assert {ratio.baseline for ratio in found.ratios} == {"kernel-bridge"}
    assert found.about.offloads["offload"] != found.about.offloads.get("wire")
    assert picture.stat().st_size > 10_000
    assert "<svg" in page.read_text()


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_carries_frames(name: str, baselines: Path) -> None:
    if (reason := overlays.OVERLAYS[name].missing("offload")) is not None:
        pytest.skip(f"{reason}: sudo ./run bench installs it")
    measured = figures(baselines)
    assert measured["udp64", "offload", name]["received_kpps"] > 0
    assert measured["rr", "offload", name]["transactions"] > 0


@pytest.mark.slow
def test_the_other_scenarios(tmp_path: Path) -> None:
    before, file = left(), tmp_path / "e2e.json"
    scenarios = ("udp64x256", "ndr64", "local_udp64", "fdb1k", "rr_flooded", "idle", "memory")
    words = [word for name in scenarios for word in ("--scenario", name)]
    words += ["--subject", "fastpath-device", "--against", "kernel-bridge"]
    run(*words, "--underlay", "offload", "--json", str(file))
    assert left() == before
    measured = figures(file)
    for contestant in ("fastpath-device", "kernel-bridge"):
        assert measured["udp64x256", "offload", contestant]["received_kpps"] > 0
        assert measured["local_udp64", "local", contestant]["received_kpps"] > 0
        assert measured["fdb1k", "fdb", contestant]["received_kpps"] > 0
        assert measured["ndr64", "offload", contestant]["ndr_kpps"] >= 0
        if (flooded := measured.get(("rr_flooded", "offload", contestant))) is not None:
            assert flooded["flood_offered_kpps"] > 0
            assert 0 < flooded["p50_us"] <= flooded["p99_us"]
        else:  # a busy machine may answer no request beside a flood, in half a second
            skipped = {one.what: one.reason for one in Results.read(file).skipped}
            assert skipped[f"rr_flooded offload {contestant} round 1"] == "no request was answered"
    assert measured["memory", "offload", "fastpath-device"]["rss_mib"] > 1
    assert measured["memory", "offload", "fastpath-device"]["bytes_per_entry"] > 1
    assert measured["idle", "offload", "fastpath-device"]["cpu_percent"] >= 0


def test_traffic_as_programs_make_it(tmp_path: Path) -> None:
    """Each kind for a moment, on a network alone: the kernel's overlay takes part in other tests."""
    before = left()
    scenarios = ["tcp_rr", "flood64", "paced1300", "udp_gso", *(["http100k"] if missing(WEB) is None else [])]
    with site.site("programs", "offload", tmp_path) as found:
        wanted = names.contestant("fastpath")
        overlays.lay(overlays.OVERLAYS[wanted.name], found, wanted)
        figures = {name: SCENARIOS[name].figures(found, 0.3, None) for name in scenarios}
        if "http100k" in figures:
            assert SCENARIOS["http100k"].figures(found, 0.3, congestion.own())["answers_per_s"] > 0
        if missing(IPERF) is None:
            restarted = restarts.stream(found, 0, restarts=2, congestion=congestion.own())
            assert restarted["restarts"] == 2
            assert restarted["gbit_per_s"] > 0
    assert left() == before
    assert 0 < figures["tcp_rr"]["p50_us"] <= figures["tcp_rr"]["p99_us"]
    assert figures["flood64"]["received_kpps"] > 0
    assert 0 < figures["paced1300"]["offered_kpps"] < 200
    assert figures["udp_gso"]["gbit_per_s"] > 0
    for name, values in figures.items():
        assert values["cpu_cores"] > 0, name


@pytest.mark.parametrize(("form", "text"), [("local", "fastpath"), ("offload", "fastpath:kernel-path=off")])
def test_what_does_not_go_the_way_that_is_measured_is_refused(form: str, text: str, tmp_path: Path) -> None:
    before = left()
    with site.site("way", form, tmp_path) as found:
        wanted = names.contestant(text)
        overlays.lay(overlays.OVERLAYS[wanted.name], found, wanted)
        by_kernel = text == "fastpath"
        way = "the kernel path, not by the engine" if by_kernel else "the engine, not by the kernel path"
        with pytest.raises(RefusedError, match=f"TCP goes by {way}"):
            kernel_path.check(found, wanted=not by_kernel, patience=0)
    assert left() == before


def test_both_containers_of_a_network_may_be_on_one_host(tmp_path: Path) -> None:
    before = left()
    with site.site("one", "local", tmp_path) as found:
        wanted = names.contestant("fastpath")
        overlays.lay(overlays.OVERLAYS[wanted.name], found, wanted)
        assert len([pid for pid in found.h1.pids() if b"daemon" in Path(f"/proc/{pid}/cmdline").read_bytes()]) == 1
        assert found.h2.pids() == []
    assert left() == before


def test_each_congestion_control_is_measured_and_named(tmp_path: Path) -> None:
    if (reason := missing(("iperf3",))) is not None:
        pytest.skip(f"{reason}: sudo ./run bench installs it")
    both, file, html = congestion.available()[:2], tmp_path / "e2e.json", tmp_path / "e2e.html"
    own = congestion.own()
    words = [word for name in both for word in ("--congestion", name)]
    words += ["--scenario", "tcp1", "--scenario", "rr_loaded", "--scenario", "rr"]
    words += ["--subject", "fastpath", "--against", "kernel-bridge"]
    run(*words, "--underlay", "offload", "--json", str(file), "--html", str(html))
    found = Results.read(file)
    measured = {(one.scenario, one.congestion, one.contestant) for one in found.measurements}
    wanted = {
        (scenario, name, contestant)
        for contestant in ("fastpath", "kernel-bridge")
        for scenario, name in (*product(("tcp1", "rr_loaded"), both), ("rr", None))
    }
    # A busy machine may answer no request beside a stream, in half a second.
    unanswered = [one.what for one in found.skipped if one.reason == "no request was answered"]
    lost = wanted - measured
    assert measured <= wanted
    assert {scenario for scenario, _, _ in lost} <= {"rr_loaded"}
    assert len(lost) == len(found.skipped) == len(unanswered)
    assert found.about.congestion == congestion.own() == own
    assert all(f"tcp1 {name}" in html.read_text() for name in found.congestions())


def test_two_settings_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "e2e.json"
    common = ["--scenario", "rr", "--underlay", "offload", "--json", str(file)]
    run(*common, "--subject", "fastpath-device:workers=2", "--subject", "fastpath:workers=2", "--against", "fastpath")
    found = Results.read(file)
    assert found.subjects == ["fastpath-device:workers=2", "fastpath:workers=2"]
    assert found.baselines == ["fastpath"]


@pytest.mark.parametrize(
    "text", ["fastpath-device:txqueuelen=3456", "fastpath-device:txqueuelen=3456,workers=2", "null:txqueuelen=3456"]
)
def test_a_queue_length_is_set_on_both_devices(text: str, tmp_path: Path) -> None:
    before, wanted = left(), names.contestant(text)
    with site.site("queue", "offload", tmp_path) as found:
        overlays.lay(overlays.OVERLAYS[wanted.name], found, wanted)
        for container in (found.c1, found.c2):
            assert container.run("cat", f"/sys/class/net/{site.DEVICE}/tx_queue_len").stdout == "3456\n"
    assert left() == before


def script(folder: Path, text: str) -> names.Contestant:
    file = folder / "up.sh"
    file.write_text(f"#!/bin/sh -e\n{text}\n")
    file.chmod(0o755)
    return names.contestant(f"script:{file}")


def test_an_overlay_of_one_s_own_is_laid_by_the_script_in_the_documents(tmp_path: Path) -> None:
    """And what it starts is gone with the host."""
    before = left()
    text = (Path(__file__).parents[3] / "docs" / "benchmarks" / "benchmarks.md").read_text()
    documented = re.search(r"^#!/bin/sh -e\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert documented is not None
    wanted = script(tmp_path, f"{documented[1]}sleep 3600 &")
    with site.site("script", "offload", tmp_path) as found:
        overlays.lay(overlays.OVERLAYS[wanted.name], found, wanted)
        assert found.c1.run("cat", f"/sys/class/net/{site.DEVICE}/mtu").stdout == "1450\n"
        assert [len(host.pids()) for host in (found.h1, found.h2)] == [1, 1]
    assert left() == before


@pytest.mark.parametrize(
    ("text", "message"), [("echo no room; exit 3", "failed on host 1: no room"), (":", f"left no {site.DEVICE} in")]
)
def test_a_script_that_lays_nothing_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    wanted = script(tmp_path, text)
    with site.site("script", "offload", tmp_path) as found, pytest.raises(RefusedError, match=message):
        overlays.lay(overlays.OVERLAYS[wanted.name], found, wanted)


def test_a_missing_program_is_named_and_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("ip", "ss", "sh", "env", "cat", "ethtool", "nsenter", "nft"):
        if (path := shutil.which(program)) is not None:
            (programs / program).symlink_to(path)
    monkeypatch.setenv("PATH", str(programs))
    file = tmp_path / "e2e.json"
    words = ["--scenario", "rr", "--scenario", "tcp1", "--against", "openvpn"]
    done = run(*OF_TWO_HOSTS, *words, "--json", str(file))
    skipped = {(one.what, one.reason) for one in Results.read(file).skipped}
    assert skipped == {("openvpn, offload", "openvpn not installed"), ("tcp1", "iperf3 not installed")}
    assert "skipped: openvpn, offload: openvpn not installed" in done.stdout


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("fastpath-device:nonsense=1", "--nonsense"),
        ("fastpath:nonsense=1", "--nonsense"),
        ("fastpath:workers=many", "invalid workers"),
    ],
)
def test_a_setting_that_ours_does_not_know_is_one_line(subject: str, message: str) -> None:
    before = left()
    process = start("--subject", subject, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.communicate()
    plan, *warning, error = errors.splitlines()
    assert process.returncode == 2
    assert not warning or warning[0].startswith("warning: the machine is busy")
    assert re.fullmatch(r"\d+ measurements in 1 rounds, about \d+ min", plan)
    assert message in error
    assert left() == before


def test_what_others_do_meanwhile_is_told(tmp_path: Path) -> None:
    """Before the run, in the file, and below the table."""
    file = tmp_path / "e2e.json"
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        words = ["--underlay", "offload", "--subject", "kernel-direct", "--against", "kernel-bridge"]
        done = run(*words, "--scenario", "rr", "--json", str(file))
    finally:
        for process in others:
            process.kill()
            process.wait()
    found = Results.read(file)
    assert "warning: the machine is busy" in done.stderr
    assert "the machine was busy with other things: others used up to" in done.stdout
    assert "others used up to" in found.about.busy
    assert [one for one in found.measurements if one.others_cores is not None and one.others_cores > BUSY_CORES]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_all_is_removed(number: int) -> None:
    before = left()
    process = start(*LONG, "--subject", "fastpath", stderr=subprocess.PIPE)
    wait_for(lambda: f"{PREFIX}{process.pid}-offload-1-c2" in namespaces(), "the sites are made")
    time.sleep(1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert re.fullmatch(r"\d+ measurements in 1 rounds, about \d+ min\n(warning: the machine is busy.*\n)?", errors)
    assert left() == before


@pytest.mark.slow
def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    process = start(*LONG, "--subject", "fastpath", stderr=subprocess.DEVNULL)
    wait_for(lambda: f"{PREFIX}{process.pid}-offload-1-c2" in namespaces(), "the sites are made")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run(*OF_TWO_HOSTS, "--scenario", "idle")
    assert not [name for name in left() if f"{PREFIX}{process.pid}" in name]


def test_the_file_is_what_docs_say(baselines: Path) -> None:
    content: dict[str, Any] = json.loads(baselines.read_text())
    text = (Path(__file__).parents[3] / "docs" / "benchmarks" / "benchmarks.md").read_text()
    for key in (*content, *content["about"], *content["measurements"][0]):
        assert f"`{key}`" in text, key
