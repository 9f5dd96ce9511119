# SPDX-License-Identifier: Apache-2.0
"""The README's table of micro benchmarks, from bench/results/micro.json.

python -m fastpath.bench.micro.table            print it
python -m fastpath.bench.micro.table README.md  put it between the two marks in that file
"""

import json
from pathlib import Path

from fastpath.bench.common.documents import Marks

RESULTS = Path(__file__).resolve().parent.parent / "results" / "micro.json"
MARKS = Marks("micro benchmarks")


def render(results: Path = RESULTS) -> str:
    """The table as Markdown."""
    saved = json.loads(results.read_text())
    about = saved["about"]
    lines = [
        f"{about['cpu']}, Linux {about['kernel'].split('-')[0]}, Python {about['python']}; one core, no I/O:",
        "",
        "| what | fastest round | median | |",
        "| --- | ---: | ---: | --- |",
    ]
    for name, figures in saved["results"].items():
        rate = f"{figures['gb_per_s']:.1f} GB/s" if "gb_per_s" in figures else ""
        lines.append(f"| {name} | {figures['ns']:.1f} ns | {figures['ns_median']:.1f} ns | {rate} |")
    return "\n".join(lines)


if __name__ == "__main__":
    MARKS.command(render())
