# SPDX-License-Identifier: Apache-2.0
"""The load generator on loopback: what is sent is counted, and received, and answered."""

import json
import subprocess
import sys
import time

import pytest

from fastpath.bench.e2e.loops import native
from fastpath.bench.e2e.traffic import load, pauses
from tests.support.ports import free_port

MS = 1_000_000


def run(*ends: tuple[str, ...], milliseconds: int = 200) -> list[dict[str, float]]:
    """Both ends as processes, within one window; their tallies."""
    command = [sys.executable, "-m", "fastpath.bench.e2e.traffic.load"]
    common = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    port = str(free_port())
    processes = [
        subprocess.Popen([*command, *end, "--address", "127.0.0.1", "--port", port], **common)  # type: ignore[call-overload]
        for end in ends
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    begin = time.monotonic_ns() + 20 * MS
    tallies = []
    for number, process in enumerate(processes):
        drain = 300 * MS if number == 0 else 0
        process.stdin.write(f"{begin} {begin + 50 * MS} {begin + 50 * MS + milliseconds * MS + drain}\n")
        process.stdin.flush()
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        tallies.append(json.loads(output))
    return tallies


@pytest.mark.parametrize("flows", ["1", "256"])
def test_datagrams_at_a_rate_arrive_in_order(flows: str) -> None:
    received, sent = run(("receive",), ("send", "--rate", "2000", "--flows", flows))
    assert 0 < sent["datagrams"] <= sent["total"] <= 2000 * 0.25 + 1
    assert received["total"] == sent["total"]
    assert (received["odd"], received["late"] if flows == "1" else 0) == (0, 0)


def test_datagrams_as_fast_as_the_socket_takes_them() -> None:
    received, sent = run(("receive",), ("send",))
    assert sent["total"] > sent["datagrams"] > 0
    assert 0 < received["total"] <= sent["total"]


def test_datagrams_of_another_size_do_not_count() -> None:
    received, sent = run(("receive", "--size", "100"), ("send", "--rate", "1000"))
    assert sent["total"] > 0
    assert (received["total"], received["odd"]) == (0, sent["total"])


def test_requests_are_answered_and_timed() -> None:
    answered, asked = run(("respond",), ("request",))
    assert answered["total"] >= asked["total"] >= asked["datagrams"] > 0
    assert 0 < asked["p50_us"] <= asked["p99_us"] <= asked["p999_us"] <= asked["max_us"]
    assert asked["lost"] == 0


def test_requests_over_tcp_are_answered_and_timed() -> None:
    answered, asked = run(("respond", "--tcp"), ("request", "--tcp"))
    assert answered["total"] >= asked["total"] >= asked["datagrams"] > 0
    assert (asked["lost"], asked["odd"]) == (0, 0)
    assert 0 < asked["p50_us"] <= asked["max_us"]


def test_plain_datagrams_keep_their_rate_in_bursts() -> None:
    received, sent = run(
        ("receive", "--plain", "--size", "1300"), ("send", "--plain", "--size", "1300", "--rate", "2000")
    )
    assert 0 < sent["datagrams"] <= sent["total"] <= 2000 * 0.25 + 1
    assert 0 < received["total"] <= sent["total"]
    assert received["odd"] == 0


def test_a_stream_is_acknowledged_and_arrives_in_order() -> None:
    received, sent = run(("absorb", "--size", "1200"), ("stream", "--size", "1200"))
    assert sent["datagrams"] % load.TRAIN == 0
    assert received["total"] == sent["total"] > 10 * load.UNDER_WAY, "it stopped when the first window was full"
    assert (received["odd"], received["late"], sent["lost"]) == (0, 0, 0)


def test_a_stream_that_nobody_acknowledges_goes_on_slowly() -> None:
    received, sent = run(("receive", "--size", "1200"), ("stream", "--size", "1200"))
    assert received["total"] == sent["total"]
    assert sent["total"] > load.UNDER_WAY
    assert sent["lost"] % load.UNDER_WAY == 0
    assert sent["lost"] > 0


@pytest.mark.parametrize(("train", "limit"), [(0, 10), (11, 10), (55, 400)])
def test_trains_that_cannot_be_sent_are_refused(train: int, limit: int) -> None:
    with pytest.raises(ValueError, match=f"trains of {train} datagrams"):
        native.stream(-1, 1200, train, limit, (0, 0, 0))


def test_pauses_are_those_that_samples_prove() -> None:
    """A late sample that sees new data, and bytes that are no data, change nothing."""
    found = pauses.Pauses(total=500, since=0.0)
    for now, total in (
        (0.010, 9_000),  # data
        (0.060, 90_000),  # a late sample: data came meanwhile
        (0.070, 90_000),
        (0.075, 90_060),  # a neighbour's question
        (0.090, 90_060),  # 30 ms
        (0.100, 95_000),
        (0.110, 95_000),  # 10 ms
        (0.115, 99_000),
        (0.215, 99_000),  # 100 ms, until the end
    ):
        found.see(now, total)
    found.end()
    assert found.longest_s == pytest.approx(0.1)
    assert found.number == 2


def test_requests_that_nobody_answers_are_lost_not_timed() -> None:
    _, asked = run(("receive",), ("request",))
    assert asked["datagrams"] == 0
    assert asked["lost"] > 0
    assert "p50_us" not in asked
