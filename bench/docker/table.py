# SPDX-License-Identifier: Apache-2.0
"""The table of docs/comparison.md, from bench/results/docker.json.

python -m fastpath.bench.docker.table                     print it
python -m fastpath.bench.docker.table docs/comparison.md  put it between the two marks in that file
"""

import statistics
from pathlib import Path

from fastpath.bench.common.documents import Marks
from fastpath.bench.docker.hosts import OURS, THEIRS
from fastpath.bench.docker.results import Results
from fastpath.bench.docker.scenarios import ALL, Compared, Scenario

RESULTS = Path(__file__).resolve().parent.parent / "results" / "docker.json"
MARKS = Marks("comparison with Docker's overlay")


def render(file: Path = RESULTS) -> str:
    """As Markdown: medians of the rounds, and of the ratios of each round, with their range."""
    results = Results.read(file)
    about = results.about
    head = (
        f"{about.machine}, Docker {about.docker}, etcd "
        f"{about.etcd}; {about.rounds} rounds of {about.seconds:g} s, median of the ratios ours / theirs "
        "(↓: lower is better):"
    )
    lines = ["| scenario | underlay | fastpath | Docker's overlay | ratio |", "| --- | --- | ---: | ---: | ---: |"]
    for scenario in ALL:
        for underlay in scenario.underlays:
            lines += [
                line for each in scenario.compared if (line := _line(results, scenario, underlay, each)) is not None
            ]
    return "\n".join([head, "", *lines])


def _line(results: Results, scenario: Scenario, underlay: str, compared: Compared) -> str | None:
    ours, theirs = (results.values(scenario.name, underlay, driver, compared.figure) for driver in (OURS, THEIRS))
    ratios = [ours[number] / theirs[number] for number in ours.keys() & theirs.keys()]
    if not ratios:
        return None
    first, second = (f"{statistics.median(values.values()):,.{compared.digits}f}" for values in (ours, theirs))
    ratio = f"**{statistics.median(ratios):.2f}×** ({min(ratios):.2f}–{max(ratios):.2f})"
    unit = f"{compared.unit}{' ↓' if compared.less_is_better else ''}"
    shown = f"{scenario.what}, {unit}"
    return f"| {shown} | {underlay if len(scenario.underlays) > 1 else ''} | {first} | {second} | {ratio} |"


if __name__ == "__main__":
    MARKS.command(render())
