# SPDX-License-Identifier: Apache-2.0
"""The lines that all reports show, in words: table, page, README and picture are made of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastpath.bench.e2e.results import ComparedInfo, Ratio, Results

OFFERED = ", received of offered"
SAME = 0.02  # a median this near to 1 says nothing


@dataclass(frozen=True)
class Row:
    """One figure of one scenario, ours and one baseline's; `main` if the scenario is about it."""

    scenario: str
    form: str
    baseline: str
    ours: str
    theirs: str
    unit: str
    ratio: Ratio | None
    lower_is_better: bool
    main: bool

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
    """As many digits as say something."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _figure(results: Results, scenario: str, form: str, contestant: str, compared: ComparedInfo) -> str:
    text = number(results.figure(scenario, form, contestant, compared.figure))
    offered = results.figure(scenario, form, contestant, compared.offered) if compared.offered else None
    return text if offered is None else f"{text} of {number(offered)}"


def rows(results: Results) -> Iterator[Row]:
    """All rows that have a figure, in the order of the plan. Absolute figures are medians over the rounds."""
    subject, *baselines = (contestant.name for contestant in results.contestants)
    ratios = {(ratio.scenario, ratio.underlay, ratio.baseline, ratio.figure): ratio for ratio in results.ratios}
    for scenario in results.scenarios:
        for form in scenario.forms:
            for baseline in baselines:
                for compared in scenario.compared:
                    ours, theirs = (
                        _figure(results, scenario.name, form, name, compared) for name in (subject, baseline)
                    )
                    if theirs != "–":
                        yield Row(
                            scenario=scenario.name,
                            form=form,
                            baseline=baseline,
                            ours=ours,
                            theirs=theirs,
                            unit=compared.unit + (OFFERED if compared.offered else ""),
                            ratio=ratios.get((scenario.name, form, baseline, compared.figure)),
                            lower_is_better=compared.better == "lower",
                            main=compared is scenario.compared[0],
                        )


def notes(results: Results) -> list[str]:
    """What must be known to read the figures."""
    about = results.about
    return [
        f"{results.contestants[0].name}, commit {about.commit or 'unknown'}; {about.date}",
        f"{about.cpu}, {about.cores} cores, Linux {about.kernel}",
        f"{about.rounds} rounds of {about.seconds:g} s; {about.order}",
        about.pinning,
        f"TCP congestion control: {about.congestion}, as this machine is set",
        f"CPU: {about.counted}",
        *(f"skipped: {skipped.what}: {skipped.reason}" for skipped in results.skipped),
    ]
