# SPDX-License-Identifier: Apache-2.0
"""Network, Endpoint, Sandbox and Peer: the Container Network Model that all hosts share and that the store keeps as
JSON (docs/operators/store.md)."""

import hashlib
import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from fastpath.addresses import IPAddress, format_mac, is_group, parse_host, parse_ip, parse_mac
from fastpath.control.model.choices import Carried, Driver, Layout
from fastpath.control.model.hostnames import MAX_NAMES, hostname

MIN_VNI, MAX_VNI = 256, (1 << 24) - 1  # as in Docker's overlay; below 256 they are fastpath's own
MAX_ALLOWED = 64  # further addresses of one endpoint; with its claims they are one commit (store/checks.py)
MIN_MTU_V6 = 1280  # RFC 8200; with less, the kernel switches IPv6 off on an interface
MAX_PATH, MAX_LINE = 4095, 255  # characters
MAX_SUBNETS, MAX_OPTIONS = 16, 32  # of a network
OVERHEAD_V4, OVERHEAD_V6 = 50, 70  # outer IP, UDP and VXLAN headers and the inner Ethernet header, in bytes
# The largest MTUs of containers: the largest IPv4 packet has 65,535 bytes; the length of an IPv6 packet is without its
# header.
LARGEST_V4, LARGEST_V6 = 65535 - OVERHEAD_V4, 65535 - OVERHEAD_V6 + 40

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


def _host(address: IPAddress) -> IPAddress:
    if parse_host(address) != address:
        raise ValueError(f"{address} is an IPv4 address written as one of IPv6")
    return address


def _of_one_host(address: IPInterface) -> IPInterface:
    _host(address.ip)
    return address


def _each_once(addresses: tuple[IPInterface, ...]) -> tuple[IPInterface, ...]:
    if len({address.ip for address in addresses}) != len(addresses):
        raise ValueError("an address is named twice")
    return addresses


def _path(text: str) -> str:
    if not text.startswith("/") or "\0" in text or len(text) > MAX_PATH:
        raise ValueError(f"a path begins with /, has no NUL, and {MAX_PATH} characters at most")
    return text


def _line(text: str) -> str:
    if len(text) > MAX_LINE:
        raise ValueError(f"it has {MAX_LINE} characters at most")
    return text


def _ifname(text: str) -> str:
    """Check an interface's name as fastpath.engine.limits.check_name does, without loading the engine."""
    if not re.fullmatch(r"[^\s/:%]+", text) or not text.isprintable() or len(text.encode()) > 15:
        raise ValueError("an interface name has 1 to 15 characters, no space, slash, colon or percent")
    if text in (".", "..", "all", "default"):
        raise ValueError(f"no interface can be named {text}")
    return text


Name = Annotated[str, AfterValidator(_name)]
Hostname = Annotated[str, AfterValidator(hostname)]
Mac = Annotated[str, AfterValidator(_mac)]
Vtep = Annotated[IPAddress, AfterValidator(_vtep)]
Host = Annotated[IPAddress, AfterValidator(_host)]
Manager = Literal["docker"]
Vni = Annotated[int, Field(ge=MIN_VNI, le=MAX_VNI)]
Addresses = Annotated[tuple[Annotated[IPInterface, AfterValidator(_of_one_host)], ...], AfterValidator(_each_once)]
Line = Annotated[str, AfterValidator(_line)]
Mtu = Annotated[int, Field(ge=68, le=65521)]


class Model(BaseModel):
    """The base class: frozen; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stored(Model):
    """The base class of stored objects. Unknown fields are ignored, since daemons of several versions read them."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Subnet(Stored):
    """A pool of addresses, and the gateway's address in it."""

    pool: IPNetwork
    gateway: Host

    @model_validator(mode="after")
    def _gateway_within(self) -> Self:
        if self.gateway not in self.pool:
            raise ValueError(f"the gateway {self.gateway} is not in the subnet {self.pool}")
        return self


class Network(Stored):
    """One container subnet (or one for each family) and one VNI. `mtu` is the containers' MTU; None: as large as the
    underlay allows."""

    name: Name
    driver: Driver = "overlay"
    vni: Vni | None
    subnets: Annotated[tuple[Subnet, ...], Field(max_length=MAX_SUBNETS)]
    mtu: Mtu | None = None
    layout: Layout = "direct"
    internal: bool = False
    options: Annotated[dict[Line, Line], Field(max_length=MAX_OPTIONS)] = Field(default_factory=dict)
    manager: Manager | None = None
    """The program that created the network, and removes it with the last host that uses it; None: any user."""
    kept: tuple[Host, ...] = ()
    """Addresses that an endpoint gets on request only: those of routers and the like (Docker's --aux-address)."""
    port_security: bool = True
    """Whether an endpoint sends only from its own MAC address and addresses, and those in `allowed`."""
    kernel_path: Carried = "off"
    """What hosts send past their engines, by the kernel's own vxlan, where both sides can: nothing, or TCP."""

    @property
    def gateway_mac(self) -> str:
        """Return the gateway's MAC address, the same on every host, so that a container may move: 02:42 and the
        gateway's IPv4 address, as for containers; without IPv4 it is derived from the network's name."""
        packed = next((s.gateway.packed for s in self.subnets if s.gateway.version == 4), None)
        if packed is None:
            packed = hashlib.sha256(self.name.encode()).digest()[:4]
        return (b"\x02\x42" + packed).hex(":")

    def fixed(self) -> "Network":
        """Return the network without what may change while it has endpoints: a host need not create it again."""
        return self.model_copy(update={"mtu": None, "port_security": True, "kernel_path": "off"})


class Sandbox(Stored):
    """A network namespace: its path, and its inode and cookie, since the path may later name another namespace, which
    may even have the same inode. Cookie 0: unknown."""

    path: Annotated[str, AfterValidator(_path)]
    inode: int
    cookie: int = 0


NOWHERE = Sandbox(path="/", inode=0)  # of an endpoint whose manager has not yet said where it will be


class Endpoint(Stored):
    """A sandbox's place in a network. Only the daemon of `host` may change it.

    joining: claimed, its interface may be incomplete · ready · leaving: its interface may be partly removed

    With a `manager` we only create the interface and carry its frames; the manager moves, names and addresses it.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    network: Name
    host: Name
    mac: Mac
    addresses: Annotated[Addresses, Field(min_length=1, max_length=16)]
    host_id: Line = ""
    """The id of that host (Peer.id): another machine may get its name. Empty: written by version 0.1."""
    sandbox: Sandbox
    ifname: Annotated[str, AfterValidator(_ifname)] = "eth0"
    state: Literal["joining", "ready", "leaving"] = "joining"
    manager: Manager | None = None
    names: Annotated[tuple[Hostname, ...], Field(max_length=MAX_NAMES)] = ()
    """Names by which other containers find it, in lower case; the first one answers reverse lookups."""
    allowed: Annotated[Addresses, Field(max_length=MAX_ALLOWED)] = ()
    """Further addresses from which it may send: those that move (VRRP, a floating address). Nobody else gets them."""
    kernel_path: bool = False
    """Whether its host takes frames to it by the kernel path."""

    def place(self) -> tuple[object, ...]:
        """Return what its interface depends on."""
        return self.sandbox, self.ifname, self.mac, self.addresses

    @property
    def label(self) -> str:
        """Return what people call it: its first name, or its id."""
        return self.names[0] if self.names else self.id


class Peer(Stored):
    """A host that runs a daemon. Its key is deleted when its lease ends. `id` distinguishes two hosts of one name;
    `mtu` is the largest IP packet that leaves the host, in bytes."""

    host: Name
    id: Line
    vtep: Vtep
    udp_port: Annotated[int, Field(ge=1, le=65535)] = 4789
    mtu: Annotated[int, Field(ge=68)]
    version: Line
    kernel_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """The UDP port of its kernel path; 0: it has none."""
    incarnation: Line = ""
    """The boot and the network namespace in which its daemon runs: a copy of the machine has the same id, and another
    one of these. Empty: not known."""
