# SPDX-License-Identifier: Apache-2.0
"""`fastpath bench`: make a plan of the options, run it, show a table and write files."""

import sys
from pathlib import Path

import click

from fastpath.bench.common import other_load
from fastpath.bench.common.command import FILE, check_root, ended_by_signals, json_option, rounds_option
from fastpath.bench.common.progress import progress
from fastpath.bench.e2e import congestion, names
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.errors import RefusedError, UsageError


def _list() -> None:
    """Print the names that can be given."""
    from fastpath.bench.e2e.scenarios import FAMILIES, SCENARIOS  # noqa: PLC0415  # slow to load, and not for --help
    from fastpath.bench.e2e.sites.overlays import OVERLAYS  # noqa: PLC0415

    lines = [("scenario", name, scenario.what) for name, scenario in SCENARIOS.items()]
    lines += [("scenarios", name, ", ".join(members)) for name, members in FAMILIES.items()]
    lines += [("contestant", name, overlay.what) for name, overlay in OVERLAYS.items()]
    for kind, name, what in lines:
        click.echo(f"{kind:<11} {name:<15} {what}")


@click.command()
@click.option(
    "--scenario", "scenarios", multiple=True, metavar="NAME[:UNDERLAY]", help="What to measure; may be repeated."
)
@click.option(
    "--underlay",
    type=click.Choice([*names.UNDERLAYS, "both"]),
    default="both",
    show_default=True,
    help="With or without segmentation offload.",
)
@click.option("--against", multiple=True, metavar="NAME[:key=value,…]", help="A baseline; may be repeated.")
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="NAME[:key=value,…]",
    help=f"What is compared; may be repeated.  [default: {' '.join(names.DEFAULT_SUBJECTS)}]",
)
@click.option("--forwarder", metavar="WORDS", help="Short for --subject forwarder:WORDS --against fastpath-device.")
@click.option(
    "--congestion",
    "congestion_names",
    multiple=True,
    metavar="NAME",
    help="TCP's congestion control: cubic, bbr, …; may be repeated.  [default: these two]",
)
@rounds_option(5, most=1000)
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, help="Traffic per figure.")
@click.option("--full", is_flag=True, help="Measure all scenarios against all baselines.")
@json_option
@click.option("--plot", "plot_file", type=FILE, metavar="FILE", help="Draw the ratios (PNG or SVG).")
@click.option("--html", type=FILE, metavar="FILE", help="Write a page with picture and tables.")
@click.option("--list", "list_names", is_flag=True, help="List scenarios and contestants.")
@one_line_errors
def bench(  # noqa: PLR0917  # click gives them by name
    scenarios: tuple[str, ...],
    underlay: str,
    against: tuple[str, ...],
    subjects: tuple[str, ...],
    forwarder: str | None,
    congestion_names: tuple[str, ...],
    rounds: int,
    seconds: float,
    full: bool,
    json_file: Path | None,
    plot_file: Path | None,
    html: Path | None,
    list_names: bool,
) -> None:
    """Compare with other overlays, side by side, between containers on two hosts made of network namespaces.

    Without options: the main scenarios, on both underlays, against the kernel's vxlan and bridge. How long that takes
    is told before it starts.

    \b
    Contestants with settings:
      fastpath         a network with a daemon on each host: options of `fastpath network create`, keys of
                       fastpath.toml; it has --kernel-path tcp unless named otherwise
      fastpath-device  an engine without a daemon: options of `fastpath vxlan add`; txqueuelen=N, the TAP's queue
      forwarder        the arguments of `fastpath forwarder set`
      script           a file that lays an overlay of your own (docs/benchmarks/benchmarks.md)
    The first two know commit=REV, too: another commit.

    \b
    Examples:
      fastpath bench
      fastpath bench --scenario udp64 --underlay wire --against kernel-bridge --against null
      fastpath bench --scenario tcp1 --congestion cubic --congestion bbr
      fastpath bench --subject fastpath --subject fastpath:workers=2 --scenario tcp4:wire --scenario local
      fastpath bench --subject fastpath:port-security=off --against fastpath --scenario unpinned
      fastpath bench --subject fastpath-device:txqueuelen=10000 --against fastpath-device --scenario rr_flooded
      fastpath bench --forwarder learning_bridge.py --scenario udp64
      fastpath bench --forwarder 'acl.py rules=a.toml | bridge' --against forwarder:bridge
      fastpath bench --against script:./wireguard.sh --scenario tcp1
      fastpath bench --full --json e2e.json --plot e2e.png --html e2e.html
    """
    from fastpath.bench.e2e.plan import Plan  # noqa: PLC0415  # slow to load, and not for --help
    from fastpath.bench.e2e.report import page, plot, terminal  # noqa: PLC0415
    from fastpath.bench.e2e.scenarios import SCENARIOS, chosen  # noqa: PLC0415
    from fastpath.bench.e2e.session import Session  # noqa: PLC0415

    if list_names:
        _list()
        return
    subjects, baselines = names.compared(subjects, forwarder, against, full=full)
    plan = Plan(
        scenarios=chosen(scenarios or (tuple(SCENARIOS) if full else names.DEFAULT_SCENARIOS)),
        underlays=names.UNDERLAYS if underlay == "both" else (underlay,),
        subjects=tuple(names.contestant(text) for text in dict.fromkeys(subjects)),
        baselines=tuple(names.contestant(text) for text in dict.fromkeys(baselines)),
        rounds=rounds,
        seconds=seconds,
        congestion=congestion.chosen(congestion_names),
    )
    plan.check()
    for file in (json_file, plot_file, html):
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"{file}: there is no directory {file.absolute().parent}")
    if plot_file is not None:
        plot.check_ending(plot_file)
    if plot_file is not None or html is not None:
        plot.check_available()
    from rich.console import Console  # noqa: PLC0415

    check_root("fastpath bench")
    console = Console(width=None if sys.stdout.isatty() else 140)
    click.echo(plan.in_words, err=True)
    if (seen := other_load.look()).cores > other_load.BUSY_CORES:
        click.echo(f"warning: the machine is busy: {seen.cores:.1f} cores with other things", err=True)
    with ended_by_signals(), progress() as tell:
        found = Session(plan, tell).run()
    if not found.measurements:
        raise RefusedError(f"nothing could be measured: {found.skipped[0].what}: {found.skipped[0].reason}")
    if json_file is not None:
        found.write(json_file)
    if plot_file is not None:
        plot.write(found, plot_file)
    if html is not None:
        page.write(found, html)
    terminal.print_report(console, found)
