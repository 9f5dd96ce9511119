# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: the JSON file's schema, which docs/scale.md explains."""

import statistics
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from fastpath.errors import UsageError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class About(_Frozen):
    """Where, with what and how it was measured."""

    date: str
    cpu: str
    cores: int
    kernel: str
    python: str
    fastpath: str
    commit: str
    etcd: str
    sqlite: str
    seconds: float
    rounds: int


class Measurement(_Frozen):
    """One round of one scenario."""

    scenario: Literal["join", "restart", "restart_load", "start"]
    variant: str
    store: str
    round: int
    figures: dict[str, float]


class Results(_Frozen):
    """A whole run."""

    version: Literal[1] = 1  # of this schema
    about: About
    variants: dict[str, str]  # name -> what stands in the store
    measurements: list[Measurement]

    def values(self, scenario: str, variant: str, store: str, figure: str) -> list[float]:
        """One figure of all rounds."""
        return [
            each.figures[figure]
            for each in self.measurements
            if (each.scenario, each.variant, each.store) == (scenario, variant, store) and figure in each.figures
        ]


def spread(values: list[float], digits: int, scale: float = 1.0) -> str:
    """The median, and the range where that differs."""
    if not values:
        return "–"
    middle, least, most = (
        f"{value * scale:,.{digits}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return middle if least == most else f"{middle} ({least}–{most})"


def read(path: Path) -> Results:
    """The results in a file. Raises UsageError for what is none of ours."""
    try:
        return Results.model_validate_json(path.read_text())
    except (ValidationError, ValueError) as error:
        raise UsageError(f"{path} holds no results of this version: {str(error).splitlines()[0]}") from None


def write(results: Results, path: Path) -> None:
    """Keep the results as JSON."""
    path.write_text(results.model_dump_json(indent=1) + "\n")
