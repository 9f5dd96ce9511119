# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin that writes down how each test ended: `-p tests.suite.record --record FILE`."""

import json
import os
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import pytest

from tests.support.launch import process

# What pytest-xdist reports in place of a test's own phase when the worker process died under it.
CRASHED = "???"


@dataclass
class Record:
    """How the tests of one pytest run ended."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)  # the process ended within them
    skipped: dict[str, str] = field(default_factory=dict)  # and why
    broken: list[str] = field(default_factory=list)  # files that can't be collected
    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)  # seconds of processors, of what the tests started as well

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Return what a run wrote, or None where it did not come to its end."""
        return cls(**json.loads(file.read_text())) if file.exists() else None


class Meter:
    """Adds to each report what the test's process and its children that ended used of the processors."""

    def __init__(self) -> None:
        self._before = _cpu()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Count since the report before."""
        report = yield
        now = _cpu()
        report.user_properties.append(("cpu", now - self._before))
        self._before = now
        return report


class Recorder:
    """Collects reports, and writes the record when the session ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._record = Record()
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test's time, and the worst outcome of its set-up, call and teardown."""
        name = report.nodeid
        cpu = sum(spent for kind, spent in report.user_properties if kind == "cpu" and isinstance(spent, float))
        self._record.seconds[name] = self._record.seconds.get(name, 0.0) + report.duration
        self._record.cpu[name] = self._record.cpu.get(name, 0.0) + cpu
        outcome = "crashed" if report.when == CRASHED else str(report.outcome)
        if outcome == "skipped":
            self._record.skipped[name] = _reason(report)
        order = ("passed", "skipped", "failed", "crashed")
        self._outcomes[name] = max(outcome, self._outcomes.get(name, "passed"), key=order.index)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the name of a file that can't be imported."""
        if report.failed:
            self._record.broken.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write the record."""
        record = self._record
        record.passed = self._with("passed")
        record.failed = self._with("failed")
        record.crashed = self._with("crashed")
        record.skipped = {name: record.skipped[name] for name in self._with("skipped")}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(asdict(record)))

    def _with(self, outcome: str) -> list[str]:
        return [name for name, found in self._outcomes.items() if found == outcome]


def _cpu() -> float:
    """With what the server that forks waited for in place of this process; it starts with the first test that asks."""
    return sum(os.times()[:4]) + process.spent()


def _reason(report: pytest.TestReport) -> str:
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return str(why).removeprefix("Skipped: ")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --record."""
    parser.addoption("--record", type=Path, help="write how each test ended to this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Record where asked to; of the processes of pytest-xdist only in the one that hears all reports."""
    file = config.getoption("--record")
    if file is None:
        return
    config.pluginmanager.register(Meter())
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(file))


def reasons(records: Iterable[Record]) -> dict[str, int]:
    """Return why tests were skipped, and how many for each reason."""
    counts: dict[str, int] = {}
    for record in records:
        for reason in record.skipped.values():
            counts[reason] = counts.get(reason, 0) + 1
    return counts
