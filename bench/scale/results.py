# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: the JSON file's schema, which docs/scale.md explains."""

import statistics
from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept


class About(AboutRun):
    """Where, with what and how it was measured."""

    etcd: str
    sqlite: str


class Measurement(Frozen):
    """One round of one scenario."""

    scenario: Literal["join", "restart", "restart_load", "start"]
    variant: str
    store: str
    round: int
    figures: dict[str, float]


class Results(Kept):
    """A whole run."""

    version: Literal[1] = 1  # of this schema
    about: About
    variants: dict[str, str]  # name -> what stands in the store
    measurements: list[Measurement]

    def values(self, scenario: str, variant: str, store: str, figure: str) -> list[float]:
        """One figure of all rounds."""
        return [
            each.figures[figure]
            for each in self.measurements
            if (each.scenario, each.variant, each.store) == (scenario, variant, store) and figure in each.figures
        ]


def spread(values: list[float], digits: int, scale: float = 1.0) -> str:
    """The median, and the range where that differs."""
    if not values:
        return "–"
    middle, least, most = (
        f"{value * scale:,.{digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return middle if least == most else f"{middle} ({least}–{most})"
