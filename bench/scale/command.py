# SPDX-License-Identifier: Apache-2.0
"""`./run bench scale`: make hosts, measure in rounds, write JSON and tables."""

import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from fastpath.bench.common import machine
from fastpath.bench.common.command import check_programs, check_root, ended_by_signals, json_option, rounds_option, show
from fastpath.bench.common.quiet import wait_for_quiet
from fastpath.bench.common.results import about_run
from fastpath.bench.scale import bed, joining, restart, start, table
from fastpath.bench.scale.bed import STORES, Bed
from fastpath.bench.scale.content import VARIANTS
from fastpath.bench.scale.results import About, Measurement, Results
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.errors import FastpathError

JOIN, RESTART = ("wide", "many100"), ("few", "many100")
SCENARIOS = ("join", "restart", "start")


@click.command()
@click.option(
    "--scenario", "scenarios", multiple=True, type=click.Choice(SCENARIOS), help="What to measure; may be repeated."
)
@click.option("--store", "stores", multiple=True, type=click.Choice(STORES), help="Which store; may be repeated.")
@rounds_option(3)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="How long an idle daemon is measured.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0, 3600),
    default=0.0,
    help="Seconds to wait at most for a quiet machine, before each measurement.",
)
@json_option
@one_line_errors
def scale(  # noqa: PLR0917  # click gives them by name
    scenarios: tuple[str, ...],
    stores: tuple[str, ...],
    rounds: int,
    seconds: float,
    patience: float,
    json_file: Path | None,
) -> None:
    """Measure the control plane with 1,000 networks and 10,000 endpoints, and the interruption by a restart.

    \b
    Examples:
      ./run bench scale --json build/bench/scale.json
      ./run bench scale --scenario restart --store etcd --rounds 10
    """
    check_root("./run bench scale")
    check_programs("etcd", "iperf3", "nsenter", "ping")
    bed.remove_leftovers()
    about = _about(rounds, seconds)
    run = _Run(rounds, seconds, patience)
    with ended_by_signals():
        for scenario in scenarios or SCENARIOS:
            run.scenario(scenario, stores or STORES)
    shown = {name: found.what for name, found in VARIANTS.items()}
    found = Results(about=about, variants=shown, measurements=run.measurements)
    show(found, json_file, table.render)


class _Run:
    def __init__(self, rounds: int, seconds: float, patience: float) -> None:
        self.measurements: list[Measurement] = []
        self._rounds, self._seconds, self._patience = rounds, seconds, patience
        self._busy = 0.0

    def scenario(self, scenario: str, stores: Sequence[str]) -> None:
        """Measure all rounds of one scenario. For `join`, each round has hosts of its own."""
        if scenario == "start":
            for number in range(self._rounds):
                self._wait_for_quiet()
                self._keep("start", "", "", number, start.measure())
        elif scenario == "join":
            for number in range(self._rounds):
                for variant in JOIN:
                    for store in stores:
                        self._on_bed(variant, store, lambda found, n=number: self._join(found, n))  # type: ignore[misc]
        else:
            for variant in RESTART:
                for store in stores:
                    self._on_bed(variant, store, self._restart)

    def _wait_for_quiet(self) -> None:
        """Wait for a quiet machine, and note how busy it is for the figures."""
        self._busy = wait_for_quiet(self._patience)

    def _join(self, found: Bed, number: int) -> None:
        self._wait_for_quiet()
        self._keep("join", found.variant.name, found.store, number, joining.measure(found, self._seconds))

    def _restart(self, found: Bed) -> None:
        restart.prepare(found)
        for number in range(self._rounds):
            for scenario, load in (("restart", False), ("restart_load", True)):
                bed.settled(found, 2)
                self._wait_for_quiet()
                self._keep(scenario, found.variant.name, found.store, number, restart.killed(found, load=load))

    def _on_bed(self, variant: str, store: str, measure: Callable[[Bed], None]) -> None:
        with tempfile.TemporaryDirectory(prefix="fpscale-") as folder:
            try:
                with bed.bed(VARIANTS[variant], store, Path(folder)) as found:
                    measure(found)
            except (FastpathError, subprocess.SubprocessError) as error:
                click.echo(f"{variant}, {store}: {error}", err=True)

    def _keep(self, scenario: str, variant: str, store: str, number: int, figures: dict[str, float]) -> None:
        figures = {**figures, "busy_cores_before": self._busy}
        said = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        click.echo(f"{scenario} {variant} {store} round {number + 1}: {said}", err=True)
        self.measurements.append(
            Measurement.model_validate(
                {"scenario": scenario, "variant": variant, "store": store, "round": number, "figures": figures}
            )
        )


def _about(rounds: int, seconds: float) -> About:
    etcd = machine.version_of("etcd").rpartition(" ")[2]
    return About(**about_run(seconds, rounds), etcd=etcd, sqlite=sqlite3.sqlite_version)
