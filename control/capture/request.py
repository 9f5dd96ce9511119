# SPDX-License-Identifier: Apache-2.0
"""The request for a capture. The answer is pcapng, for as long as the capture lasts."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fastpath.engine.captures.captured import SNAPLEN
from fastpath.pcap.pcapng import Direction

INCOMPLETE = "Fastpath-Incomplete"  # a header of the answer


class CaptureRequest(BaseModel):
    """What to capture, as for Engine.capture, and when to end: after `count` frames, after `duration` seconds, or when
    the caller closes the connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ports: tuple[str, ...] = ()
    remotes: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    directions: tuple[Direction, ...] = ("in", "out")
    outer: bool = False
    filter: str | None = None
    snaplen: Annotated[int, Field(ge=0, le=SNAPLEN)] = 0
    count: Annotated[int, Field(ge=1)] | None = None
    duration: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
