# SPDX-License-Identifier: Apache-2.0
"""The JSON file of a run (docs/benchmarks/comparison.md)."""

from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept, by_round


class About(AboutRun):
    """Where, with what and how a run was made."""

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
        """Return one figure by round."""
        return by_round(self.measurements, figure, scenario=scenario, underlay=underlay, driver=driver)
