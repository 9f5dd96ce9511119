# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: the JSON file's schema, which docs/comparison.md explains."""

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
    docker: str
    etcd: str
    seconds: float
    rounds: int


class Measurement(_Frozen):
    """One round of one scenario with one driver."""

    scenario: str
    underlay: str
    driver: str
    round: int
    figures: dict[str, float]


class Results(_Frozen):
    """A whole run."""

    version: Literal[1] = 1  # of this schema
    about: About
    measurements: list[Measurement]

    def values(self, scenario: str, underlay: str, driver: str, figure: str) -> dict[int, float]:
        """One figure, by round."""
        return {
            each.round: each.figures[figure]
            for each in self.measurements
            if (each.scenario, each.underlay, each.driver) == (scenario, underlay, driver) and figure in each.figures
        }


def read(path: Path) -> Results:
    """The results in a file. Raises UsageError for what is none of ours."""
    try:
        return Results.model_validate_json(path.read_text())
    except (ValidationError, ValueError) as error:
        raise UsageError(f"{path} holds no results of this version: {str(error).splitlines()[0]}") from None


def write(results: Results, path: Path) -> None:
    """Keep the results as JSON."""
    path.write_text(results.model_dump_json(indent=1) + "\n")
