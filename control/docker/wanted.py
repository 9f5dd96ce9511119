# SPDX-License-Identifier: Apache-2.0
"""What `docker network create` asked for: a network as one host's Docker wants it, and whether one that exists is it.
What is said to which driver: wanted_overlay.py, wanted_macvlan.py."""

import difflib
from collections.abc import Mapping, Sequence
from ipaddress import ip_interface, ip_network

from pydantic import Field, ValidationError

from fastpath.addresses import IPAddress, parse_host
from fastpath.control.docker.protocol import CreateNetwork, IpamData
from fastpath.control.model.choices import Carried, Driver, Layout
from fastpath.control.model.kinds import kind_of
from fastpath.control.model.objects import (
    Model,
    Mtu,
    Name,
    Network,
    Subnet,
    Vni,
)
from fastpath.control.model.requests import NetworkCreate
from fastpath.errors import ConflictError, UsageError

ADDRESS_SPACE = "fastpath"
NAME, MTU = "fastpath.network", "com.docker.network.driver.mtu"


class Wanted(Model):
    """A network as one host's Docker wants it. What is None or left out may be anything."""

    name: Name | None = None
    driver: Driver = "overlay"
    subnets: tuple[Subnet, ...]
    vni: Vni | None = None
    mtu: Mtu | None = None
    layout: Layout | None = None
    kernel_path: Carried | None = None
    internal: bool | None = False
    options: dict[str, str] = Field(default_factory=dict)
    kept: tuple[IPAddress, ...] = ()
    own_ipam: bool = True
    """Whether Docker asks us for addresses; else it tells us which it gave."""

    @property
    def new_name(self) -> str:
        """Return its name in the cluster if the user gives none."""
        pool = self.subnets[0].pool
        return self.name or f"docker-{pool.network_address}-{pool.prefixlen}".replace(":", "-")

    def request(self) -> NetworkCreate:
        """Return the request that creates it. Raise UsageError."""
        request = NetworkCreate(
            name=self.new_name,
            driver=self.driver,
            subnets=tuple(subnet.pool for subnet in self.subnets),
            gateways=tuple(subnet.gateway for subnet in self.subnets),
            vni=self.vni,
            mtu=self.mtu,
            layout=self.layout or "direct",
            kernel_path=self.kernel_path,
            internal=bool(self.internal),
            options=self.options,
        )
        return kind_of(self.driver).checked(request)

    def is_meant(self, network: Network) -> bool:
        """Return whether this is the network to join."""
        if self.name is not None:
            return network.name == self.name
        pools = {subnet.pool for subnet in network.subnets}
        return any(subnet.pool in pools for subnet in self.subnets)

    def check_same(self, network: Network) -> None:
        """Raise ConflictError, which shows both, if the network differs from what is wanted."""
        options = sorted(self.options)
        told = [
            (word, mine, theirs)
            for word, mine, theirs in (
                ("driver", self.driver, network.driver),
                ("subnets", _subnets(self.subnets), _subnets(network.subnets)),
                ("VNI", self.vni, network.vni),
                ("containers' MTU", self.mtu, network.mtu),
                ("layout", self.layout, network.layout),
                ("kernel path", self.kernel_path, network.kernel_path),
                ("internal", self.internal, network.internal),
                ("--aux-address", sorted(map(str, self.kept)), sorted(map(str, network.kept))),
                *((f"-o {option}", self.options.get(option), network.options.get(option)) for option in options),
            )
            if mine is not None and mine != theirs and (word != "--aux-address" or mine)
        ]
        if told:
            here = ", ".join(f"{word} {_shown(mine)}" for word, mine, _ in told)
            there = ", ".join(f"{word} {_shown(theirs)}" for word, _, theirs in told)
            raise ConflictError(
                f"the network {network.name} exists in the cluster with {there}, but this command asks for {here}: "
                f"give the same parameters, or another subnet and -o {NAME}=NAME"
            )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(value) or "none"
    return "automatic" if value is None else str(value)


def _subnets(subnets: tuple[Subnet, ...]) -> str:
    return " and ".join(sorted(f"{subnet.pool} (gateway {subnet.gateway})" for subnet in subnets))


def subnets(request: CreateNetwork) -> tuple[Subnet, ...]:
    """Return the subnets of the request. Raise UsageError."""
    return tuple(_subnet(each) for each in (*request.ipv4, *request.ipv6))


def kept(request: CreateNetwork) -> tuple[IPAddress, ...]:
    """Return the addresses of --aux-address. Raise UsageError."""
    data = (*request.ipv4, *request.ipv6)
    return tuple(_host(text) for each in data for _, text in sorted(each.auxiliary.items()))


def check_options(words: Mapping[str, str], known: Sequence[str]) -> None:
    """Raise UsageError for an unknown option."""
    for word in words:
        if word not in known:
            close = difflib.get_close_matches(word, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the options are {', '.join(known)}"
            raise UsageError(f'there is no option "{word}": {hint}')


def explained(error: ValidationError, words: Mapping[str, str], options: Mapping[str, str]) -> UsageError:
    """Return the error for the user; `options` names the `-o` option of each field."""
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    option = options.get(field)
    why = first["msg"].removeprefix("Value error, ").replace("Input should be", "it is")
    return UsageError(f"invalid -o {option}={words.get(option, '')}: {why}" if option else f"{field}: {why}")


def number(words: Mapping[str, str], option: str, what: str) -> int | None:
    """Return the value of an option, or None if it is not given. Raise UsageError, with `what` as the hint."""
    text = words.get(option)
    try:
        return int(text) if text is not None else None
    except ValueError:
        raise UsageError(f"-o {option}={text} is not a number: give {what}") from None


def _subnet(data: IpamData) -> Subnet:
    try:
        pool = ip_network(data.pool)
        gateway = ip_interface(data.gateway).ip if data.gateway else pool.network_address + 1
        return Subnet(pool=pool, gateway=gateway)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"invalid subnet {data.pool}: {why}") from None
    except ValueError as error:
        raise UsageError(f"invalid subnet {data.pool} with the gateway {data.gateway}: {error}") from None


def _host(text: str) -> IPAddress:
    try:
        return parse_host(text.partition("/")[0])
    except UsageError as error:
        raise UsageError(f"invalid --aux-address {text}: {error}") from None
