# SPDX-License-Identifier: Apache-2.0
from typing import Self

class Uplink:
    def __new__(cls, send: list[int], *, family: int, gso: bool, fragments: int = -1) -> Self: ...

def udp_port_of(fd: int) -> int: ...
