# SPDX-License-Identifier: Apache-2.0
"""The picture: the ratio of each figure with its range, the absolute figures in the labels.

One panel where higher is better, one where lower is better, one for CPU time. On the shaded side of each, ours is
better. It needs matplotlib, of the extra `bench`.
"""

import textwrap
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from fastpath.bench.e2e.report.rows import OFFERED, Row, rows
from fastpath.bench.e2e.results import Results
from fastpath.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0b6e99", "#d9730d", "#6940a5", "#2f8f5b", "#ad1a72", "#7a6a4f", "#444444")
GOOD = "#2f8f5b"
SLOT = 0.46  # inches for one figure, with the ratios to all baselines
LEAST = 0.001  # a ratio of 0 has no place on a logarithmic axis
WIDTH, LEFT, RIGHT = 11.0, 2.1, 1.6  # inches: the picture, the labels at its sides
HEAD, FOOT, PANEL = 1.0, 0.65, 0.85  # inches: title and legend, the text below, title and axis of a panel
LABEL_CHARACTERS = 34
FOOT_LINE, FOOT_CHARACTERS = 0.19, 150  # one more line below, and what fits into it
ENDINGS = (".png", ".svg")


def check_available() -> None:
    """Raise UsageError where matplotlib is missing, before anything is measured."""
    if find_spec("matplotlib") is None:
        raise UsageError("--plot and --html need matplotlib: pip install 'fastpath[bench]'")


def check_ending(file: Path) -> None:
    """Raise UsageError for a file that is neither PNG nor SVG."""
    if file.suffix.lower() not in ENDINGS:
        raise UsageError(f"{file}: a picture's name ends in {' or '.join(ENDINGS)}")


def write(results: Results, file: Path) -> None:
    """Draw the picture into a file, PNG or SVG by the ending of its name."""
    draw(results).savefig(file, dpi=150)


def svg(results: Results) -> str:
    """Return the picture as an <svg> element."""
    text = StringIO()
    draw(results).savefig(text, format="svg")
    return text.getvalue()[text.getvalue().index("<svg") :]


def _panels(results: Results) -> list[tuple[str, bool, list[Row]]]:
    """Return (title, lower is better, rows) of each panel that has rows."""
    drawn = [row for row in rows(results) if row.ratio is not None]
    cpu = [row for row in drawn if row.is_cpu]
    others = [row for row in drawn if row not in cpu]
    panels = [
        ("throughput", False, [row for row in others if not row.lower_is_better]),
        ("one-way time and other costs", True, [row for row in others if row.lower_is_better]),
        ("CPU time of the whole machine", True, cpu),
    ]
    return [panel for panel in panels if panel[2]]


def _places(found: list[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Return the rows by (scenario, form, unit): those of several baselines stand together."""
    places: dict[tuple[str, str, str], list[Row]] = {}
    for row in found:
        places.setdefault((row.title, row.form, row.unit), []).append(row)
    return places


def draw(results: Results) -> "Figure":
    """Return the picture. Everything has its place in inches, from the top down."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    panels = _panels(results)
    heights = [SLOT * len(_places(found)) for _, _, found in panels]
    busy = results.about.busy and f"The machine was busy with other things: {results.about.busy}"
    more = [line for text in (busy, results.about.command) for line in textwrap.wrap(text, FOOT_CHARACTERS)]
    height = HEAD + sum(heights) + PANEL * len(panels) + FOOT + FOOT_LINE * len(more)
    figure = Figure(figsize=(WIDTH, height))
    baselines = results.baselines
    colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(baselines)}
    title = f"{' and '.join(results.subjects)} compared, side by side on one machine"
    figure.text(0.2 / WIDTH, 1 - 0.2 / height, title, fontsize=15, fontweight="bold", va="top")
    left = 0.2
    for name, colour in colours.items():
        figure.text(left / WIDTH, 1 - 0.65 / height, f"● to {name}", color=colour, fontsize=10, va="top")
        left += 0.55 + 0.083 * len(name)
    top = HEAD
    for panel, inches in zip(panels, heights, strict=True):
        box = (LEFT / WIDTH, 1 - (top + 0.35 + inches) / height, 1 - (LEFT + RIGHT) / WIDTH, inches / height)
        _draw_panel(figure.add_axes(box), *panel, colours)
        top += PANEL + inches
    about = results.about
    foot = (
        f"dot: median of {about.rounds} rounds of {about.seconds:g} s, measured in turn; line: minimum to maximum; "
        f"left: ours; right: the ratio to {baselines[0]}, and its figure; TCP with {results.tcp}\n"
        f"{about.cpu}, {about.cores} cores, Linux {about.kernel}, commit {about.commit or 'unknown'}, {about.date[:10]}"
    )
    foot = "\n".join([foot, *more])
    figure.text(0.2 / WIDTH, 0.15 / height, foot, fontsize=9, color="#555555", va="bottom", linespacing=1.5)
    return figure


def _draw_panel(axis: "Axes", title: str, lower: bool, found: list[Row], colours: dict[str, str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    ratios = [row.ratio for row in found if row.ratio is not None]
    left = min(0.5, *(max(LEAST, ratio.minimum) for ratio in ratios)) / 1.25
    right = max(2.0, *(ratio.maximum for ratio in ratios)) * 1.25
    axis.set_xscale("log")
    axis.set_xlim(left, right)
    axis.axvspan(left if lower else 1, 1 if lower else right, color=GOOD, alpha=0.07, lw=0)
    axis.axvline(1, color="#222222", lw=1)
    labels = []
    for at, group in enumerate(_places(found).values()):
        for n, row in enumerate(group):
            offset = 0.7 * ((n + 0.5) / len(group) - 0.5)
            _draw_row(axis, row, at + offset, colours[row.baseline], alone=len(group) == 1)
        _draw_label(axis, group[0], at, colours[group[0].baseline])
        labels.append(_label(group[0]))
    axis.set_yticks(range(len(labels)), labels, fontsize=9 if found[0].subject is None else 8)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    for boundary in range(1, len(labels)):
        axis.axhline(boundary - 0.5, color="#eeeeee", lw=0.8)
    axis.tick_params(axis="y", length=0)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ×"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(axis="x", color="#dddddd", lw=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    direction = "← lower is better" if lower else "higher is better →"
    axis.set_title(f"{title}   ({direction})", loc="left", fontsize=11, fontweight="bold")


def _label(row: Row) -> str:
    """Return what stands at the left of a figure: scenario, subject where the run has several, figure."""
    figure = f"{_received(row.ours)} {row.unit.removesuffix(OFFERED)}"
    subject = [row.subject[:LABEL_CHARACTERS]] if row.subject is not None else []
    return "\n".join([f"{row.traffic} · {row.form}", *subject, figure])


def _draw_row(axis: "Axes", row: Row, at: float, colour: str, *, alone: bool) -> None:
    ratio = row.ratio
    if ratio is None:
        return
    median, minimum = max(LEAST, ratio.median), max(LEAST, ratio.minimum)
    if alone:
        axis.plot([1, median], [at, at], color=colour, lw=7, alpha=0.18, solid_capstyle="butt")
    axis.plot([minimum, ratio.maximum], [at, at], color=colour, lw=2 if alone else 1.2, solid_capstyle="round")
    axis.plot([median], [at], "o", color=colour, ms=6 if alone else 4.5)


def _draw_label(axis: "Axes", row: Row, at: float, colour: str) -> None:
    """Draw at the right the ratio to the first baseline, and the baseline's figure."""
    if row.ratio is None:
        return
    place, text = axis.get_yaxis_transform(), f"{row.ratio.median:.2f} ×"
    axis.text(1.01, at, text, transform=place, va="center", fontsize=9, color=colour, weight="bold")
    axis.text(1.1, at, f"of {_received(row.theirs)}", transform=place, va="center", fontsize=9, color="#555555")


def _received(text: str) -> str:
    """Return what was received, without what was offered."""
    return text.partition(" of ")[0]
