# SPDX-License-Identifier: Apache-2.0
"""The configuration of a VXLAN device: one frozen, checked value."""

import ipaddress
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from fastpath.addresses import parse_ip
from fastpath.control.model.objects import LARGEST_V4, LARGEST_V6, OVERHEAD_V4, OVERHEAD_V6
from fastpath.control.runtime.engine_options import (
    DEFAULT_SOURCE_PORTS,
    SourcePorts,
    Spin,
    UdpPort,
    Workers,
    default_workers,
)
from fastpath.engine.limits import DEFAULT_SPIN_US
from fastpath.engine.offloads import DEFAULT_OFFLOADS, Offloads
from fastpath.engine.ports.tx_queue import DEFAULT_TXQUEUELEN, MAX_TXQUEUELEN

Address = Annotated[ipaddress.IPv4Address | ipaddress.IPv6Address, BeforeValidator(parse_ip)]


class VxlanConfig(BaseModel):
    """A VXLAN device. Names and limits are those of `ip link add … type vxlan`, see ip-link(8)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    id: Annotated[int, Field(ge=0, lt=1 << 24)]
    local: Address | None = None
    remote: tuple[Address, ...] = ()
    dstport: UdpPort = 4789
    srcport: tuple[UdpPort, UdpPort] = (49152, 65535)
    ttl: Annotated[int, Field(ge=0, le=255)] = 0
    learning: bool = True
    ageing: Annotated[int, Field(ge=0, lt=1 << 23)] = 300
    maxaddress: Annotated[int, Field(ge=0, lt=1 << 26)] = 0
    mtu: Annotated[int, Field(ge=68, le=LARGEST_V6)] | None = None
    txqueuelen: Annotated[int, Field(ge=1, le=MAX_TXQUEUELEN)] = DEFAULT_TXQUEUELEN
    netns: str | None = None
    workers: Workers = Field(default_factory=default_workers)
    spin: Spin = DEFAULT_SPIN_US
    pin: bool = False
    source_ports: SourcePorts = DEFAULT_SOURCE_PORTS
    offloads: Offloads = DEFAULT_OFFLOADS
    guard: bool = False

    @property
    def overhead(self) -> int:
        """Return the number of bytes that the tunnel adds to a packet."""
        return OVERHEAD_V6 if self.ipv6 else OVERHEAD_V4

    @property
    def largest_mtu(self) -> int:
        """Return the largest MTU that packets of the underlay can carry."""
        return LARGEST_V6 if self.ipv6 else LARGEST_V4

    @property
    def ipv6(self) -> bool:
        """Return whether the underlay is IPv6."""
        first = self.local or next(iter(self.remote), None)
        return first is not None and first.version == 6
