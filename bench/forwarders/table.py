# SPDX-License-Identifier: Apache-2.0
"""The table of examples/forwarders/README.md, from bench/results/forwarders.json.

python -m fastpath.bench.forwarders.table                                print it
python -m fastpath.bench.forwarders.table examples/forwarders/README.md  renew it in that document
"""

from fastpath.bench.common.documents import KeptTable, paragraph
from fastpath.bench.common.spread import in_words
from fastpath.bench.forwarders.results import Results


def render(results: Results) -> str:
    """Return the table as Markdown: medians of the rounds with their range."""
    about = results.about
    lines = [
        paragraph(
            f"{about.machine}, Python {about.python}; {results.frames:,} frames of 64 bytes, half TCP and half UDP, "
            f"between 100 hosts; median of {about.rounds} rounds in which all are measured in turn, and their range. "
            "In Python, the rings and the delivery are part of it:"
        ),
        "",
        "| forwarder | form | ns a frame |",
        "| --- | --- | ---: |",
    ]
    lines += [f"| {case.name} | {case.form} | {in_words(case.ns, 1)} |" for case in results.cases]
    return "\n".join(lines)


TABLE = KeptTable("forwarder benchmarks", "forwarders.json", Results.read, render)

if __name__ == "__main__":
    TABLE.command()
