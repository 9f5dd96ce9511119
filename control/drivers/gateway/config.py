# SPDX-License-Identifier: Apache-2.0
"""The settings of the gateway bridge, and its name."""

import ipaddress
import socket
from dataclasses import dataclass

BRIDGE = "fp-gwbridge"
DEFAULT_ADDRESS = ipaddress.IPv4Interface("172.30.0.1/16")


@dataclass(frozen=True)
class GatewaySettings:
    """The settings of the bridge. `address` and `address6` are its own, each with the subnet (`address6` None: no
    IPv6), `masquerade6` says whether containers leave with the host's IPv6 address, `connections` is the limit for one
    container (None: a share of what the kernel tracks). `underlay` and `family` are of the VTEP, for hosts without a
    default route."""

    address: ipaddress.IPv4Interface = DEFAULT_ADDRESS
    address6: ipaddress.IPv6Interface | None = None
    masquerade6: bool = True
    connections: int | None = None
    underlay: str | None = None
    family: int = socket.AF_INET
