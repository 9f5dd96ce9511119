# SPDX-License-Identifier: Apache-2.0
"""One frame out and one frame in go through the functions that ARCHITECTURE.md lists, in that order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trace.instrumented import build, names
from tests.trace.walks import ROOT, first_missing, walk

pytestmark = [pytest.mark.slow, pytest.mark.compiler]


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The functions that were entered, by direction."""
    folder = tmp_path_factory.mktemp("instrumented")
    build(folder)
    command = [sys.executable, "-m", "tests.trace.frames", str(folder)]
    preloaded = f"{os.environ.get('LD_PRELOAD', '')} {folder / 'record.so'}"  # a sanitizer may be there already
    environment = {**os.environ, "LD_PRELOAD": preloaded.strip()}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: names(Path(folder / name).read_text().splitlines()) for name in ("out", "in")}


@pytest.mark.parametrize("direction", ["out", "in"])
def test_a_frame_goes_the_way_that_the_map_shows(entered: dict[str, list[str]], direction: str) -> None:
    steps = walk(f"One frame {direction}")
    assert len(steps) > 8
    assert len(set(steps)) == len(steps)
    missing = first_missing(steps, entered[direction])
    assert missing is None, f"{missing} was not entered, or not in this order; entered: {entered[direction]}"
