# SPDX-License-Identifier: Apache-2.0
"""The table on the terminal: narrow enough for 80 columns where there is one baseline."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fastpath.bench.e2e.report.rows import OFFERED, notes, rows
from fastpath.bench.e2e.results import Results

COLOURS = {"better": "green", "worse": "red"}
LEGEND = "ratio: median of the rounds (minimum–maximum); ↓: lower is better; kpps: received of offered"


def table(results: Results) -> Table:
    """Return a table with one line per compared figure."""
    subjects, baselines = ([escape(name) for name in names] for names in (results.subjects, results.baselines))
    several = len(baselines) > 1
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("", *(["against"] if several else [])):
        made.add_column(name, no_wrap=True)
    for name in ("ours" if len(subjects) > 1 else subjects[0], "theirs" if several else baselines[0]):
        made.add_column(name, justify="right")
    made.add_column("", no_wrap=True)
    made.add_column("ratio", justify="right", no_wrap=True)
    before = ""
    for row in rows(results):
        place = f"{row.title} {row.form}"
        if before not in ("", place):
            made.add_section()
        unit = row.unit.removesuffix(OFFERED) + (" ↓" if row.lower_is_better else "")
        against = [escape(row.baseline)] if several else []
        words = (place if place != before else "", *against, row.ours, row.theirs, unit, row.spread)
        made.add_row(*words, style=COLOURS.get(row.verdict))
        before = place
    return made


def print_report(console: Console, results: Results) -> None:
    """Print the table, and what a reader must know about it."""
    console.print(table(results))
    for line in (LEGEND, *notes(results)):
        console.print(line, style="dim", highlight=False, markup=False)
