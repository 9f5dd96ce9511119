# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: the JSON file's schema, which docs/comparison.md explains."""

from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept


class About(AboutRun):
    """Where, with what and how it was measured."""

    docker: str
    etcd: str


class Measurement(Frozen):
    """One round of one scenario with one driver."""

    scenario: str
    underlay: str
    driver: str
    round: int
    figures: dict[str, float]


class Results(Kept):
    """A whole run."""

    version: Literal[1] = 1  # of this schema
    about: About
    measurements: list[Measurement]

    def values(self, scenario: str, underlay: str, driver: str, figure: str) -> dict[int, float]:
        """One figure, by round."""
        return {
            each.round: each.figures[figure]
            for each in self.measurements
            if (each.scenario, each.underlay, each.driver) == (scenario, underlay, driver) and figure in each.figures
        }
