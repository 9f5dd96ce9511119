# SPDX-License-Identifier: Apache-2.0
"""The comparison with Docker's overlay without Docker: what a run leaves, and the table of it."""

from pathlib import Path

import pytest

from fastpath.bench.docker import table
from fastpath.bench.docker.hosts import OURS, THEIRS
from fastpath.bench.docker.results import About, Measurement, Results
from fastpath.errors import UsageError

ABOUT = About(
    date="2026-01-01",
    cpu="A CPU",
    cores=2,
    kernel="6.18.0-x",
    python="3.11.7",
    fastpath="0.1.0",
    commit="abc",
    docker="20.10.24",
    etcd="3.4.23",
    seconds=2.0,
    rounds=3,
)


def measured(scenario: str, driver: str, figure: str, *values: float) -> list[Measurement]:
    return [
        Measurement(scenario=scenario, underlay="offload", driver=driver, round=number, figures={figure: value})
        for number, value in enumerate(values)
    ]


def test_ratios_are_formed_in_each_round(tmp_path: Path) -> None:
    found = [
        *measured("tcp1", OURS, "gbit_per_s", 10.0, 20.0, 12.0),
        *measured("tcp1", THEIRS, "gbit_per_s", 10.0, 10.0, 16.0),
        *measured("create20", OURS, "create_s", 6.0, 6.5),
        *measured("create20", THEIRS, "create_s", 5.0),
    ]
    file = tmp_path / "docker.json"
    Results(about=ABOUT, measurements=found).write(file)
    lines = table.render(Results.read(file)).splitlines()
    assert lines[0].startswith("A CPU, 2 cores, Linux 6.18.0, Docker 20.10.24, etcd 3.4.23; 3 rounds of 2 s")
    assert lines[5:] == [
        "| 1 TCP stream, Gbit/s | offload | 12.00 | 10.00 | **1.00×** (0.75–2.00) |",
        "| 20 containers on a host, one after another, s ↓ |  | 6.25 | 5.00 | **1.20×** (1.20–1.20) |",
    ]


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("{}")
    with pytest.raises(UsageError, match=r"x\.json holds no results of this version"):
        Results.read(file)
