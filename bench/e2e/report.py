# SPDX-License-Identifier: Apache-2.0
"""The table on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fastpath.bench.e2e.results import Ratio, Results

GAIN, LOSS = 1.02, 0.98  # within these a median says nothing


def number(value: float | None) -> str:
    """Three significant digits, as far as they say something."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(ratio: Ratio) -> str:
    """Median (minimum–maximum)."""
    return f"{ratio.median:.2f} × ({ratio.minimum:.2f}–{ratio.maximum:.2f})"


def verdict(ratio: Ratio) -> str:
    """`better`, `worse`, or nothing where the median is about 1."""
    gain = ratio.median if ratio.better == "higher" else 1 / ratio.median if ratio.median else float("inf")
    return "better" if gain > GAIN else "worse" if gain < LOSS else ""


def table(results: Results) -> Table:
    """One line for each ratio; absolute figures are medians over the rounds."""
    about = results.about
    made = Table(title=f"{about.rounds} rounds of {about.seconds:g} s, median of ratios within a round (min–max)")
    for name in ("scenario", "underlay", "against"):
        made.add_column(name)
    for name in ("subject", "baseline"):
        made.add_column(name, justify="right")
    made.add_column("unit")
    made.add_column("ratio", justify="right")
    made.add_column("")
    before: tuple[str, str] | None = None
    for ratio in results.ratios:
        place = (ratio.scenario, ratio.underlay)
        if before is not None and place != before:
            made.add_section()
        before = place
        colour = {"better": "green", "worse": "red", "": ""}[verdict(ratio)]
        mark = "" if ratio.better == "higher" else "lower is better"
        made.add_row(
            *place,
            escape(ratio.baseline),
            number(results.figure(*place, ratio.subject, ratio.figure)),
            number(results.figure(*place, ratio.baseline, ratio.figure)),
            ratio.unit,
            f"[{colour}]{spread(ratio)}[/]" if colour else spread(ratio),
            mark,
        )
    return made


def lines(results: Results) -> list[str]:
    """What must be known to read the table."""
    about = results.about
    found = [
        f"subject {results.contestants[0].name}, commit {about.commit or 'unknown'}",
        f"{about.cpu}, {about.cores} cores, Linux {about.kernel}",
        about.pinning,
        f"CPU: {about.counted}",
    ]
    return found + [f"skipped: {skipped.what}: {skipped.reason}" for skipped in results.skipped]


def print_report(console: Console, results: Results) -> None:
    """The table, and what must be known to read it."""
    console.print(table(results))
    for line in lines(results):
        console.print(line, style="dim", highlight=False, markup=False)
