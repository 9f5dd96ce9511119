# SPDX-License-Identifier: Apache-2.0
"""How the questions to the resolvers ended."""

from collections import Counter

RESULTS = ("answered", "nodata", "nxdomain", "forwarded", "failed", "busy", "refused", "malformed")


class Counts:
    """Count the questions of all networks by result; every result has a number from the start."""

    def __init__(self) -> None:
        self._counter: Counter[str] = Counter()

    def add(self, result: str) -> None:
        """Count one question."""
        assert result in RESULTS  # noqa: S101  # a mistake in the caller
        self._counter[result] += 1

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by result."""
        return {result: self._counter[result] for result in RESULTS}
