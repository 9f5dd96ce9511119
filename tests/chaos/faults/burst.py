# SPDX-License-Identifier: Apache-2.0
"""Many endpoints that are made and removed at once."""

import contextlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from fastpath.control.model.objects import Endpoint
from fastpath.errors import FastpathError
from tests.chaos.bed import Bed
from tests.chaos.faults import fault

COUNT = 50


@fault("burst", 1, 4)
@contextlib.contextmanager
def burst(bed: Bed, choose: random.Random) -> Iterator[str]:
    """So many creations at once; then as many removals at once, of some while others are still made."""
    hosts = [choose.randrange(len(bed.daemons)) for _ in range(COUNT)]

    def make(number: int) -> Endpoint | None:
        with contextlib.suppress(FastpathError):  # another fault may keep it from being made
            return bed.join(hosts[number], bed.spares[hosts[number]], f"b{number}")
        return None

    with ThreadPoolExecutor(COUNT) as threads:
        made = [each for each in threads.map(make, range(COUNT)) if each is not None]
        yield f"{COUNT} endpoints are made at once, {len(made)} came to be, and are removed at once"
        for _ in threads.map(lambda endpoint: _remove(bed, endpoint), made):
            pass


def _remove(bed: Bed, endpoint: Endpoint) -> None:
    with contextlib.suppress(FastpathError):
        bed.leave(endpoint)
