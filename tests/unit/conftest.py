# SPDX-License-Identifier: Apache-2.0
"""Settings and fixtures of the unit tests. None of them needs privilege."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.engine.lab import Lab

# No deadline and no complaint about slowness: the machine may be busy with other things.
settings.register_profile(
    "unit", deadline=None, database=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fewer", settings.get_profile("unit"), max_examples=20)  # --hypothesis-profile=fewer
settings.register_profile("many", settings.get_profile("unit"), max_examples=500)  # for `./run fuzz`
settings.load_profile("unit")


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A fresh engine on 127.0.0.1 that the test drives by `lab.poll()`."""
    with Lab() as fresh:
        yield fresh
