# SPDX-License-Identifier: Apache-2.0
from typing import IO, Self

from fastpath.addresses import IPAddress

class Recording:
    def __new__(cls, file: IO[bytes], local: IPAddress | None = None) -> Self: ...
    def flush(self) -> None: ...
