# SPDX-License-Identifier: Apache-2.0
"""The tables of end-to-end benchmarks in the documents, from the runs that are kept in bench/results.

A document has a table between two marks that name the run: `<!-- e2e.json: begin -->` and `<!-- e2e.json: end -->`,
or, for the short form, `<!-- e2e.json short: begin -->` and `<!-- e2e.json short: end -->`.

python -m fastpath.bench.e2e.table README.md           renew the short table
python -m fastpath.bench.e2e.table docs/benchmarks/benchmarks.md  renew the long one
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from fastpath.bench.common.documents import Marks, paragraph
from fastpath.bench.common.results import KEPT
from fastpath.bench.e2e.names import UNDERLAYS
from fastpath.bench.e2e.report.rows import OFFERED, Row, rows
from fastpath.bench.e2e.results import Results

RUN = re.compile(r"<!-- ((e2e[\w-]*\.json)( short)?): begin -->")
BASELINE, CONGESTION = "kernel-bridge", "cubic"  # of the short table; cubic is the default of most distributions
SHORT = {  # scenario → its line in the short table
    "tcp1": "1 TCP stream",
    "tcp4": "4 TCP streams",
    "udp64": "64-byte datagrams, as fast as possible",
    "ndr64": "64-byte datagrams, at most 0.1 % lost",
    "rr": "round trip of 64 bytes, median ↓",
    "rr_loaded": "round trip beside a TCP stream, median ↓",
}
WITHOUT_CPU = ("rr_loaded",)  # the TCP stream uses all that is left, so CPU time per request says nothing


def long_table(results: Results) -> str:
    """Return the long table as Markdown: a line per scenario and underlay, a column per baseline.

    It has each scenario's main figure, and for requests the 99th percentile; the range is shown for the first baseline.
    """
    about = results.about
    _, first, *others = (contestant.name for contestant in results.contestants)
    lines = [
        paragraph(
            f"{about.machine}, TCP with {results.tcp}; "
            f"{about.rounds} rounds of {about.seconds:g} s, median of the ratios ours / theirs (↓: lower is better):"
        ),
        "",
        f"| {' | '.join(['scenario', 'underlay', 'ours', first, 'ratio', *others])} |",
        f"| --- | --- | ---: | ---: | ---: |{' ---: |' * len(others)}",
    ]
    lines_of: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows(results):
        if row.main or row.unit == "µs p99":
            lines_of.setdefault((row.title, row.form, row.unit), {})[row.baseline] = row
    for (title, form, unit), by_baseline in lines_of.items():
        row = next(iter(by_baseline.values()))
        reference = by_baseline.get(first)
        short = unit.removesuffix(OFFERED) + (" ↓" if row.lower_is_better else "")
        words = [f"`{title}`", form, f"{row.ours.split(' of ')[0]} {short}"]
        words += [reference.theirs.split(" of ")[0], f"**{reference.spread}**"] if reference else ["–", "–"]
        words += [by_baseline[name].median if name in by_baseline else "–" for name in others]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def short_table(results: Results) -> str:
    """Return the short table as Markdown: the ratios to the kernel's overlay, and those of CPU time, by underlay.

    Its TCP figures are those with CUBIC. A run without CUBIC is shown with the first congestion control that it has.
    """
    about, measured = results.about, results.congestions()
    congestion = CONGESTION if CONGESTION in measured else measured[0]
    found = {
        (row.scenario, row.form, row.unit.startswith("CPU")): row
        for row in reversed([*rows(results)])  # so that the first figure of each kind stays
        if row.baseline == BASELINE and row.congestion in (None, congestion)
    }
    lines = [
        paragraph(
            f"{about.machine}, TCP with {congestion or about.congestion}; {about.rounds} rounds of {about.seconds:g} "
            "s. Ours / the kernel's vxlan and bridge: median (minimum–maximum) of the rounds; ↓: lower is better. "
            "CPU: time of the whole machine for the same amount of traffic:"
        ),
        "",
        f"| | {' | '.join(f'{form} | CPU ↓' for form in UNDERLAYS)} |",
        f"| --- |{' ---: |' * 2 * len(UNDERLAYS)}",
    ]
    for scenario, words in SHORT.items():
        if any((scenario, form, False) in found for form in UNDERLAYS):
            cells = [words]
            for form in UNDERLAYS:
                main, cpu = found.get((scenario, form, False)), found.get((scenario, form, True))
                cells.append(f"**{main.spread}**" if main is not None else "–")
                cells.append(cpu.median if cpu is not None and scenario not in WITHOUT_CPU else "–")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def refresh(document: str) -> str:
    """Return the document with the table of each run that its marks name."""
    for marks, run, short in RUN.findall(document):
        render: Callable[[Results], str] = short_table if short else long_table
        document = Marks(marks).place(document, render(Results.read(KEPT / run)))
    return document


if __name__ == "__main__":
    if len(sys.argv) == 1:
        raise SystemExit("name the documents: python -m fastpath.bench.e2e.table README.md")
    for name in sys.argv[1:]:
        Path(name).write_text(refresh(Path(name).read_text()))
