# SPDX-License-Identifier: Apache-2.0
"""A run: for each underlay all contestants are set up, each on a site of its own, and measured in turn.

Sites of contestants that wait cost nothing: their processes sleep. That is measured, too (`idle_cores`).
"""

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fastpath.bench.e2e import machine, overlays, results, traffic
from fastpath.bench.e2e import site as sites
from fastpath.bench.e2e.names import Contestant
from fastpath.bench.e2e.results import About, ContestantInfo, Measurement, Ratio, Results, Skipped
from fastpath.bench.e2e.scenarios import Scenario
from fastpath.bench.e2e.site import PREFIX, Site
from fastpath.errors import FastpathError, RefusedError
from fastpath.version import VERSION

IDLE_S = 0.5


@dataclass(frozen=True)
class Plan:
    """What is to be measured. The subject is the first contestant."""

    scenarios: tuple[Scenario, ...]
    underlays: tuple[str, ...]
    subject: Contestant
    baselines: tuple[Contestant, ...]
    rounds: int
    seconds: float


@dataclass
class Session:
    """A run of a plan; `progress` is told what comes next and how many measurements are done of how many."""

    plan: Plan
    progress: Callable[[str, int, int], None]
    measurements: list[Measurement] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    offloads: dict[str, dict[str, str]] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    done: int = 0

    def run(self) -> Results:
        """Measure everything. Raises FastpathError where the subject itself can't be measured."""
        if os.geteuid() != 0:
            raise RefusedError("the benchmark makes network namespaces, which needs root: sudo fastpath bench")
        parent = Path(tempfile.gettempdir())
        sites.remove_leftovers(parent)
        scratch = parent / f"{PREFIX}{os.getpid()}"
        try:
            contestants = self._present()
            scenarios = self._possible()
            total = len(scenarios) * len(contestants) * self.plan.rounds * len(self.plan.underlays)
            for underlay in self.plan.underlays:
                if (reason := sites.unusable(underlay)) is not None:
                    self._skip(f"underlay {underlay}", reason)
                    continue
                with self._all_set_up(contestants, underlay, scratch) as found:
                    for scenario in scenarios:
                        self._rounds(scenario, underlay, found, total)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return self._results(contestants)

    def _skip(self, what: str, reason: str) -> None:
        self.skipped.append(Skipped(what=what, reason=reason))

    def _present(self) -> list[Contestant]:
        """The subject, and those baselines that can run here."""
        found = [self.plan.subject]
        for baseline in self.plan.baselines:
            if (reason := overlays.OVERLAYS[baseline.name].missing()) is None:
                found.append(baseline)
            else:
                self._skip(str(baseline), reason)
        return found

    def _possible(self) -> list[Scenario]:
        found = []
        for scenario in self.plan.scenarios:
            absent = [program for program in scenario.programs if shutil.which(program) is None]
            if absent:
                self._skip(scenario.name, f"{', '.join(absent)} not installed")
            else:
                found.append(scenario)
        return found

    @contextlib.contextmanager
    def _all_set_up(self, contestants: list[Contestant], underlay: str, scratch: Path) -> Iterator[dict[str, Site]]:
        with contextlib.ExitStack() as stack:
            found: dict[str, Site] = {}
            for number, contestant in enumerate(contestants):
                self.progress(f"setting up {contestant} on {underlay}", self.done, 0)
                try:
                    with contextlib.ExitStack() as one:
                        site = one.enter_context(sites.site(f"{underlay}-{number}", underlay, scratch))
                        overlays.lay(overlays.OVERLAYS[contestant.name], site, contestant)
                        stack.push(one.pop_all())
                except FastpathError as error:
                    if contestant == self.plan.subject:
                        raise
                    self._skip(f"{contestant} on {underlay}", str(error))
                    continue
                found[str(contestant)] = site
                self.offloads[underlay] = site.offloads
            before = machine.cpu_time()
            time.sleep(IDLE_S)
            self.idle[underlay] = (machine.cpu_time() - before).busy / IDLE_S
            yield found

    def _rounds(self, scenario: Scenario, underlay: str, found: dict[str, Site], total: int) -> None:
        for number in range(self.plan.rounds):
            for name in results.order(list(found), number):
                self.progress(f"{scenario.name} {underlay} {name}", self.done, total)
                self.done += 1
                try:
                    figures = scenario.measure(found[name], self.plan.seconds)
                except (RefusedError, subprocess.TimeoutExpired) as error:
                    self._skip(f"{scenario.name} {underlay} {name} round {number + 1}", str(error))
                    continue
                self.measurements.append(
                    Measurement(
                        scenario=scenario.name, underlay=underlay, contestant=name, round=number, figures=figures
                    )
                )

    def _ratios(self, contestants: list[Contestant]) -> list[Ratio]:
        found = [
            results.ratio(
                self.measurements,
                compared,
                scenario=scenario.name,
                underlay=underlay,
                subject=str(self.plan.subject),
                baseline=str(baseline),
            )
            for scenario in self.plan.scenarios
            for underlay in self.plan.underlays
            for baseline in contestants[1:]
            for compared in scenario.compared
        ]
        return [ratio for ratio in found if ratio is not None]

    def _results(self, contestants: list[Contestant]) -> Results:
        plan = self.plan
        return Results(
            about=About(
                date=datetime.now(UTC).isoformat(timespec="seconds"),
                cpu=machine.processor(),
                cores=os.cpu_count() or 1,
                kernel=platform.release(),
                python=platform.python_version(),
                fastpath=VERSION,
                commit=machine.commit(),
                seconds=plan.seconds,
                rounds=plan.rounds,
                pinning=traffic.PINNING,
                counted=machine.COUNTED,
                order="A B in even rounds, B A in odd ones; ratios are formed within a round",
                offloads=self.offloads,
                programs=machine.programs(),
                idle_cores=self.idle,
            ),
            contestants=[
                ContestantInfo(
                    name=str(contestant),
                    what=overlays.OVERLAYS[contestant.name].what,
                    commit=contestant.commit,
                )
                for contestant in contestants
            ],
            measurements=self.measurements,
            ratios=self._ratios(contestants),
            skipped=self.skipped,
        )
