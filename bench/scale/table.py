# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/scale.md, from bench/results/scale.json.

python -m fastpath.bench.scale.table                print them
python -m fastpath.bench.scale.table docs/scale.md  put them between the two marks in that file
"""

from pathlib import Path

from fastpath.bench.common.documents import Marks
from fastpath.bench.scale.results import Results, spread

RESULTS = Path(__file__).resolve().parent.parent / "results" / "scale.json"
MARKS = Marks("control plane benchmarks")
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


def render(file: Path = RESULTS) -> str:
    """Both tables as Markdown: a line a variant and store, medians of the rounds with the range."""
    results = Results.read(file)
    about = results.about
    head = (
        f"{about.machine}, Python {about.python}, "
        f"SQLite {about.sqlite}, etcd {about.etcd}; median of {about.rounds} rounds, and their range:"
    )
    return "\n".join([head, "", *_join(results), "", *_restart(results), "", *_start(results)])


def _join(results: Results) -> list[str]:
    lines = [
        f"| a host joins | store | {' | '.join(words for _, words, _ in JOIN)} |",
        f"| --- | --- |{' ---: |' * len(JOIN)}",
    ]
    for variant, what in results.variants.items():
        for store in STORES:
            cells = [spread(results.values("join", variant, store, figure), digits) for figure, _, digits in JOIN]
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
                spread(results.values(scenario, variant, store, figure), digits)
                for scenario, figure, _, digits in RESTART
            ]
            if set(cells) != {"–"}:
                lines.append(f"| `{variant}` | {store} | {' | '.join(cells)} |")
    return lines


def _start(results: Results) -> list[str]:
    """Where the time of a start goes before anything of ours runs."""
    python, take_over, everything = (
        spread(results.values("start", "", "", figure), 0) for figure in ("python_ms", "take_over_ms", "all_ms")
    )
    return [
        f"Of a start, Python itself takes {python} ms; with the modules that are needed to take over {take_over} ms; "
        f"with all modules {everything} ms."
    ]


if __name__ == "__main__":
    MARKS.command(render())
