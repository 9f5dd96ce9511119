# SPDX-License-Identifier: Apache-2.0
"""Results of a replay, for people and for programs."""

from dataclasses import asdict
from typing import Any

from fastpath.control.cli.common.render import print_list
from fastpath.control.cli.reports.stats import print_counts, print_stats
from fastpath.control.replay.bench import Bench
from fastpath.control.replay.session import MENDED, SKIPPED, Result


def as_dict(result: Result, measured: Bench | None = None) -> dict[str, Any]:
    """Return results for JSON. Only `seconds` and what was measured differ from run to run. A measurement has no
    counters: it forwards every frame many times."""
    names = ("records", "skipped", "mended", "cut")
    capture = {name: getattr(result, name) for name in names}
    if measured is not None:
        return {"capture": capture, "bench": asdict(measured)}
    return {"capture": capture, "seconds": result.seconds, **result.stats.as_dict()}


def print_result(name: str, result: Result) -> None:
    """Print tables of what went where, and of drops."""
    print_stats(name, result.stats.as_dict())
    if result.skipped:
        print_counts(f"{name}: not replayed", result.skipped, SKIPPED)
    if result.mended:
        print_counts(f"{name}: mended", result.mended, MENDED)
    if result.cut:
        print(f"{name} ends within a record, as a capture does that was killed")
    rate = result.records / result.seconds if result.seconds > 0 else 0
    print(f"{result.records:,} records in {result.seconds:.2f} s: {rate / 1e6:.2f} million a second")


def print_bench(measured: Bench) -> None:
    """Print a line for each cost."""
    rows = [
        (name, f"{cost.median_ns:.1f}", f"{cost.min_ns:.1f} – {cost.max_ns:.1f}")
        for name, cost in (("forwarder", measured.forward), ("parser", measured.parse))
    ]
    print_list(("ns/frame", "median", "fastest – slowest"), rows)
    print(f"{measured.rounds} rounds of {measured.frames:,} frames")
