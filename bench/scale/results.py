# SPDX-License-Identifier: Apache-2.0
"""The JSON file of a run (docs/benchmarks/scale.md)."""

from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept, by_round


class About(AboutRun):
    """Where, with what and how a run was made."""

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
    variants: dict[str, str]  # name -> what the store holds
    measurements: list[Measurement]

    def values(self, scenario: str, variant: str, store: str, figure: str) -> list[float]:
        """Return one figure of all rounds."""
        return [*by_round(self.measurements, figure, scenario=scenario, variant=variant, store=store).values()]
