# SPDX-License-Identifier: Apache-2.0
"""The table of micro benchmarks in README.md, from bench/results/micro.json.

python -m fastpath.bench.micro.table                     print it
python -m fastpath.bench.micro.table docs/benchmarks/benchmarks.md  renew it in that document
"""

from fastpath.bench.common.documents import KeptTable
from fastpath.bench.micro.results import Results


def render(results: Results) -> str:
    """Return the table as Markdown."""
    about = results.about
    lines = [
        f"{about.cpu}, Linux {about.kernel.split('-')[0]}, Python {about.python}; one core, no I/O:",
        "",
        "| what | fastest round | median | |",
        "| --- | ---: | ---: | --- |",
    ]
    for name, found in results.results.items():
        rate = f"{found.gb_per_s:.1f} GB/s" if found.gb_per_s is not None else ""
        lines.append(f"| {name} | {found.ns:.1f} ns | {found.ns_median:.1f} ns | {rate} |")
    return "\n".join(lines)


TABLE = KeptTable("micro benchmarks", "micro.json", Results.read, render)

if __name__ == "__main__":
    TABLE.command()
