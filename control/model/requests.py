# SPDX-License-Identifier: Apache-2.0
"""Requests and answers of the daemon's HTTP API (docs/operators/api.md).

    GET    /v1/status                          Status
    GET    /v1/networks                        [NetworkInfo]
    POST   /v1/networks       NetworkCreate    NetworkInfo
    GET    /v1/networks/NAME                   NetworkDetail
    PATCH  /v1/networks/NAME  NetworkSet       NetworkInfo
    DELETE /v1/networks/NAME                   {}
    GET    /v1/networks/NAME/forwarder         ForwarderInfo
    PUT    /v1/networks/NAME/forwarder ForwarderSet ForwarderInfo
    DELETE /v1/networks/NAME/forwarder         ForwarderInfo  (the default one again)
    POST   /v1/networks/NAME/capture           pcapng, while it lasts (capture/request.py, CaptureRequest)
    GET    /v1/endpoints      ?network=NAME    [Endpoint]
    POST   /v1/endpoints      EndpointCreate   Endpoint
    PATCH  /v1/endpoints/ID   EndpointSet      Endpoint       (or the beginning of an id, if only one has it)
    DELETE /v1/endpoints/ID                    {}             (likewise)
    POST   /v1/store/upgrade                   StoreLayout
    GET    /v1/peers                           [PeerInfo]
    GET    /v1/fdb            ?network=NAME    [OverlayFdbLine]
    GET    /v1/guard                           GuardInfo
    GET    /v1/stats                           stats.EngineStats.as_dict()
    GET    /healthz                            200 or 503, Status

An error is {"error": "one line"} with status 400 (invalid), 404 (unknown name), 409 (taken, or in use), 503 (the store
does not answer) or 500.
"""

from typing import Literal

from pydantic import Field

from fastpath.addresses import IPAddress
from fastpath.control.model.choices import Carried, Driver, Layout
from fastpath.control.model.hostnames import MAX_NAMES
from fastpath.control.model.objects import (
    MAX_ALLOWED,
    Endpoint,
    Hostname,
    IPNetwork,
    Mac,
    Model,
    Mtu,
    Name,
    Network,
    Peer,
    Vni,
)


class NetworkCreate(Model):
    """A network to create. Without subnets, one is cut from the default pool; without a VNI, a free one is chosen. A
    gateway belongs to the subnet that contains it; a subnet without a gateway uses its first address. Without
    `kernel_path`, the kernel path is used if all hosts have one."""

    name: Name
    driver: Driver = "overlay"
    subnets: tuple[IPNetwork, ...] = ()
    gateways: tuple[IPAddress, ...] = ()
    vni: Vni | None = None
    mtu: Mtu | None = None
    layout: Layout = "direct"
    internal: bool = False
    options: dict[str, str] = Field(default_factory=dict)
    port_security: bool = True
    kernel_path: Carried | None = None


class NetworkSet(Model):
    """Settings to change of a network that exists; None: leave as it is. With the mtu "auto" it is as large as the
    underlay, or the parent, allows."""

    mtu: Mtu | Literal["auto"] | None = None
    port_security: bool | None = None
    kernel_path: Carried | None = None


class NetworkInfo(Model):
    """A network: the `mtu` in effect on this host (None: that of the parent on each host), and the numbers of endpoints
    on all hosts and on this one."""

    network: Network
    mtu: int | None
    endpoints: int
    local_endpoints: int


class NetworkDetail(NetworkInfo):
    """A network with its endpoints."""

    members: tuple[Endpoint, ...]


class ForwarderElement(Model):
    """A forwarder as the user typed it, in the working directory `directory`: see forwarders.load."""

    spec: str
    parameters: dict[str, str] = Field(default_factory=dict)
    directory: str


class ForwarderSet(Model):
    """The forwarder to set: one, or a chain of them."""

    elements: tuple[ForwarderElement, ...] = Field(min_length=1)


class ForwarderInfo(Model):
    """The forwarder of a network, and its counters (stats.ForwarderStats)."""

    name: str
    deferred: bool
    counters: dict[str, int]
    failures: int
    last_error: str | None


class EndpointCreate(Model):
    """An endpoint to create on this host. `sandbox` is a name as in `ip netns`, or a path. Without `addresses`, one of
    each subnet is chosen. Without `hostnames`, it has the sandbox's name, if that is a valid host name."""

    network: Name
    sandbox: str
    name: str = "eth0"
    addresses: tuple[IPAddress, ...] = ()
    mac: Mac | None = None
    hostnames: tuple[Hostname, ...] = Field(default=(), max_length=MAX_NAMES)


class EndpointSet(Model):
    """Addresses to add to, and to remove from, those that an endpoint may use beside its own."""

    allow: tuple[IPAddress, ...] = Field(default=(), max_length=MAX_ALLOWED)
    disallow: tuple[IPAddress, ...] = Field(default=(), max_length=MAX_ALLOWED)


class StoreLayout(Model):
    """Where the store keeps endpoints. `per_host`: each host's under a prefix of its own, except those that have not
    moved there yet, `outside` by host."""

    per_host: bool
    outside: dict[str, int]


PeerState = Literal["up", "silent", "unregistered", "gone"]


class PeerInfo(Model):
    """Another host. up: it answers probes · silent: it is registered, but its data path does not answer ·
    unregistered: its lease ended, and it stays a peer until it has been silent, too, for the grace time · gone: it is
    no peer any more; its endpoints are kept for another `forgotten_in` seconds."""

    peer: Peer | None
    host: Name
    state: PeerState
    endpoints: int
    last_seen: float | None = Field(default=None, description="seconds since the last answer to a probe")
    round_trip: float | None = Field(default=None, description="of the last probe, in seconds")
    kernel_path: Literal["up", "silent", "off"] = Field(
        default="off", description="whether the kernel path carries packets to it; off: no network needs that"
    )
    path_mtu: int | None = Field(
        default=None, description="of the underlay, in bytes, if the path takes less than both hosts' interfaces"
    )
    forgotten_in: float | None = None


class OverlayFdbLine(Model):
    """One FDB entry. Without `dst`, the address is behind this host's own interface `ifname`. `endpoint` is the name of
    the endpoint that has it, or its id if it has none."""

    network: Name
    mac: str
    dst: str | None = None
    port: int | None = None
    ifname: str | None = None
    endpoint: str | None = None
    state: Literal["permanent", "local", ""] = ""
    updated: int | None = None


class GuardRule(Model):
    """A rule of the guard, and what it has caught since the table was made. `passes`: it lets packets pass."""

    name: str
    chain: str
    sentence: str
    passes: bool
    packets: int
    bytes: int


class GuardInfo(Model):
    """The guard of the VTEP (docs/operators/security.md). `problem` says why it is not in place, or
    what it lacks; `restored` is how often somebody else changed it since the daemon started."""

    state: Literal["in place", "not in place", "off"]
    problem: str | None = None
    table: str
    restored: int = 0
    rules: tuple[GuardRule, ...] = ()


class Status(Model):
    """The health of this host. `problems` are sentences."""

    healthy: bool
    problems: tuple[str, ...]
    host: Name
    version: str
    pid: int
    uptime: float
    vtep: str
    udp_port: int
    underlay_mtu: int
    workers: int
    guard: str = Field(description="in place, not in place, or off")
    store: str
    store_answers: bool
    revision: int
    networks: int
    endpoints: int
    local_endpoints: int
    peers: int
    peers_up: int
    smaller_paths: dict[Name, int] = Field(
        default_factory=dict, description="the path MTUs to peers, where they are less than those of both hosts"
    )
    rx_frames: int
    tx_frames: int
    dropped: int
    flooded: int
    unknown_unicast: int = Field(description="of those flooded: for one interface whose place was unknown")
    answered: int = Field(description="ARP and neighbour requests that the engine answered")
