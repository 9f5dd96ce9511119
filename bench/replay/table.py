# SPDX-License-Identifier: Apache-2.0
"""The table of docs/forwarding/replay.md, from bench/results/replay.json.

python -m fastpath.bench.replay.table                 print it
python -m fastpath.bench.replay.table docs/forwarding/replay.md  renew it in that document
"""

from fastpath.bench.common.documents import KeptTable, paragraph
from fastpath.bench.common.spread import in_words
from fastpath.bench.replay.results import Results


def render(results: Results) -> str:
    """Return the table as Markdown: medians of the rounds with their range."""
    about = results.about
    lines = [
        paragraph(
            f"{about.machine}, Python {about.python}; a capture of {about.megabytes:,} MB in the page cache, frames of "
            f"64 bytes between 1,000 hosts; median of {about.rounds} runs, and their range:"
        ),
        "",
        "| replayed | million frames/s | memory, MiB |",
        "| --- | ---: | ---: |",
    ]
    for name, case in results.cases.items():
        lines.append(f"| {name} | {in_words(case.mega_per_s, 1)} | {in_words(case.rss_mib, 0)} |")
    return "\n".join(lines)


TABLE = KeptTable("replay benchmarks", "replay.json", Results.read, render)

if __name__ == "__main__":
    TABLE.command()
