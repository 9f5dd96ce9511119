# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/benchmarks/scale.md, from bench/results/scale.json.

python -m fastpath.bench.scale.table                print them
python -m fastpath.bench.scale.table docs/benchmarks/scale.md  renew them in that document
"""

from fastpath.bench.common.documents import KeptTable, paragraph
from fastpath.bench.common.spread import in_words
from fastpath.bench.scale.results import Results

STORES = ("sqlite", "etcd")
JOIN = (  # figure, in words, digits
    ("ready_s", "ready, s", 2),
    ("answers_s", "answers, s", 2),
    ("in_sync_s", "in sync, s", 2),
    ("steady_rss_mib", "memory, MiB", 0),
    ("steady_cpu_percent", "quiet: CPU, %", 2),
    ("pass_ms", "full pass, ms", 0),
    ("changes_cpu_percent", "20 changes/s: CPU, %", 1),
    ("change_ms_median", "commit to entry, ms", 0),
    ("change_ms_max", "the slowest, ms", 0),
)
RESTART = (
    ("restart", "ping_gap_ms", "gap, ms", 0),
    ("restart", "pings_lost", "pings lost of 200/s", 0),
    ("restart_load", "ping_gap_ms", "gap under load, ms", 0),
    ("restart_load", "tcp_gap_ms", "TCP pause, ms", 0),
    ("restart", "ready_s", "ready again, s", 2),
)


def render(results: Results) -> str:
    """Return the tables as Markdown: one line per variant and store, medians of the rounds with their range."""
    about = results.about
    head = (
        f"{about.machine}, Python {about.python}, "
        f"SQLite {about.sqlite}, etcd {about.etcd}; median of {about.rounds} rounds, and their range:"
    )
    return "\n".join([paragraph(head), "", *_join(results), "", *_restart(results), "", *_start(results)])


def _join(results: Results) -> list[str]:
    lines = [
        f"| a host joins | store | {' | '.join(words for _, words, _ in JOIN)} |",
        f"| --- | --- |{' ---: |' * len(JOIN)}",
    ]
    for variant, what in results.variants.items():
        for store in STORES:
            cells = [in_words(results.values("join", variant, store, figure), digits) for figure, _, digits in JOIN]
            if set(cells) != {"–"}:
                lines.append(f"| `{variant}`: {what} | {store} | {' | '.join(cells)} |")
    return lines


def _restart(results: Results) -> list[str]:
    lines = [
        f"| kill -9 and start | store | {' | '.join(words for _, _, words, _ in RESTART)} |",
        f"| --- | --- |{' ---: |' * len(RESTART)}",
    ]
    for variant in results.variants:
        for store in STORES:
            cells = [
                in_words(results.values(scenario, variant, store, figure), digits)
                for scenario, figure, _, digits in RESTART
            ]
            if set(cells) != {"–"}:
                lines.append(f"| `{variant}` | {store} | {' | '.join(cells)} |")
    return lines


def _start(results: Results) -> list[str]:
    """Return what a start takes before any of our code runs."""
    python, take_over, everything = (
        in_words(results.values("start", "", "", figure), 0) for figure in ("python_ms", "take_over_ms", "all_ms")
    )
    return [
        paragraph(
            f"Of a start, Python itself takes {python} ms; with the modules that are needed to take over {take_over} "
            f"ms; with all modules {everything} ms."
        )
    ]


TABLE = KeptTable("control plane benchmarks", "scale.json", Results.read, render)

if __name__ == "__main__":
    TABLE.command()
