# SPDX-License-Identifier: Apache-2.0
"""The JSON file of a run."""

from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept


class Case(Frozen):
    """One forwarder in one form: nanoseconds per frame, one value per round."""

    name: str
    form: Literal["C", "Python", "numba", "Cython"]
    ns: list[float]


class Results(Kept):
    """A whole run; in each round all cases are measured in turn."""

    version: Literal[1] = 1  # of this schema
    about: AboutRun
    frames: int
    cases: list[Case]
