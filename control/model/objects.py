# SPDX-License-Identifier: Apache-2.0
"""Network, Endpoint, Sandbox and Peer: the Container Network Model as all hosts share it, and as the
store keeps it in JSON (docs/store.md)."""

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from fastpath.addresses import IPAddress, format_mac, is_group, parse_host, parse_ip, parse_mac
from fastpath.control.model.choices import Driver, Layout
from fastpath.control.model.hostnames import MAX_NAMES, hostname

MIN_VNI, MAX_VNI = 256, (1 << 24) - 1  # those of Docker's overlay; less than 256 is for fastpath itself
MIN_MTU_V6 = 1280  # RFC 8200; below it the kernel takes IPv6 away from an interface
OVERHEAD_V4, OVERHEAD_V6 = 50, 70  # outer IP, UDP and VXLAN headers and the inner Ethernet header, in bytes

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", text):
        raise ValueError("a name has 1 to 63 letters, digits, dots, dashes and underscores, a letter or digit first")
    return text


def _mac(text: str) -> str:
    mac = parse_mac(text)
    if mac == 0 or is_group(mac):
        raise ValueError(f"{text} is not the address of one interface")
    return format_mac(mac)


def _vtep(address: IPAddress) -> IPAddress:
    return parse_ip(address)


def _of_one_host(address: IPInterface) -> IPInterface:
    if parse_host(address.ip) != address.ip:
        raise ValueError(f"{address} is an IPv4 address written as one of IPv6")
    return address


def _each_once(addresses: tuple[IPInterface, ...]) -> tuple[IPInterface, ...]:
    if len({address.ip for address in addresses}) != len(addresses):
        raise ValueError("an address is named twice")
    return addresses


def _path(text: str) -> str:
    if not text.startswith("/") or "\0" in text:
        raise ValueError("a path begins with / and has no NUL")
    return text


def _ifname(text: str) -> str:
    """As fastpath.engine.port.check_name, which takes an engine to be loaded."""
    if not re.fullmatch(r"[^\s/:%]+", text) or not text.isprintable() or len(text.encode()) > 15:
        raise ValueError("an interface name has 1 to 15 characters, no space, slash, colon or percent")
    if text in (".", "..", "all", "default"):
        raise ValueError(f"no interface can be named {text}")
    return text


Name = Annotated[str, AfterValidator(_name)]
Hostname = Annotated[str, AfterValidator(hostname)]
Mac = Annotated[str, AfterValidator(_mac)]
Vtep = Annotated[IPAddress, AfterValidator(_vtep)]
Manager = Literal["docker"]
Vni = Annotated[int, Field(ge=MIN_VNI, le=MAX_VNI)]
Mtu = Annotated[int, Field(ge=68, le=65521)]


class Model(BaseModel):
    """The base: frozen, and strict about what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stored(Model):
    """What the store keeps, and daemons of several versions read: one may know more members than another."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Subnet(Stored):
    """A pool of addresses, and the one that is kept for the gateway."""

    pool: IPNetwork
    gateway: IPAddress

    @model_validator(mode="after")
    def _gateway_within(self) -> Self:
        if self.gateway not in self.pool:
            raise ValueError(f"the gateway {self.gateway} is not in the subnet {self.pool}")
        return self


class Network(Stored):
    """One container subnet (or one for each family) and one VNI. `mtu` is the containers', None: what the
    underlay leaves."""

    name: Name
    driver: Driver = "overlay"
    vni: Vni | None
    subnets: tuple[Subnet, ...]
    mtu: Mtu | None = None
    layout: Layout = "direct"
    internal: bool = False
    options: dict[str, str] = Field(default_factory=dict)
    manager: Manager | None = None
    """Who made it, and removes it with the last host that uses it; None: whoever likes."""
    kept: tuple[IPAddress, ...] = ()
    """Addresses that no endpoint gets unless it asks: of routers and the like (Docker's --aux-address)."""


class Sandbox(Stored):
    """A network namespace: its path, and its inode and cookie, since a path may come to name another one, and that
    may come to have the inode of the first. Cookie 0: not known."""

    path: Annotated[str, AfterValidator(_path)]
    inode: int
    cookie: int = 0


NOWHERE = Sandbox(path="/", inode=0)  # of an endpoint whose manager has not said yet where it will be


class Endpoint(Stored):
    """A sandbox's place in a network. `host` says whose it is; that host's daemon alone may change it.

    joining: claimed, its interface may be half made · ready · leaving: its interface may be half gone

    With a `manager` we only make the interface, and keep frames going: the manager moves, names and addresses it.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    network: Name
    host: Name
    mac: Mac
    addresses: Annotated[
        tuple[Annotated[IPInterface, AfterValidator(_of_one_host)], ...],
        Field(min_length=1, max_length=16),
        AfterValidator(_each_once),
    ]
    sandbox: Sandbox
    ifname: Annotated[str, AfterValidator(_ifname)] = "eth0"
    state: Literal["joining", "ready", "leaving"] = "joining"
    manager: Manager | None = None
    names: Annotated[tuple[Hostname, ...], Field(max_length=MAX_NAMES)] = ()
    """What other containers may call it, in lower case; the first one is the answer for its addresses."""


class Peer(Stored):
    """A host that runs a daemon. Its key goes with its lease. `id` tells two hosts of one name apart, `mtu`
    is the largest IP packet that leaves it, in bytes."""

    host: Name
    id: str
    vtep: Vtep
    udp_port: Annotated[int, Field(ge=1, le=65535)] = 4789
    mtu: Annotated[int, Field(ge=68)]
    version: str
