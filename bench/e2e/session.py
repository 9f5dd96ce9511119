# SPDX-License-Identifier: Apache-2.0
"""A run: in each round and on each underlay every contestant is set up on a site of its own; then all are measured.

Contestants that wait cost nothing, since their processes sleep; how much they use together is measured (`idle_cores`).
"""

import contextlib
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastpath.bench.common import machine
from fastpath.bench.common.command import missing
from fastpath.bench.common.other_load import OtherLoad, look
from fastpath.bench.common.progress import Tell
from fastpath.bench.common.results import about_run
from fastpath.bench.e2e import results
from fastpath.bench.e2e.congestion import own as own_congestion
from fastpath.bench.e2e.names import FORMS, SUBJECT, UNDERLAYS
from fastpath.bench.e2e.plan import LOOKING_S, Plan
from fastpath.bench.e2e.results import About, ContestantInfo, Measurement, Ratio, Results, Skipped
from fastpath.bench.e2e.scenarios import Scenario
from fastpath.bench.e2e.sites import overlays
from fastpath.bench.e2e.sites import site as sites
from fastpath.bench.e2e.sites.commits import resolve
from fastpath.bench.e2e.sites.site import PREFIX, Site
from fastpath.bench.e2e.traffic.window import PINNING
from fastpath.errors import FastpathError, RefusedError

PROGRAMS = {  # and the option that prints the version of each
    "iperf3": "--version",
    "ovs-vswitchd": "--version",
    "openvpn": "--version",
    "fastd": "--version",
    "ip": "-V",
}


@dataclass
class Session:
    """A run of a plan."""

    plan: Plan
    progress: Tell
    measurements: list[Measurement] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    offloads: dict[str, dict[str, str]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    pressure: dict[str, float] = field(default_factory=dict)
    namespaces: list[str] = field(default_factory=list)  # in which contestants are set up
    done: int = 0

    def run(self) -> Results:
        """Measure everything. Raise FastpathError where the subject itself cannot be set up."""
        parent = Path(tempfile.gettempdir())
        sites.remove_leftovers(parent)
        scratch = parent / f"{PREFIX}{os.getpid()}"
        try:
            for number in range(self.plan.rounds):
                for form in FORMS:
                    self._round(number, form, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return self._results()

    @property
    def total(self) -> int:
        """The number of measurements, as far as is known."""
        return max(self.done, self.plan.measurements)

    def _skip(self, what: str, reason: str) -> None:
        if (new := Skipped(what=what, reason=reason)) not in self.skipped:
            self.skipped.append(new)

    def _possible(self, form: str) -> list[Scenario]:
        """Return the scenarios that can be measured in this form."""
        for scenario in self.plan.scenarios:
            if (reason := missing(scenario.programs)) is not None:
                self._skip(scenario.name, reason)
        found = self.plan.possible(form)
        if found and not self.plan.takes_part(self.plan.subjects, form):
            self._skip(f"form {form}", f"{' and '.join(map(str, self.plan.subjects))} cannot be set up in it")
            return []
        return found

    @contextlib.contextmanager
    def _all_set_up(self, form: str, scratch: Path) -> Iterator[dict[str, Site]]:
        """Set up all contestants that can be set up. Yield the site of each by name."""
        with contextlib.ExitStack() as stack:
            found: dict[str, Site] = {}
            for number, contestant in enumerate(self.plan.contestants):
                self.progress(f"setting up {contestant}, {form}", self.done, self.total)
                if (reason := overlays.OVERLAYS[contestant.name].missing(form)) is not None:
                    self._skip(f"{contestant}, {form}", reason)
                    continue
                try:
                    with contextlib.ExitStack() as one:
                        site = one.enter_context(sites.site(f"{form}-{number}", form, scratch))
                        overlays.lay(overlays.OVERLAYS[contestant.name], site, contestant)
                        stack.push(one.pop_all())
                except FastpathError as error:
                    if form in UNDERLAYS and (contestant.name == SUBJECT or contestant in self.plan.subjects):
                        raise  # a mistake in settings is no reason to measure for an hour without
                    self._skip(f"{contestant}, {form}", str(error))
                    continue
                found[str(contestant)] = site
                self.offloads[form] = site.offloads
            self.namespaces = [name for site in found.values() for name in site.namespaces]
            seen = look(LOOKING_S)
            self.idle[form] = max(self.idle.get(form, 0), seen.cores)
            self.pressure[form] = max(self.pressure.get(form, 0), seen.pressure)
            yield found

    def _round(self, number: int, form: str, scratch: Path) -> None:
        """Set everything up again in every round, so that no contestant keeps the luck of one instance."""
        scenarios = self._possible(form)
        if not scenarios:
            return
        if (reason := sites.unusable(form)) is not None:
            self._skip(f"underlay {form}", reason)
            return
        with self._all_set_up(form, scratch) as found:
            place = 0
            for scenario in scenarios:
                ready = [name for name, site in found.items() if self._prepared(scenario, name, site)]
                for congestion in scenario.under(self.plan.congestion):
                    for name in results.order(ready, number + place):
                        self.measure(number, scenario, name, found[name], congestion)
                    place += 1

    def measure(self, number: int, scenario: Scenario, name: str, site: Site, congestion: str | None = None) -> None:
        """Measure one contestant in one scenario; a failure is noted as skipped, with the reason."""
        what = " ".join(filter(None, (scenario.name, congestion, site.underlay, name)))
        self.progress(f"round {number + 1}: {what}", self.done, self.total)
        self.done += 1
        others = OtherLoad(self.namespaces)
        try:
            figures = scenario.figures(site, self.plan.seconds, congestion)
        except (RefusedError, subprocess.TimeoutExpired) as error:
            self._skip(f"{what} round {number + 1}", str(error))
            return
        self.measurements.append(
            Measurement(
                scenario=scenario.name,
                underlay=site.underlay,
                contestant=name,
                congestion=congestion,
                round=number,
                others_cores=others.cores(),
                figures={key: value for key, value in figures.items() if math.isfinite(value)},  # JSON has no infinity
            )
        )

    def _prepared(self, scenario: Scenario, name: str, site: Site) -> bool:
        if scenario.prepare is None:
            return True
        self.progress(f"{scenario.name}: preparing {name}", self.done, self.total)
        try:
            scenario.prepare(site)
        except FastpathError as error:
            self._skip(f"{scenario.name}, {name}", str(error))
            return False
        return True

    def _ratios(self) -> list[Ratio]:
        found = [
            results.ratio(
                self.measurements,
                compared,
                scenario=scenario.name,
                underlay=underlay,
                congestion=congestion,
                subject=str(subject),
                baseline=str(baseline),
            )
            for scenario in self.plan.scenarios
            for underlay in scenario.forms(self.plan.underlays)
            for congestion in scenario.under(self.plan.congestion)
            for subject in self.plan.subjects
            for baseline in self.plan.baselines
            for compared in scenario.compared
            if compared.ratio
        ]
        return [ratio for ratio in found if ratio is not None]

    def _results(self) -> Results:
        plan = self.plan
        return Results(
            about=About(
                **about_run(plan.seconds, plan.rounds),
                pinning=PINNING,
                congestion=own_congestion(),
                counted=machine.COUNTED,
                command=plan.command,
                order="A B and B A in turn; all are set up again in each round; ratios are formed within a round",
                offloads=self.offloads,
                programs={
                    name: version for name, option in PROGRAMS.items() if (version := machine.version_of(name, option))
                },
                idle_cores=self.idle,
                idle_pressure=self.pressure,
                busy=results.busy_in_words(self.measurements, self.pressure),
            ),
            contestants=[
                ContestantInfo(
                    name=str(contestant),
                    what=overlays.OVERLAYS[contestant.name].what,
                    commit=resolve(contestant.commit)[:12] if contestant.commit is not None else None,
                )
                for contestant in plan.contestants
            ],
            scenarios=[results.describe(scenario, plan.underlays) for scenario in plan.scenarios],
            measurements=self.measurements,
            ratios=self._ratios(),
            skipped=self.skipped,
        )
