# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: the JSON file's schema (docs/benchmarks.md), and the ratios that are formed from the rounds."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept
from fastpath.bench.e2e.scenarios import Better, Compared, Scenario


class About(AboutRun):
    """Where, with what and how it was measured."""

    pinning: str
    congestion: str  # TCP's congestion control
    counted: str
    order: str
    offloads: dict[str, dict[str, str]]  # underlay -> feature -> on/off
    programs: dict[str, str]  # program -> version
    idle_cores: dict[str, float]  # underlay -> cores busy with all overlays set up and no traffic


class ContestantInfo(Frozen):
    """One overlay that took part."""

    name: str
    what: str
    commit: str | None = None


class ComparedInfo(Frozen):
    """A figure that is compared."""

    figure: str
    unit: str
    better: Better
    offered: str | None
    ratio: bool


class ScenarioInfo(Frozen):
    """One scenario that was measured; the first of `compared` is what it is about."""

    name: str
    what: str
    forms: tuple[str, ...]
    compared: tuple[ComparedInfo, ...]


class Measurement(Frozen):
    """One contestant in one round of one scenario."""

    scenario: str
    underlay: str
    contestant: str
    round: int
    figures: dict[str, float]


class Ratio(Frozen):
    """Subject / baseline of one figure, in each round and over all of them."""

    scenario: str
    underlay: str
    subject: str
    baseline: str
    figure: str
    unit: str
    better: Better
    rounds: list[float]
    median: float
    minimum: float
    maximum: float


class Skipped(Frozen):
    """What was not measured, and why."""

    what: str
    reason: str


class Results(Kept):
    """A whole run."""

    version: Literal[1] = 1  # of this schema
    about: About
    scenarios: list[ScenarioInfo]
    contestants: list[ContestantInfo]
    measurements: list[Measurement]
    ratios: list[Ratio]
    skipped: list[Skipped]

    def figure(self, scenario: str, underlay: str, contestant: str, figure: str) -> float | None:
        """The median of a figure over the rounds."""
        values = [
            measurement.figures[figure]
            for measurement in self.measurements
            if (measurement.scenario, measurement.underlay, measurement.contestant) == (scenario, underlay, contestant)
            and figure in measurement.figures
        ]
        return statistics.median(values) if values else None


def describe(scenario: Scenario, underlays: Sequence[str]) -> ScenarioInfo:
    """A scenario as the file has it."""
    return ScenarioInfo(
        name=scenario.name,
        what=scenario.what,
        forms=scenario.forms(underlays),
        compared=tuple(ComparedInfo.model_validate(asdict(compared)) for compared in scenario.compared),
    )


def ratio(
    measurements: Iterable[Measurement],
    compared: Compared,
    *,
    scenario: str,
    underlay: str,
    subject: str,
    baseline: str,
) -> Ratio | None:
    """Subject / baseline, paired round by round; None where no round has both."""
    rounds: dict[int, dict[str, float]] = {}
    for measurement in measurements:
        place = (measurement.scenario, measurement.underlay)
        if place == (scenario, underlay) and compared.figure in measurement.figures:
            values = rounds.setdefault(measurement.round, {})
            values[measurement.contestant] = measurement.figures[compared.figure]
    ratios = [
        values[subject] / values[baseline] for values in rounds.values() if subject in values and values.get(baseline)
    ]
    if not ratios:
        return None
    return Ratio(
        scenario=scenario,
        underlay=underlay,
        subject=subject,
        baseline=baseline,
        figure=compared.figure,
        unit=compared.unit,
        better=compared.better,
        rounds=ratios,
        median=statistics.median(ratios),
        minimum=min(ratios),
        maximum=max(ratios),
    )


def order(contestants: Sequence[str], number: int) -> list[str]:
    """A B in even rounds, B A in odd ones."""
    return list(contestants) if number % 2 == 0 else list(reversed(contestants))
