# SPDX-License-Identifier: Apache-2.0
"""The JSON file of a run."""

from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept


class About(AboutRun):
    """Where, with what and how a run was made; `megabytes` is the size of the capture."""

    megabytes: int


class Case(Frozen):
    """One value per round: million records a second, and the peak of the process's memory in MiB."""

    mega_per_s: list[float]
    rss_mib: list[float]


class Results(Kept):
    """A whole run."""

    version: Literal[1] = 1  # of this schema
    about: About
    cases: dict[str, Case]
