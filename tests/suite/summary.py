# SPDX-License-Identifier: Apache-2.0
"""What is said at the end of a test run."""

from collections.abc import Iterator, Sequence
from operator import itemgetter

from tests.suite.phase import Result
from tests.suite.record import reasons


def lines(results: Sequence[Result], seconds: float) -> Iterator[str]:
    """A line for each phase, why tests were skipped, what failed, what is flaky, and the sum."""
    width = max((len(result.phase.name) for result in results), default=0)
    for result in results:
        yield f"{result.phase.name:<{width}}  {result.seconds:5.0f} s  {result.cpu:5.0f} s of CPU  {result.summary}"
    records = [result.record for result in results if result.record is not None]
    for reason, count in sorted(reasons(records).items()):
        yield f"skipped, {count}: {reason}"
    for result in results:
        crashed = result.record.crashed if result.record is not None else []
        yield from (f"crashed: {result.phase.name} {name}" for name in crashed)
        yield from (f"failed: {result.phase.name} {name}" for name in result.failed)
    for result in results:
        yield from (f"flaky: {result.phase.name} {name} (failed, and passed alone)" for name in result.flaky)
    failed = [result.phase.name for result in results if not result.ok]
    if failed:
        yield f"phases that failed: {', '.join(failed)}"
    counts = [
        (sum(len(record.passed) for record in records) + sum(len(result.flaky) for result in results), "passed"),
        (sum(len(result.failed) for result in results) + sum(len(record.crashed) for record in records), "failed"),
        (sum(len(record.skipped) for record in records), "skipped"),
    ]
    cpu = sum(result.cpu for result in results)
    yield f"{', '.join(f'{count} {what}' for count, what in counts)} in {seconds:.0f} s, with {cpu:.0f} s of CPU"


def slowest(results: Sequence[Result], count: int) -> Iterator[str]:
    """The tests that took longest, then those that computed most, set-up and teardown included."""
    records = [(result.phase.name, result.record) for result in results if result.record is not None]
    took = [(f"{phase} {test}", spent) for phase, record in records for test, spent in record.seconds.items()]
    computed = [(f"{phase} {test}", spent) for phase, record in records for test, spent in record.cpu.items()]
    for unit, tests in (("s", took), ("s of CPU", computed)):
        for name, spent in sorted(tests, key=itemgetter(1), reverse=True)[:count]:
            yield f"{spent:7.1f} {unit}  {name}"
