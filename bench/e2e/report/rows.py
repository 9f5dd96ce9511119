# SPDX-License-Identifier: Apache-2.0
"""The lines of all reports, in words: tables, page and picture are made of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from fastpath.bench.e2e.results import ComparedInfo, Ratio, Results, ScenarioInfo

OFFERED = ", received of offered"
SAME = 0.02  # a median this near to 1 counts as equal


@dataclass(frozen=True)
class Row:
    """One figure of one scenario, ours and one baseline's; `main` if it is the scenario's main figure."""

    scenario: str
    congestion: str | None  # None where it need not be told apart
    subject: str | None  # the same
    form: str
    baseline: str
    ours: str
    theirs: str
    unit: str
    ratio: Ratio | None
    lower_is_better: bool
    main: bool

    @property
    def traffic(self) -> str:
        """The scenario, with TCP's congestion control where the run has several."""
        return self.scenario if self.congestion is None else f"{self.scenario} {self.congestion}"

    @property
    def title(self) -> str:
        """The same, with the subject where the run has several."""
        return self.traffic if self.subject is None else f"{self.traffic} {self.subject}"

    @property
    def is_cpu(self) -> bool:
        """Whether it is CPU time."""
        return self.unit.startswith("CPU")

    @property
    def spread(self) -> str:
        """Median (minimum–maximum)."""
        if self.ratio is None:
            return "–"
        return f"{self.ratio.median:.2f}× ({self.ratio.minimum:.2f}–{self.ratio.maximum:.2f})"

    @property
    def median(self) -> str:
        """The median alone."""
        return "–" if self.ratio is None else f"{self.ratio.median:.2f}×"

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or nothing where the median is about 1."""
        if self.ratio is None or abs(self.ratio.median - 1) <= SAME:
            return ""
        return "better" if (self.ratio.median > 1) != self.lower_is_better else "worse"


def number(value: float | None) -> str:
    """Return a number with three digits or so."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _figure(results: Results, compared: ComparedInfo, **place: str | None) -> str:
    text = number(results.figure(compared.figure, **place))
    offered = results.figure(compared.offered, **place) if compared.offered else None
    return text if offered is None else f"{text} of {number(offered)}"


def rows(results: Results) -> Iterator[Row]:
    """Yield all rows that have a figure, in the order of the plan. Absolute figures are medians over the rounds."""
    ratios = {
        (ratio.scenario, ratio.congestion, ratio.underlay, ratio.subject, ratio.baseline, ratio.figure): ratio
        for ratio in results.ratios
    }
    several = len(results.congestions()) > 1
    for scenario, congestion, form, subject, baseline in _places(results):
        for compared in scenario.compared:
            place = {"scenario": scenario.name, "underlay": form, "congestion": congestion}
            ours, theirs = (_figure(results, compared, contestant=name, **place) for name in (subject, baseline))
            if theirs != "–":
                yield Row(
                    scenario=scenario.name,
                    congestion=congestion if several else None,
                    subject=subject if len(results.subjects) > 1 else None,
                    form=form,
                    baseline=baseline,
                    ours=ours,
                    theirs=theirs,
                    unit=compared.unit + (OFFERED if compared.offered else ""),
                    ratio=ratios.get((scenario.name, congestion, form, subject, baseline, compared.figure)),
                    lower_is_better=compared.better == "lower",
                    main=compared is scenario.compared[0],
                )


def _places(results: Results) -> Iterator[tuple[ScenarioInfo, str | None, str, str, str]]:
    """Yield (scenario, congestion control, form, subject, baseline) in the order of the plan."""
    for scenario in results.scenarios:
        for form in scenario.forms:
            for congestion in results.congestions(scenario.name):
                for subject, baseline in product(results.subjects, results.baselines):
                    yield scenario, congestion, form, subject, baseline


def notes(results: Results) -> list[str]:
    """Return what a reader must know about the figures."""
    about = results.about
    return [
        f"{' and '.join(results.subjects)}, commit {about.commit or 'unknown'}; {about.date}",
        f"{about.cpu}, {about.cores} cores, Linux {about.kernel}",
        f"{about.rounds} rounds of {about.seconds:g} s; {about.order}",
        *([f"made by: {about.command}"] if about.command else []),
        about.pinning,
        f"TCP congestion control: {results.tcp} (this machine's own: {about.congestion})",
        f"CPU: {about.counted}",
        *([f"the machine was busy with other things: {about.busy}"] if about.busy else []),
        *(f"skipped: {skipped.what}: {skipped.reason}" for skipped in results.skipped),
    ]
