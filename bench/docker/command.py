# SPDX-License-Identifier: Apache-2.0
"""`./run bench docker`: make two hosts, measure in interleaved rounds, write JSON and a table."""

import tempfile
from pathlib import Path

import click

from fastpath.bench.common import machine
from fastpath.bench.common.command import check_programs, check_root, ended_by_signals, json_option, rounds_option, show
from fastpath.bench.common.results import about_run
from fastpath.bench.docker import hosts, table
from fastpath.bench.docker.hosts import OURS, THEIRS, Hosts
from fastpath.bench.docker.results import About, Measurement, Results
from fastpath.bench.docker.scenarios import SCENARIOS, UNDERLAYS
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.errors import RefusedError

PROGRAMS = ("docker", "dockerd", "etcd", "ethtool", "iperf3", "nsenter")


@click.command()
@click.option(
    "--scenario", "names", multiple=True, type=click.Choice(list(SCENARIOS)), help="What to measure; may be repeated."
)
@rounds_option(5)
@click.option("--seconds", type=click.FloatRange(0.2, 600), default=2.0, show_default=True, help="Traffic per figure.")
@json_option
@one_line_errors
def docker(names: tuple[str, ...], rounds: int, seconds: float, json_file: Path | None) -> None:
    """Compare Docker's containers over fastpath with the same containers over Docker's own overlay, side by side.

    \b
    Examples:
      ./run bench docker --json build/bench/docker.json
      ./run bench docker --scenario tcp1 --scenario rr --rounds 10
    """
    check_root("./run bench docker")
    check_programs(*PROGRAMS)
    if not (version := machine.version_of("dockerd").split()[2].rstrip(",")).startswith("20."):
        raise RefusedError(f"Docker {version} has no overlay without Swarm: the comparison needs Docker 20.10")
    hosts.remove_leftovers()
    with ended_by_signals(), tempfile.TemporaryDirectory(prefix="fpbd-") as folder:
        with hosts.hosts(Path(folder)) as found:
            measurements = _measure(found, names or tuple(SCENARIOS), rounds, seconds)
        etcd = machine.version_of("etcd").rpartition(" ")[2]
        about = About(**about_run(seconds, rounds), docker=version, etcd=etcd)
        show(Results(about=about, measurements=measurements), json_file, table.render)


def _measure(found: Hosts, names: tuple[str, ...], rounds: int, seconds: float) -> list[Measurement]:
    """Measure ours and theirs in turn, so that other load of the machine meets both."""
    made = []
    for number in range(rounds):
        for underlay in UNDERLAYS:
            found.form(underlay)
            for scenario in [SCENARIOS[name] for name in names if underlay in SCENARIOS[name].underlays]:
                for driver in (OURS, THEIRS) if number % 2 == 0 else (THEIRS, OURS):
                    figures = scenario.measure(found, driver, seconds)
                    said = ", ".join(f"{each.figure} {figures[each.figure]:.4g}" for each in scenario.compared)
                    click.echo(f"round {number + 1} {underlay} {scenario.name} {driver}: {said}", err=True)
                    made.append(
                        Measurement(
                            scenario=scenario.name, underlay=underlay, driver=driver, round=number, figures=figures
                        )
                    )
    return made
