# SPDX-License-Identifier: Apache-2.0
"""Show at the end what was measured, one line each, and write the results file where one is asked for."""

import platform
from pathlib import Path
from typing import Any

import pytest

from fastpath.bench.common.machine import processor
from fastpath.bench.micro.results import FOUND, About, Results


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--save FILE`, which writes the figures as JSON: bench/results/micro.json is made by it."""
    parser.addoption("--save", metavar="FILE", help="write the figures of the micro benchmarks to FILE, as JSON")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the fastest round, which other programs disturbed least, and the median."""
    if not FOUND:
        return
    terminalreporter.section("fastest round (median)")
    for name, found in FOUND.items():
        rate = f"   {found.gb_per_s:.1f} GB/s" if found.gb_per_s is not None else ""
        terminalreporter.write_line(f"{name:<42} {found.ns:>8.1f} ns ({found.ns_median:.1f}) per {found.unit}{rate}")
    if target := config.getoption("--save"):
        about = About(cpu=processor(), kernel=platform.release(), python=platform.python_version())
        Results(about=about, results=FOUND).write(Path(target))
