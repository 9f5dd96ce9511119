# SPDX-License-Identifier: Apache-2.0
"""Run phases beside each other: lanes at the same time, the phases of a lane one after another."""

import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.suite import summary
from tests.suite.phase import Phase, Result, Runner

# More failures than these are no accident: to run them again would only delay the answer.
MOST_REPEATED = 40
SLOWEST = 25


def run(
    lanes: Sequence[Sequence[Phase]], folder: Path, *, repeat: bool = False, durations: bool = False
) -> tuple[bool, list[str]]:
    """Run all phases, print what each said in one piece, and return whether all passed, and the summary.

    With `repeat`, what failed is run once more, alone, after all else.
    """
    runner, start, speaking = Runner(folder), time.monotonic(), threading.Lock()

    def one(phase: Phase) -> Result:
        _say(f"{phase.name}: begins")
        result = runner.run(phase)
        with speaking:
            _show(runner.log(phase), f"{phase.name}: {result.summary}, {result.seconds:.0f} s")
        return result

    def lane(phases: Sequence[Phase]) -> list[Result]:
        return [one(phase) for phase in phases if not runner.ended]

    with ThreadPoolExecutor(len(lanes)) as pool:
        try:
            results = [result for found in pool.map(lane, lanes) for result in found]
        except BaseException:
            runner.stop()
            raise
    if repeat:
        _repeat(runner, results)
    said = [*summary.slowest(results, SLOWEST), ""] if durations else []
    said += summary.lines(results, time.monotonic() - start)
    return all(result.ok for result in results), said


def _repeat(runner: Runner, results: Sequence[Result]) -> None:
    failed = sum(len(result.failed) for result in results if result.can_be_repeated)
    if failed > MOST_REPEATED:
        _say(f"{failed} tests failed: too many to run them again")
        return
    for result in results:
        if result.can_be_repeated:
            _say(f"{result.phase.name}: once more, alone: {' '.join(result.failed)}")
            runner.repeat(result)
            _show(runner.log(result.phase, "repeated.log"), f"{result.phase.name}, once more: {result.summary}")


def _show(log: Path, title: str) -> None:
    _say(title)
    sys.stdout.write(log.read_text(errors="replace"))
    sys.stdout.flush()


def _say(what: str) -> None:
    print(f"== {what}", flush=True)
