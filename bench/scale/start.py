# SPDX-License-Identifier: Apache-2.0
"""How long loading takes, which is most of a start."""

import subprocess
import sys
import time

TAKE_OVER = "fastpath.control.daemon.main"
ALL = f"{TAKE_OVER}, fastpath.control.daemon.services"


def measure() -> dict[str, float]:
    """Measure Python alone, with the modules for taking over, and with all, each in a process of its own."""
    return {
        "python_ms": _took("pass"),
        "take_over_ms": _took(f"import fastpath.control.cli.daemon, {TAKE_OVER}"),
        "all_ms": _took(f"import fastpath.control.cli.daemon, {ALL}"),
    }


def _took(code: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.monotonic() - began) * 1000
