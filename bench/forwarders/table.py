# SPDX-License-Identifier: Apache-2.0
"""The table of examples/forwarders/README.md, from bench/results/forwarders.json.

python -m fastpath.bench.forwarders.table                                 print it
python -m fastpath.bench.forwarders.table examples/forwarders/README.md   put it between the two marks in that file
"""

from pathlib import Path

from fastpath.bench.common.documents import Marks
from fastpath.bench.forwarders.results import Results
from fastpath.bench.scale.results import spread

RESULTS = Path(__file__).resolve().parent.parent / "results" / "forwarders.json"
MARKS = Marks("forwarder benchmarks")


def render(file: Path = RESULTS) -> str:
    """The table as Markdown: medians of the rounds, with the range."""
    results = Results.read(file)
    about = results.about
    lines = [
        f"{about.machine}, Python {about.python}; {results.frames:,} frames of 64 bytes, half TCP and half UDP, "
        f"between 100 hosts; median of {about.rounds} rounds that took turns, and their range. In Python, the rings "
        "and the delivery are part of it:",
        "",
        "| forwarder | form | ns a frame |",
        "| --- | --- | ---: |",
    ]
    lines += [f"| {case.name} | {case.form} | {spread(case.ns, 1)} |" for case in results.cases]
    return "\n".join(lines)


if __name__ == "__main__":
    MARKS.command(render())
