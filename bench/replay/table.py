# SPDX-License-Identifier: Apache-2.0
"""The table of docs/replay.md, from bench/results/replay.json.

python -m fastpath.bench.replay.table                 print it
python -m fastpath.bench.replay.table docs/replay.md  put it between the two marks in that file
"""

from pathlib import Path

from fastpath.bench.common.documents import Marks
from fastpath.bench.replay.results import Results
from fastpath.bench.scale.results import spread

RESULTS = Path(__file__).resolve().parent.parent / "results" / "replay.json"
MARKS = Marks("replay benchmarks")


def render(file: Path = RESULTS) -> str:
    """The table as Markdown: medians of the rounds, with the range."""
    results = Results.read(file)
    about = results.about
    lines = [
        f"{about.machine}, Python {about.python}; a capture of {about.megabytes:,} MB in the page cache, frames of 64 "
        f"bytes between 1,000 hosts; median of {about.rounds} runs, and their range:",
        "",
        "| replayed | million frames/s | memory, MiB |",
        "| --- | ---: | ---: |",
    ]
    for name, case in results.cases.items():
        lines.append(f"| {name} | {spread(case.mega_per_s, 1)} | {spread(case.rss_mib, 0)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    MARKS.command(render())
