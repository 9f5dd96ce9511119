# SPDX-License-Identifier: Apache-2.0
"""A self-contained page: picture, tables, and how they were made."""

from collections.abc import Iterable
from html import escape
from pathlib import Path

from fastpath.bench.e2e.report import plot
from fastpath.bench.e2e.report.rows import notes, number, rows
from fastpath.bench.e2e.results import Results

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222; }
svg { width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .8em; border-bottom: 1px solid #ddd; text-align: left; }
th { background: #f4f4f4; } td.n { text-align: right; }
.better { color: #1c7c45; font-weight: 600; } .worse { color: #b3261e; font-weight: 600; }
details { margin: 1em 0; } summary { cursor: pointer; }
"""
LIMITS = """
Two hosts, two containers and the load share the cores of one machine: the figures show the cost of an overlay, and say
nothing about the speed of a network. Absolute figures drift with the machine's load; ratios are formed within a round.
The veth between the hosts copies nothing and loses nothing; a NIC behaves like <code>offload</code> if it can segment
tunnels, and otherwise like <code>wire</code>. No traffic is encrypted.
"""


def write(results: Results, file: Path) -> None:
    """Write the page into a file."""
    file.write_text(render(results))


def render(results: Results) -> str:
    """Return the page as HTML."""
    about = results.about
    idle = ", ".join(f"{form} {cores:.3f}" for form, cores in about.idle_cores.items())
    title = f"{' and '.join(results.subjects)} compared"
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
        "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes(results)) + "</ul>",
        plot.svg(results),
        "<h2>Figures</h2><p>Medians of the rounds; in brackets the smallest and the largest ratio.</p>",
        _figures(results),
        "<h2>Overlays</h2>",
        _table(["name", "what it is"], ([one.name, one.what] for one in results.contestants)),
        "<h2>Scenarios</h2>",
        _table(["scenario", "what it is"], ([one.name, one.what] for one in results.scenarios)),
        "<h2>How it was made</h2>",
        "<p>Every overlay has two hosts (network namespaces) of its own, joined by a veth of MTU 1500, with a",
        "container each (overlay MTU 1450). In each round all overlays are set up again and measured in turn;",
        "the others sleep meanwhile. Busy cores with all overlays",
        f"set up and without traffic: {escape(idle)}.</p>",
        "<h3>Offloads of the underlay</h3>",
        _offloads(results),
        "<h3>Programs</h3>",
        _table(["program", "version"], ([name, text] for name, text in about.programs.items())),
        f"<h2>Limits</h2><p>{LIMITS}</p>",
        "<details><summary>Every round</summary>",
        _rounds(results),
        "</details></html>",
    ]
    return "\n".join(parts) + "\n"


def _table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    rendered = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + f"</tr>{rendered}</table>"


def _figures(results: Results) -> str:
    head = ("scenario", "underlay", "against", "ours", "theirs", "unit", "ratio")
    lines = []
    for row in rows(results):
        unit = escape(row.unit) + (" <em>(lower is better)</em>" if row.lower_is_better else "")
        words = "".join(f"<td>{escape(word)}</td>" for word in (row.title, row.form, row.baseline))
        figures = "".join(f"<td class='n'>{escape(word)}</td>" for word in (row.ours, row.theirs))
        lines.append(f"<tr>{words}{figures}<td>{unit}</td><td class='n {row.verdict}'>{escape(row.spread)}</td></tr>")
    return "<table><tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>" + "".join(lines) + "</table>"


def _offloads(results: Results) -> str:
    found = results.about.offloads
    features = sorted({feature for states in found.values() for feature in states})
    lines = ([feature, *(states.get(feature, "") for states in found.values())] for feature in features)
    return _table(["feature", *found], lines)


def _rounds(results: Results) -> str:
    lines = (
        [
            one.scenario,
            one.underlay,
            one.congestion or "–",
            one.contestant,
            str(one.round + 1),
            ", ".join(f"{name} {number(value)}" for name, value in one.figures.items()),
        ]
        for one in results.measurements
    )
    return _table(["scenario", "underlay", "TCP", "contestant", "round", "figures"], lines)
