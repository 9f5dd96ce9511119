# SPDX-License-Identifier: Apache-2.0
"""Say at the end what was measured, one line and one unit each; keep it where it is asked for."""

import json
import platform
from pathlib import Path
from typing import Any

import pytest

from fastpath.bench.common.machine import processor
from fastpath.bench.micro.results import RESULTS


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--save FILE` writes the figures as JSON: the README's table is made from bench/results/micro.json."""
    parser.addoption("--save", metavar="FILE", help="write the figures of the micro benchmarks to FILE, as JSON")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The figures: the fastest round, which other programs disturbed least, and the median."""
    if not RESULTS:
        return
    terminalreporter.section("fastest round (median)")
    for name, figures in RESULTS.items():
        rate = f"   {figures['gb_per_s']:.1f} GB/s" if "gb_per_s" in figures else ""
        line = f"{name:<42} {figures['ns']:>8.1f} ns ({figures['ns_median']:.1f}) per {figures['unit']}{rate}"
        terminalreporter.write_line(line)
    if target := config.getoption("--save"):
        about = {"cpu": processor(), "kernel": platform.release(), "python": platform.python_version()}
        Path(target).write_text(json.dumps({"about": about, "results": RESULTS}, indent=2) + "\n")
