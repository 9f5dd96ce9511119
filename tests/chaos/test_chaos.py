# SPDX-License-Identifier: Apache-2.0
"""Two minutes of what `./run chaos` does for hours."""

from pathlib import Path

import pytest

from tests.chaos.bed import Bed
from tests.chaos.checks import traces
from tests.chaos.nemesis import History, Nemesis, clear

MINUTES = 2
SEED = 1


@pytest.mark.slow
def test_nothing_is_violated(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    with Bed(3, tmp_path) as bed:
        bed.prepare()
        before = [traces(daemon) for daemon in bed.daemons]
        bed.populate()
        Nemesis(bed, SEED, history).run(MINUTES)
        clear(bed, before, history)
