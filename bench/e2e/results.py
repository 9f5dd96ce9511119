# SPDX-License-Identifier: Apache-2.0
"""The JSON file of a run (docs/benchmarks/benchmarks.md), and the ratios that are formed in each round."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Literal

from pydantic import Field

from fastpath.bench.common.other_load import BUSY_CORES, BUSY_PRESSURE
from fastpath.bench.common.results import AboutRun, Frozen, Kept, by_round
from fastpath.bench.common.spread import Spread, ratios
from fastpath.bench.e2e.scenarios import Better, Compared, Scenario


class About(AboutRun):
    """Where, with what and how a run was made."""

    command: str = ""  # that measures the same; older runs lack it
    pinning: str
    congestion: str  # the machine's own TCP congestion control
    counted: str
    order: str
    offloads: dict[str, dict[str, str]]  # underlay -> feature -> on/off
    programs: dict[str, str]  # program -> version
    idle_cores: dict[str, float]  # underlay -> cores busy with all overlays set up and no traffic
    idle_pressure: dict[str, float] = Field(
        default_factory=dict
    )  # and the share of the time in which some process waited for a core
    busy: str = ""  # what the machine did beside the benchmark, where that was too much; older runs do not know


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
    """One scenario that was measured; the first of `compared` is its main figure."""

    name: str
    what: str
    forms: tuple[str, ...]
    compared: tuple[ComparedInfo, ...]


class Measurement(Frozen):
    """One contestant in one round of one scenario."""

    scenario: str
    underlay: str
    contestant: str
    congestion: str | None = None  # of its TCP connections; None: there are none, or an older run
    round: int
    others_cores: float | None = None  # used by processes that are not the benchmark's; None: an older run
    figures: dict[str, float]


class Ratio(Frozen):
    """Subject / baseline of one figure, in each round and over all of them."""

    scenario: str
    underlay: str
    congestion: str | None = None
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
    """A part of the plan that was not measured, and the reason."""

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

    def congestions(self, scenario: str | None = None) -> list[str | None]:
        """Return the congestion controls that were measured, in one scenario or in all; [None] where none is known."""
        found = dict.fromkeys(one.congestion for one in self.measurements if scenario in (None, one.scenario))
        return [name for name in found if name is not None] or [None]

    @property
    def subjects(self) -> list[str]:
        """The contestants that are compared with the others; the first one is the run's own."""
        return [*dict.fromkeys(ratio.subject for ratio in self.ratios)] or [self.contestants[0].name]

    @property
    def baselines(self) -> list[str]:
        """The contestants that they are compared with, as far as they were measured."""
        measured = {one.contestant for one in self.measurements} - {*self.subjects}
        return [contestant.name for contestant in self.contestants if contestant.name in measured]

    @property
    def tcp(self) -> str:
        """The congestion controls of the whole run, in words."""
        return " and ".join(name or self.about.congestion for name in self.congestions())

    def figure(self, figure: str, **place: str | None) -> float | None:
        """Return the median of a figure over the rounds; `place` names scenario, underlay, contestant, congestion."""
        values = by_round(self.measurements, figure, **place).values()
        return statistics.median(values) if values else None


def describe(scenario: Scenario, underlays: Sequence[str]) -> ScenarioInfo:
    """Return a scenario as the file has it."""
    return ScenarioInfo(
        name=scenario.name,
        what=scenario.what,
        forms=scenario.forms(underlays),
        compared=tuple(ComparedInfo.model_validate(asdict(compared)) for compared in scenario.compared),
    )


def ratio(
    measurements: Sequence[Measurement],
    compared: Compared,
    *,
    scenario: str,
    underlay: str,
    subject: str,
    baseline: str,
    congestion: str | None = None,
) -> Ratio | None:
    """Return subject / baseline, paired round by round; None where no round has both."""
    place = {"scenario": scenario, "underlay": underlay, "congestion": congestion}
    ours, theirs = (by_round(measurements, compared.figure, contestant=name, **place) for name in (subject, baseline))
    rounds = ratios(ours, theirs)
    if not rounds:
        return None
    spread = Spread.of(rounds)
    return Ratio(
        scenario=scenario,
        underlay=underlay,
        congestion=congestion,
        subject=subject,
        baseline=baseline,
        figure=compared.figure,
        unit=compared.unit,
        better=compared.better,
        rounds=rounds,
        median=spread.median,
        minimum=spread.minimum,
        maximum=spread.maximum,
    )


def busy_in_words(measurements: Sequence[Measurement], pressure: Mapping[str, float]) -> str:
    """Return what the machine did beside the benchmark, or "" if that was next to nothing: cores that others used
    during measurements, and the share of the time in which processes waited for a core while nothing was sent."""
    used = [one.others_cores for one in measurements if one.others_cores is not None]
    disturbed = [cores for cores in used if cores > BUSY_CORES]
    said = []
    if disturbed:
        said.append(f"others used up to {max(disturbed):.1f} cores in {len(disturbed)} of {len(used)} measurements")
    if (waited := max(pressure.values(), default=0.0)) > BUSY_PRESSURE:
        said.append(f"processes waited for a core in {waited:.0%} of the time without traffic")
    return "; ".join(said)


def order(contestants: Sequence[str], number: int) -> list[str]:
    """Return A B in even rounds, B A in odd ones."""
    return list(contestants) if number % 2 == 0 else list(reversed(contestants))
