# SPDX-License-Identifier: Apache-2.0
"""What Docker asks a network driver and an IPAM driver, and what it is told: libnetwork's drivers/remote/api and
ipams/remote/api. Fields that Docker adds in other versions are ignored, and its null is as if nothing was said."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

GENERIC = "com.docker.network.generic"
INTERNAL = "com.docker.network.internal"
GATEWAY_REQUEST = ("RequestAddressType", "com.docker.network.gateway")


class Message(BaseModel):
    """The base of all."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: object) -> object:
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _words(value: object) -> object:
    return {k: str(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


Words = Annotated[dict[str, str], BeforeValidator(_words)]
DockerId = Annotated[str, Field(pattern=r"^[0-9a-z]{16,128}$")]


class Nothing(Message):
    """{}, both ways."""


# NetworkDriver.


class Activated(Message):
    """Plugin.Activate"""

    implements: tuple[str, ...] = Field(serialization_alias="Implements")


class NetworkCapabilities(Message):
    """NetworkDriver.GetCapabilities"""

    scope: str = Field(serialization_alias="Scope")
    connectivity_scope: str = Field(serialization_alias="ConnectivityScope")


class IpamData(Message):
    """A subnet of a network: where its addresses come from, and which are taken already."""

    address_space: str = Field(default="", alias="AddressSpace")
    pool: str = Field(alias="Pool")
    gateway: str = Field(default="", alias="Gateway")
    auxiliary: Words = Field(default_factory=dict, alias="AuxAddresses")


class CreateNetwork(Message):
    """NetworkDriver.CreateNetwork"""

    network: DockerId = Field(alias="NetworkID")
    options: dict[str, Any] = Field(default_factory=dict, alias="Options")
    ipv4: tuple[IpamData, ...] = Field(default=(), alias="IPv4Data")
    ipv6: tuple[IpamData, ...] = Field(default=(), alias="IPv6Data")

    @property
    def words(self) -> dict[str, str]:
        """What was given by -o."""
        generic = self.options.get(GENERIC)
        return {str(k): str(v) for k, v in generic.items()} if isinstance(generic, dict) else {}

    @property
    def internal(self) -> bool:
        """--internal"""
        return str(self.options.get(INTERNAL, False)).lower() == "true"


class OneNetwork(Message):
    """NetworkDriver.DeleteNetwork, FreeNetwork"""

    network: DockerId = Field(alias="NetworkID")


class Interface(Message):
    """Of an endpoint. In an answer: only what the question left open."""

    address: str = Field(default="", validation_alias="Address", serialization_alias="Address")
    address_v6: str = Field(default="", validation_alias="AddressIPv6", serialization_alias="AddressIPv6")
    mac: str = Field(default="", validation_alias="MacAddress", serialization_alias="MacAddress")


class CreateEndpoint(OneNetwork):
    """NetworkDriver.CreateEndpoint"""

    endpoint: DockerId = Field(alias="EndpointID")
    interface: Interface = Field(default=Interface(), alias="Interface")
    options: dict[str, Any] = Field(default_factory=dict, alias="Options")


class EndpointCreated(Message):
    """Its answer."""

    interface: Interface = Field(serialization_alias="Interface")


class OneEndpoint(OneNetwork):
    """NetworkDriver.DeleteEndpoint, EndpointOperInfo, Leave and others"""

    endpoint: DockerId = Field(alias="EndpointID")


class OperationalInfo(Message):
    """NetworkDriver.EndpointOperInfo: its answer."""

    value: dict[str, Any] = Field(default_factory=dict, serialization_alias="Value")


class Join(OneEndpoint):
    """NetworkDriver.Join"""

    sandbox: str = Field(alias="SandboxKey", min_length=1)


class InterfaceName(Message):
    """How an interface is named now, and how its name will begin."""

    source: str = Field(serialization_alias="SrcName")
    prefix: str = Field(default="eth", serialization_alias="DstPrefix")


class Joined(Message):
    """Its answer. Docker attaches its own gateway bridge, unless there is a gateway, the network is internal, or it is
    told not to."""

    name: InterfaceName = Field(serialization_alias="InterfaceName")
    gateway: str = Field(default="", serialization_alias="Gateway")
    gateway_v6: str = Field(default="", serialization_alias="GatewayIPv6")
    no_gateway: bool = Field(default=False, serialization_alias="DisableGatewayService")


# IpamDriver.


class IpamCapabilities(Message):
    """IpamDriver.GetCapabilities"""

    needs_mac: bool = Field(default=False, serialization_alias="RequiresMACAddress")
    needs_replay: bool = Field(default=False, serialization_alias="RequiresRequestReplay")


class AddressSpaces(Message):
    """IpamDriver.GetDefaultAddressSpaces"""

    local: str = Field(serialization_alias="LocalDefaultAddressSpace")
    everywhere: str = Field(serialization_alias="GlobalDefaultAddressSpace")


class RequestPool(Message):
    """IpamDriver.RequestPool"""

    address_space: str = Field(default="", alias="AddressSpace")
    pool: str = Field(default="", alias="Pool")
    sub_pool: str = Field(default="", alias="SubPool")
    options: Words = Field(default_factory=dict, alias="Options")
    v6: bool = Field(default=False, alias="V6")


class PoolGiven(Message):
    """Its answer."""

    id: str = Field(serialization_alias="PoolID")
    pool: str = Field(serialization_alias="Pool")
    data: Words = Field(default_factory=dict, serialization_alias="Data")


class ReleasePool(Message):
    """IpamDriver.ReleasePool"""

    id: str = Field(alias="PoolID")


class RequestAddress(Message):
    """IpamDriver.RequestAddress"""

    pool: str = Field(alias="PoolID")
    address: str = Field(default="", alias="Address")
    options: Words = Field(default_factory=dict, alias="Options")

    @property
    def for_gateway(self) -> bool:
        """Whether it is for the network itself, not for a container."""
        return self.options.get(GATEWAY_REQUEST[0]) == GATEWAY_REQUEST[1]


class AddressGiven(Message):
    """Its answer: the address with its prefix."""

    address: str = Field(serialization_alias="Address")
    data: Words = Field(default_factory=dict, serialization_alias="Data")


class ReleaseAddress(Message):
    """IpamDriver.ReleaseAddress"""

    pool: str = Field(alias="PoolID")
    address: str = Field(default="", alias="Address")
