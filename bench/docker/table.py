# SPDX-License-Identifier: Apache-2.0
"""The table of docs/benchmarks/comparison.md, from bench/results/docker.json.

python -m fastpath.bench.docker.table                     print it
python -m fastpath.bench.docker.table docs/benchmarks/comparison.md  renew it in that document
"""

import statistics

from fastpath.bench.common.documents import KeptTable, paragraph
from fastpath.bench.common.spread import Spread, ratios
from fastpath.bench.docker.hosts import OURS, THEIRS
from fastpath.bench.docker.results import Results
from fastpath.bench.docker.scenarios import ALL, Compared, Scenario


def render(results: Results) -> str:
    """Return the table as Markdown: medians of the rounds, and medians and ranges of the rounds' ratios."""
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
    return "\n".join([paragraph(head), "", *lines])


def _line(results: Results, scenario: Scenario, underlay: str, compared: Compared) -> str | None:
    ours, theirs = (results.values(scenario.name, underlay, driver, compared.figure) for driver in (OURS, THEIRS))
    found = ratios(ours, theirs)
    if not found:
        return None
    spread = Spread.of(found)
    first, second = (f"{statistics.median(values.values()):,.{compared.digits}f}" for values in (ours, theirs))
    ratio = f"**{spread.median:.2f}×** ({spread.minimum:.2f}–{spread.maximum:.2f})"
    unit = f"{compared.unit}{' ↓' if compared.less_is_better else ''}"
    shown = f"{scenario.what}, {unit}"
    return f"| {shown} | {underlay if len(scenario.underlays) > 1 else ''} | {first} | {second} | {ratio} |"


TABLE = KeptTable("comparison with Docker's overlay", "docker.json", Results.read, render)

if __name__ == "__main__":
    TABLE.command()
