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
BASELINE = "kernel-bridge"  # of the short table
SHORT = {  # scenario → its line in the short table
    "tcp1": "1 TCP stream",
    "tcp4": "4 TCP streams",
    "tcp_w64k": "1 TCP stream, buffers of 64 KB",
    "http100k": "a web server's answers of 100 KB",
    "udp64": "64-byte datagrams, as fast as possible",
    "udp64x256": "64-byte datagrams of 256 flows",
    "flood64": "64-byte datagrams, nothing pinned",
    "flood1300": "1,300-byte datagrams, nothing pinned",
    "ndr64": "64-byte datagrams, at most 0.1 % lost",
    "udp_gso": "datagrams in trains, as QUIC",
    "rr": "round trip of 64 bytes, median ↓",
    "tcp_rr": "round trip over TCP, median ↓",
    "rr_loaded": "round trip beside a TCP stream, median ↓",
    "local_tcp": "1 TCP stream on one host",
    "local_udp64": "64-byte datagrams on one host",
}
SAYS_LITTLE = {("rr_loaded", "CPU µs/request")}  # of older runs: the stream takes all that is left
ON_ONE_HOST = "local"


def long_table(results: Results) -> str:
    """Return the long table as Markdown: a line per scenario, underlay and subject, a column per baseline.

    It has each scenario's main figure, and for requests the 99th percentile; the range is shown for the first baseline,
    and beside it the ratio of the CPU time.
    """
    about = results.about
    first, *others = results.baselines
    lines = [
        paragraph(
            f"{about.machine}, TCP with {results.tcp}; "
            f"{about.rounds} rounds of {about.seconds:g} s, median of the ratios ours / theirs (↓: lower is better)"
            f"{_busy(results)}:"
        ),
        "",
        f"| {' | '.join(['scenario', 'underlay', 'ours', first, 'ratio', 'CPU ↓', *others])} |",
        f"| --- | --- | ---: | ---: | ---: | ---: |{' ---: |' * len(others)}",
    ]
    lines_of: dict[tuple[str, str, str], dict[str, Row]] = {}
    cpu: dict[tuple[str, str], str] = {}
    for row in rows(results):
        if _is_said_cpu(row) and row.baseline == first:
            cpu.setdefault((row.title, row.form), row.median)
        if row.main or row.unit == "µs p99":
            lines_of.setdefault((row.title, row.form, row.unit), {})[row.baseline] = row
    for (title, form, unit), by_baseline in lines_of.items():
        row = next(iter(by_baseline.values()))
        reference = by_baseline.get(first)
        short = unit.removesuffix(OFFERED) + (" ↓" if row.lower_is_better else "")
        words = [f"`{title}`", form, f"{row.ours.split(' of ')[0]} {short}"]
        words += [reference.theirs.split(" of ")[0], f"**{reference.spread}**"] if reference else ["–", "–"]
        words += [cpu.get((title, form), "–")]
        words += [by_baseline[name].median if name in by_baseline else "–" for name in others]
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def _busy(results: Results) -> str:
    return f"; the machine was busy with other things ({results.about.busy})" if results.about.busy else ""


def _is_said_cpu(row: Row) -> bool:
    return row.is_cpu and (row.scenario, row.unit) not in SAYS_LITTLE


def short_table(results: Results) -> str:
    """Return the short table as Markdown: the ratios to the kernel's overlay, and those of CPU time.

    A scenario with TCP has a line for each congestion control of the run. The columns are the underlays; in a run with
    several subjects they are these, and the lines name the underlay. What is measured on one host stands under the
    first underlay.
    """
    about, subjects = results.about, results.subjects
    several = len(subjects) > 1
    columns = subjects if several else [*UNDERLAYS]
    lines = [
        paragraph(
            f"{about.machine}, TCP with {results.tcp}; {about.rounds} rounds of {about.seconds:g} "
            "s. Ours / the kernel's vxlan and bridge: median (minimum–maximum) of the rounds; ↓: lower is better. "
            f"CPU: time of the whole machine for the same amount of traffic{_busy(results)}:"
        ),
        "",
        f"| | {' | '.join(f'{name} | CPU ↓' for name in columns)} |",
        f"| --- |{' ---: |' * 2 * len(columns)}",
    ]
    found: dict[tuple[str, str], dict[tuple[str, bool], Row]] = {}
    for row in rows(results):
        if row.baseline == BASELINE and (row.main or _is_said_cpu(row)):
            form = UNDERLAYS[0] if row.form == ON_ONE_HOST else row.form
            named = [(row.congestion or "").upper(), row.form if several and row.form != ON_ONE_HOST else ""]
            cells = found.setdefault((row.scenario, "".join(f", {word}" for word in named if word)), {})
            cells.setdefault((row.subject or subjects[0] if several else form, row.is_cpu), row)
    for scenario, words in SHORT.items():
        for (name, more), cells in found.items():
            if name == scenario:
                line = [words + more]
                for column in columns:
                    main, cpu = cells.get((column, False)), cells.get((column, True))
                    line += [f"**{main.spread}**" if main is not None else "–", cpu.median if cpu is not None else "–"]
                lines.append(f"| {' | '.join(line)} |")
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
