# SPDX-License-Identifier: Apache-2.0
"""The table on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fastpath.bench.e2e.results import Results
from fastpath.bench.e2e.rows import notes, rows

COLOURS = {"better": "green", "worse": "red"}


def table(results: Results) -> Table:
    """One line for each figure that is compared."""
    made = Table(title="ratio: median of the rounds (minimum–maximum)")
    for name in ("scenario", "underlay", "against"):
        made.add_column(name)
    for name in ("subject", "baseline"):
        made.add_column(name, justify="right")
    made.add_column("unit")
    made.add_column("ratio", justify="right")
    before: tuple[str, str] | None = None
    for row in rows(results):
        place = (row.scenario, row.form)
        if before is not None and place != before:
            made.add_section()
        before = place
        unit = row.unit + (" (lower is better)" if row.lower_is_better else "")
        made.add_row(
            *place, escape(row.baseline), row.ours, row.theirs, unit, row.spread, style=COLOURS.get(row.verdict)
        )
    return made


def print_report(console: Console, results: Results) -> None:
    """The table, and what must be known to read it."""
    console.print(table(results))
    for line in notes(results):
        console.print(line, style="dim", highlight=False, markup=False)
