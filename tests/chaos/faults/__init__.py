# SPDX-License-Identifier: Apache-2.0
"""What the nemesis can do. Each fault is a context manager: it lasts as long as the block, and is healed behind it."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.chaos.bed import Bed

Happen = Callable[[Bed, random.Random], AbstractContextManager[str]]


@dataclass(frozen=True)
class Fault:
    """`happen` yields a sentence that says what it did. It lasts from `shortest` to `longest` seconds. Of two faults
    that touch the same part, one happens at a time."""

    name: str
    touches: str
    shortest: float
    longest: float
    happen: Happen


FAULTS: dict[str, Fault] = {}


def fault(touches: str, shortest: float, longest: float) -> Callable[[Happen], Happen]:
    """Register a fault under its function's name."""

    def register(happen: Happen) -> Happen:
        name = happen.__name__.replace("_", "-")
        FAULTS[name] = Fault(name, touches, shortest, longest, happen)
        return happen

    return register


from tests.chaos.faults import burst, daemons, hosts, paths, store  # noqa: E402, F401  # they register theirs
