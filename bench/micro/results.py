# SPDX-License-Identifier: Apache-2.0
"""The JSON file of a run, and the figures of the present one."""

from fastpath.bench.common.results import Frozen, Kept


class About(Frozen):
    """Where a run was made."""

    cpu: str
    kernel: str
    python: str


class Figures(Frozen):
    """Nanoseconds of one `unit`: of the fastest round, and the median; GB/s where bytes are processed."""

    ns: float
    ns_median: float
    unit: str
    gb_per_s: float | None = None


class Results(Kept):
    """A whole run."""

    about: About
    results: dict[str, Figures]


FOUND: dict[str, Figures] = {}  # by name, what this process has measured
