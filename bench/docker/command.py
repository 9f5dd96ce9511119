# SPDX-License-Identifier: Apache-2.0
"""`./run bench docker`: words → two hosts → interleaved rounds → JSON and a table."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from fastpath.bench.common.results import about_run, check_root
from fastpath.bench.docker import hosts, table
from fastpath.bench.docker.hosts import OURS, THEIRS, Hosts
from fastpath.bench.docker.results import About, Measurement, Results
from fastpath.bench.docker.scenarios import SCENARIOS, UNDERLAYS
from fastpath.bench.e2e.command import ended_by_signals
from fastpath.control.one_line import one_line_errors
from fastpath.errors import RefusedError

PROGRAMS = ("docker", "dockerd", "etcd", "ethtool", "iperf3", "nsenter")


@click.command()
@click.option("--scenario", "names", multiple=True, type=click.Choice(list(SCENARIOS)), help="May be repeated.")
@click.option("--rounds", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.2, 600), default=2.0, show_default=True, help="Of traffic.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Keep every figure.")
@one_line_errors
def docker(names: tuple[str, ...], rounds: int, seconds: float, json_file: Path | None) -> None:
    """Compare Docker's containers over fastpath with the same over Docker's own overlay, side by side.

    \b
    Examples:
      ./run bench docker --json build/bench/docker.json
      ./run bench docker --scenario tcp1 --scenario rr --rounds 10
    """
    check_root("./run bench docker")
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        raise RefusedError(f"not installed: {', '.join(absent)}")
    if not (version := _first_line("dockerd", "--version").split()[2].rstrip(",")).startswith("20."):
        raise RefusedError(f"Docker {version} has no overlay without Swarm any more: the comparison needs 20.10")
    hosts.remove_leftovers()
    with ended_by_signals(), tempfile.TemporaryDirectory(prefix="fpbd-") as folder:
        with hosts.hosts(Path(folder)) as found:
            measurements = _measure(found, names or tuple(SCENARIOS), rounds, seconds)
        file = json_file or Path(folder) / "docker.json"
        Results(about=_about(version, rounds, seconds), measurements=measurements).write(file)
        click.echo(table.render(file))


def _measure(found: Hosts, names: tuple[str, ...], rounds: int, seconds: float) -> list[Measurement]:
    """Ours and theirs in turn, so that what else the machine does meets both."""
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


def _first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0]


def _about(version: str, rounds: int, seconds: float) -> About:
    return About(
        **about_run(seconds, rounds),
        docker=version,
        etcd=_first_line("etcd", "--version").rpartition(" ")[2],
    )
