# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fastpath.forwarder.forwarder import Forwarder

FIRST_REASON: Final[int]

class CompiledForwarder(Forwarder):
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def install(
        self, address: int, arrays: list[np.ndarray[Any, Any]], reasons: Sequence[str], counters: Sequence[str]
    ) -> None: ...
