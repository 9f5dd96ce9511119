# SPDX-License-Identifier: Apache-2.0
"""What is to be measured, how many measurements that are, and how long they take."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from fastpath.bench.common.command import missing
from fastpath.bench.e2e.names import FORMS, Contestant
from fastpath.bench.e2e.scenarios import Scenario
from fastpath.bench.e2e.sites.overlays import OVERLAYS
from fastpath.errors import UsageError

LOOKING_S = 0.5  # at the load of the idle machine, in each round and form


@dataclass(frozen=True)
class Plan:
    """What to measure. Each of the subjects is compared with each of the baselines."""

    scenarios: tuple[Scenario, ...]
    underlays: tuple[str, ...]
    subjects: tuple[Contestant, ...]
    baselines: tuple[Contestant, ...]
    rounds: int
    seconds: float
    congestion: tuple[str, ...] = ()  # of scenarios with TCP

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        """All of them, the subjects first."""
        return (*self.subjects, *self.baselines)

    def check(self) -> None:
        """Raise UsageError where somebody would be compared with himself."""
        for subject in self.subjects:
            if subject in self.baselines:
                raise UsageError(f"{subject} would be compared with itself: give --subject or --against other settings")

    def possible(self, form: str) -> list[Scenario]:
        """Return the scenarios that are measured in this form of site, and whose programs are there."""
        asked = (scenario for scenario in self.scenarios if form in scenario.forms(self.underlays))
        return [scenario for scenario in asked if missing(scenario.programs) is None]

    @staticmethod
    def takes_part(contestants: Iterable[Contestant], form: str) -> list[Contestant]:
        """Return those of the contestants that can be set up here in this form of site."""
        return [contestant for contestant in contestants if OVERLAYS[contestant.name].missing(form) is None]

    def _parts(self) -> Iterable[tuple[list[Scenario], list[Contestant]]]:
        """Yield scenarios and contestants of each form that is measured."""
        for form in FORMS:
            if (scenarios := self.possible(form)) and self.takes_part(self.subjects, form):
                yield scenarios, self.takes_part(self.contestants, form)

    @property
    def measurements(self) -> int:
        """The number of measurements."""
        places = (
            len(contestants) * sum(len(scenario.under(self.congestion)) for scenario in scenarios)
            for scenarios, contestants in self._parts()
        )
        return self.rounds * sum(places)

    @property
    def estimate_s(self) -> float:
        """About how many seconds all of it takes."""
        took = 0.0
        for scenarios, contestants in self._parts():
            took += LOOKING_S + sum(OVERLAYS[contestant.name].setup_s for contestant in contestants)
            each = (
                scenario.preparing_s + len(scenario.under(self.congestion)) * scenario.takes(self.seconds)
                for scenario in scenarios
            )
            took += len(contestants) * sum(each)
        return self.rounds * took

    @property
    def in_words(self) -> str:
        """How much it is."""
        minutes = max(1, round(self.estimate_s / 60))
        return f"{self.measurements} measurements in {self.rounds} rounds, about {minutes} min"

    @property
    def command(self) -> str:
        """The command that measures the same, with nothing left to defaults."""
        words = ["fastpath", "bench"]
        for scenario in self.scenarios:
            words += ["--scenario", scenario.word]
        words += ["--underlay", self.underlays[0] if len(self.underlays) == 1 else "both"]
        for option, contestants in (("--subject", self.subjects), ("--against", self.baselines)):
            for contestant in contestants:
                words += [option, str(contestant)]
        for name in self.congestion:
            words += ["--congestion", name]
        return shlex.join([*words, "--rounds", str(self.rounds), "--seconds", f"{self.seconds:g}"])
