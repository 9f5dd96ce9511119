# SPDX-License-Identifier: Apache-2.0
"""The tables of end-to-end benchmarks in the documents, from the runs that are kept in bench/results.

A document has them between two marks that name the run: `<!-- e2e.json: begin -->` and `<!-- e2e.json: end -->`.

python -m fastpath.bench.e2e.table README.md  put them there anew
"""

import re
import sys
from pathlib import Path

from fastpath.bench.common.documents import Marks
from fastpath.bench.e2e.report.rows import OFFERED, Row, rows
from fastpath.bench.e2e.results import Results

RESULTS = Path(__file__).resolve().parent.parent / "results"
RUN = re.compile(r"<!-- (e2e[\w-]*\.json): begin -->")


def render(file: Path) -> str:
    """The table as Markdown: a line a scenario and underlay, a column a baseline. It has what each scenario is about,
    and request/response at the 99th percentile, too; the spread is shown for the first baseline."""
    results = Results.read(file)
    about = results.about
    _, first, *others = (contestant.name for contestant in results.contestants)
    lines = [
        f"{about.machine}, TCP with {about.congestion}; "
        f"{about.rounds} rounds of {about.seconds:g} s, median of the ratios ours / theirs (↓: lower is better):",
        "",
        f"| scenario | underlay | ours | {first} | ratio | {' | '.join(others)} |",
        f"| --- | --- | ---: | ---: | ---: |{' ---: |' * len(others)}",
    ]
    lines_of: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows(results):
        if row.main or row.unit == "µs p99":
            lines_of.setdefault((row.scenario, row.form, row.unit), {})[row.baseline] = row
    for (scenario, form, unit), by_baseline in lines_of.items():
        row = next(iter(by_baseline.values()))
        reference = by_baseline.get(first)
        short = unit.removesuffix(OFFERED) + (" ↓" if row.lower_is_better else "")
        words = [f"`{scenario}`", form, f"{row.ours.split(' of ')[0]} {short}"]
        words += [reference.theirs.split(" of ")[0], f"**{reference.spread}**"] if reference else ["–", "–"]
        words += [by_baseline[name].median if name in by_baseline else "–" for name in others]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def refresh(document: str) -> str:
    """A document, with the table of each run that its marks name."""
    for name in RUN.findall(document):
        document = Marks(name).place(document, render(RESULTS / name))
    return document


if __name__ == "__main__":
    if len(sys.argv) == 1:
        raise SystemExit("say which documents: python -m fastpath.bench.e2e.table README.md")
    for name in sys.argv[1:]:
        Path(name).write_text(refresh(Path(name).read_text()))
