# SPDX-License-Identifier: Apache-2.0
from typing import Final, NoReturn

import numpy as np
import numpy.typing as npt

_Times = tuple[int, int, int]

MAX_FLOWS: Final = 1024
MIN_SIZE: Final[int]
MAX_SIZE: Final[int]

def send(sockets: list[int], size: int, rate: float, times: _Times) -> dict[str, int]: ...
def frames(
    socket: int, frame: bytes, mac_at: int, entries: int, limit: int, rate: float, times: _Times
) -> dict[str, int]: ...
def receive(socket: int, size: int, times: _Times, numbered: bool = ...) -> dict[str, int]: ...
def request(socket: int, size: int, times: _Times) -> tuple[dict[str, int], npt.NDArray[np.uint32]]: ...
def respond(socket: int, times: _Times) -> dict[str, int]: ...
def shuttle(tap: int, udp: int, segment: int) -> NoReturn: ...
