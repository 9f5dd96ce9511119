# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: the JSON file's schema."""

from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept


class Case(Frozen):
    """One forwarder in one form: nanoseconds for each frame, a value for each round."""

    name: str
    form: Literal["C", "Python", "numba", "Cython"]
    ns: list[float]


class Results(Kept):
    """A whole run; the cases took turns."""

    version: Literal[1] = 1  # of this schema
    about: AboutRun
    frames: int
    cases: list[Case]
