# SPDX-License-Identifier: Apache-2.0
"""Medians and ranges, the only statistics that the benchmarks use."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Spread:
    """The median of some values, and their range."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the spread of at least one value."""
        found = list(values)
        return cls(statistics.median(found), min(found), max(found))


def ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Return ours / theirs for each round that has both; a zero of theirs has no ratio."""
    return [value / theirs[number] for number, value in ours.items() if theirs.get(number)]


def in_words(values: Iterable[float], digits: int) -> str:
    """Return the median, and the range where it differs."""
    found = list(values)
    if not found:
        return "–"
    spread = Spread.of(found)
    middle, least, most = (f"{value:,.{digits}f}" for value in (spread.median, spread.minimum, spread.maximum))
    return middle if least == most else f"{middle} ({least}–{most})"
