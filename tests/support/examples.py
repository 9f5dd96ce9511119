# SPDX-License-Identifier: Apache-2.0
"""How many examples hypothesis tries."""

from hypothesis import settings


def times(factor: float) -> int:
    """Return so many times the examples of the profile that is loaded, for tests that want more or less than others."""
    return max(1, round(factor * settings().max_examples))
