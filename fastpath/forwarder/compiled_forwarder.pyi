# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np

from fastpath.forwarder.forwarder import Forwarder

FIRST_REASON: Final[int]

class CompiledForwarder(Forwarder):
    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def install(
        self, address: int, arrays: list[np.ndarray[Any, Any]], reasons: Sequence[str], counters: Sequence[str]
    ) -> None: ...
