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
from tests.support.hosts.hosts import Namespace

COUNT = 50


@fault("burst", 1, 4)
@contextlib.contextmanager
def burst(bed: Bed, choose: random.Random) -> Iterator[str]:
    """So many creations at once, on all hosts; then as many removals."""
    places = [(host, sandbox) for host, sandboxes in enumerate(bed.spares) for sandbox in sandboxes]
    chosen = choose.sample(places, min(COUNT, len(places)))
    refused: list[str] = []

    def make(place: tuple[int, Namespace]) -> Endpoint | None:
        try:
            return bed.join(*place)
        except FastpathError as error:  # another fault may keep it from being made
            refused.append(str(error))
            return None

    with ThreadPoolExecutor(COUNT) as threads:
        made = [each for each in threads.map(make, chosen) if each is not None]
        why = f" (one of the others: {refused[0]})" if refused else ""
        yield f"{len(chosen)} endpoints are made at once, {len(made)} came to be{why}, and are removed at once"
        for _ in threads.map(lambda endpoint: _remove(bed, endpoint), made):
            pass


def _remove(bed: Bed, endpoint: Endpoint) -> None:
    with contextlib.suppress(FastpathError):
        bed.leave(endpoint)
