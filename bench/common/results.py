# SPDX-License-Identifier: Apache-2.0
"""What the results files of all benchmarks share: where and when a run was made, and reading and writing the file."""

import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fastpath.bench.common import machine
from fastpath.errors import UsageError
from fastpath.version import VERSION

KEPT = Path(__file__).resolve().parent.parent / "results"  # the runs whose figures are in the documents


class Frozen(BaseModel):
    """The base of all models: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AboutRun(Frozen):
    """Where, with what and how a run was made."""

    date: str
    cpu: str
    cores: int
    kernel: str
    python: str
    fastpath: str
    commit: str
    seconds: float
    rounds: int

    @property
    def machine(self) -> str:
        """The machine in words, for the head of a table."""
        return f"{self.cpu}, {self.cores} cores, Linux {self.kernel.split('-')[0]}"


def about_run(seconds: float, rounds: int) -> dict[str, Any]:
    """Return the fields of AboutRun for this machine and moment."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": machine.processor(),
        "cores": os.cpu_count() or 1,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "fastpath": VERSION,
        "commit": machine.commit(),
        "seconds": seconds,
        "rounds": rounds,
    }


class Kept(Frozen):
    """A whole run, and its JSON file."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a results file. Raise UsageError for any other file."""
        try:
            return cls.model_validate_json(path.read_text())
        except (ValidationError, ValueError) as error:
            raise UsageError(f"{path} holds no results of this version: {str(error).splitlines()[0]}") from None

    def write(self, path: Path) -> None:
        """Write the results file."""
        path.write_text(self.model_dump_json(indent=1) + "\n")


class Measured(Protocol):
    """A measurement of any benchmark: the figures of one round."""

    @property
    def round(self) -> int:
        """The round, from 0."""

    @property
    def figures(self) -> Mapping[str, float]:
        """The figures by name."""


def by_round(measurements: Iterable[Measured], figure: str, **place: object) -> dict[int, float]:
    """Return one figure by round, of the measurements whose attributes equal `place`."""
    return {
        each.round: each.figures[figure]
        for each in measurements
        if figure in each.figures and all(getattr(each, key) == value for key, value in place.items())
    }
