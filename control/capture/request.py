# SPDX-License-Identifier: Apache-2.0
"""What a control socket is asked for. The answer is pcapng, for as long as the capture lasts."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fastpath.engine.captured import SNAPLEN
from fastpath.pcap.pcapng import Direction


class CaptureRequest(BaseModel):
    """What to capture, in the words of Engine.capture, and when to end: after `count` frames, after `duration`
    seconds, or when the caller goes away."""

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
