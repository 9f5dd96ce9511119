# SPDX-License-Identifier: Apache-2.0
"""What a run leaves: the JSON file's schema."""

from typing import Literal

from fastpath.bench.common.results import AboutRun, Frozen, Kept


class About(AboutRun):
    """Where, with what and how it was measured; `megabytes` is the size of the capture."""

    megabytes: int


class Case(Frozen):
    """A value for each round: million records a second, and the process's memory at most, in MiB."""

    mega_per_s: list[float]
    rss_mib: list[float]


class Results(Kept):
    """A whole run."""

    version: Literal[1] = 1  # of this schema
    about: About
    cases: dict[str, Case]
