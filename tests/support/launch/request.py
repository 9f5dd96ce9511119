# SPDX-License-Identifier: Apache-2.0
"""What a test and the server that forks say to each other, over SOCK_SEQPACKET.

test → server    a Request as JSON; with it standard input, output and error, and the socket for the answers
server → test    PID, when it was started; ENDED, when it was waited for
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

PID = struct.Struct("=i")
ENDED = struct.Struct("=id")  # status as of wait(2), seconds of processors
LONGEST = 1 << 17


@dataclass(frozen=True)
class Request:
    """One start."""

    words: Sequence[str]  # after `fastpath`
    environment: Mapping[str, str]
    folder: str
    namespace: str | None = None  # None: the test's
    capabilities: Sequence[int] | None = None  # all that are left; None: the test's

    def pack(self) -> bytes:
        """For the server."""
        data = json.dumps(asdict(self)).encode()
        assert len(data) <= LONGEST, "the environment is too large for one message"
        return data

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """What was packed."""
        return cls(**json.loads(data))
