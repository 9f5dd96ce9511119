# SPDX-License-Identifier: Apache-2.0
"""The README's table of the end-to-end benchmark, from bench/results/e2e.json.

python -m fastpath.bench.e2e.table            print it
python -m fastpath.bench.e2e.table README.md  put it between the two marks in that file
"""

from pathlib import Path

from fastpath.bench.e2e.results import read
from fastpath.bench.e2e.rows import rows
from fastpath.bench.marks import Marks

RESULTS = Path(__file__).resolve().parent.parent / "results" / "e2e.json"
MARKS = Marks("end-to-end benchmarks")


def render(file: Path = RESULTS) -> str:
    """The table as Markdown: what each scenario is about, and request/response at the 99th percentile, too."""
    results = read(file)
    about = results.about
    lines = [
        f"{about.cpu}, {about.cores} cores, Linux {about.kernel.split('-')[0]}; {about.rounds} rounds of "
        f"{about.seconds:g} s, median of the ratios (minimum–maximum):",
        "",
        "| scenario | underlay | against | ours | theirs | unit | ratio |",
        "| --- | --- | --- | ---: | ---: | --- | ---: |",
    ]
    for row in rows(results):
        if row.main or row.unit == "µs p99":
            unit = row.unit + (" (lower is better)" if row.lower_is_better else "")
            words = (f"`{row.scenario}`", row.form, row.baseline, row.ours, row.theirs, unit, row.spread)
            lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    MARKS.command(render())
