# SPDX-License-Identifier: Apache-2.0
"""What became of the questions that the resolvers were asked."""

from collections import Counter

RESULTS = ("answered", "nodata", "nxdomain", "forwarded", "failed", "busy", "refused", "malformed")


class Counts:
    """How many questions ended how, of all networks; every result has a number from the start."""

    def __init__(self) -> None:
        self._counter: Counter[str] = Counter()

    def add(self, result: str) -> None:
        """One more."""
        assert result in RESULTS  # noqa: S101  # a slip of ours
        self._counter[result] += 1

    def as_dict(self) -> dict[str, int]:
        """By result."""
        return {result: self._counter[result] for result in RESULTS}
