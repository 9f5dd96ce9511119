# SPDX-License-Identifier: Apache-2.0
"""One phase of the test run: a command, or pytest on a part of the tests."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from tests.suite.record import Record

TESTS_FAILED = 1  # pytest's exit status; any other than this and 0 says that it did not run as it should
ENDED = 130  # what a phase that was not begun any more ended with


@dataclass(frozen=True)
class Phase:
    """A command; or, where `tests` are named, pytest with them. `prepare` runs before it, in the current folder."""

    name: str
    command: Sequence[str] = ()
    tests: Sequence[str] = ()  # pytest's arguments
    workers: int = 1  # processes of pytest-xdist
    prepare: Sequence[str] = ()
    folder: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)
    niceness: int = 0


@dataclass
class Result:
    """How a phase ended."""

    phase: Phase
    status: int
    seconds: float
    cpu: float  # seconds of processors, of all processes that were waited for
    record: Record | None = None
    failed: list[str] = field(default_factory=list)
    flaky: list[str] = field(default_factory=list)  # failed, and passed when run once more

    @property
    def can_be_repeated(self) -> bool:
        """Whether it failed by single tests, which may be run once more."""
        record = self.record
        if record is None or record.broken or record.crashed:
            return False
        return self.status == TESTS_FAILED and bool(self.failed)

    @property
    def ok(self) -> bool:
        """Whether the phase passed; flaky tests don't count."""
        if self.status == 0:
            return self.record is not None or not self.phase.tests
        return self.status == TESTS_FAILED and bool(self.flaky) and not self.failed

    @property
    def summary(self) -> str:
        """How it ended, in some words."""
        if self.record is None:
            return "passed" if self.ok else f"FAILED with exit status {self.status}"
        record = self.record
        failed = len(self.failed) + len(record.crashed)
        said = f"{len(record.passed)} passed, {failed} failed, {len(record.skipped)} skipped"
        if self.flaky:
            said += f", {len(self.flaky)} flaky"
        if record.broken:
            said += f", can't be collected: {', '.join(record.broken)}"
        elif self.status not in (0, TESTS_FAILED):
            said += f", exit status {self.status}"
        return said


class Runner:
    """Runs phases. Each has a log and, for pytest, a record in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[subprocess.Popen[bytes]] = set()
        self.ended = False
        folder.mkdir(parents=True, exist_ok=True)

    def log(self, phase: Phase, kind: str = "log") -> Path:
        """Return where all that a phase printed is kept."""
        return (self._folder / f"{phase.name}.{kind}").absolute()

    def run(self, phase: Phase) -> Result:
        """Run a phase to its end."""
        record = self.log(phase, "json")
        record.unlink(missing_ok=True)
        start = time.monotonic()
        command = self._pytest(phase, record, *phase.tests, workers=phase.workers) if phase.tests else phase.command
        with self.log(phase).open("wb") as log:
            status, cpu = self._call(replace(phase, folder=Path.cwd(), environment={}), phase.prepare, log)
            if status == 0:
                status, more = self._call(phase, command, log)
                cpu += more
        result = Result(phase, status, time.monotonic() - start, cpu, Record.read(record))
        if result.record is not None:
            result.failed = list(result.record.failed)
        return result

    def repeat(self, result: Result) -> None:
        """Run what failed once more, alone: what passes then was flaky."""
        phase, kept = result.phase, self.log(result.phase, "repeated.json")
        kept.unlink(missing_ok=True)
        with self.log(phase, "repeated.log").open("wb") as log:
            self._call(phase, self._pytest(phase, kept, *result.failed, workers=1), log)
        record = Record.read(kept)
        passed = set(record.passed) if record is not None else set()
        result.flaky = [name for name in result.failed if name in passed]
        result.failed = [name for name in result.failed if name not in passed]

    def stop(self) -> None:
        """End what runs."""
        self.ended = True
        for process in list(self._running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)  # terminate() could take the status that `_call` waits for

    @staticmethod
    def _pytest(phase: Phase, record: Path, *arguments: str, workers: int) -> list[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-rfEs", "-p", "no:benchmark", "-p", "tests.suite.record"]
        command += ["--record", str(record), "-o", f"cache_dir={record.with_suffix('.cache')}"]
        if workers > 1:
            command += ["-n", str(workers), "--dist", "loadscope"]
        return [*command, *arguments]

    def _call(self, phase: Phase, command: Sequence[str], log: IO[bytes]) -> tuple[int, float]:
        """Run a command as the phase says; its exit status, and the seconds of processors that it used."""
        if not command:
            return 0, 0.0
        if self.ended:
            return ENDED, 0.0
        process = subprocess.Popen(
            ["nice", "-n", str(phase.niceness), *command],
            cwd=phase.folder,
            env=os.environ | dict(phase.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self._running.add(process)
        try:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, used.ru_utime + used.ru_stime
        finally:
            self._running.discard(process)
