# SPDX-License-Identifier: Apache-2.0
"""What `docker network create` asked for: from Docker's words to a network, and whether one that exists is it."""

import difflib
from ipaddress import ip_address, ip_interface, ip_network

from pydantic import ValidationError

from fastpath.addresses import IPAddress
from fastpath.control.docker.messages import CreateNetwork, IpamData
from fastpath.control.messages import NetworkCreate
from fastpath.control.model import Layout, Model, Mtu, Name, Network, Subnet, Vni
from fastpath.errors import ConflictError, UsageError

ADDRESS_SPACE = "fastpath"
NAME, LAYOUT = "fastpath.network", "fastpath.layout"
UNDERLAY_MTU = "com.docker.network.driver.mtu"
VNIS = "com.docker.network.driver.overlay.vxlanid_list"
ENCRYPTED = "encrypted"
OPTIONS = (NAME, LAYOUT, UNDERLAY_MTU, VNIS)
COMMAND = "docker network create -d fastpath --ipam-driver fastpath --subnet 10.1.0.0/24 NAME"


class Wanted(Model):
    """A network as one host's Docker wants it. None: as it is, or as it comes."""

    name: Name | None = None
    subnets: tuple[Subnet, ...]
    vni: Vni | None = None
    mtu: Mtu | None = None
    layout: Layout | None = None
    internal: bool = False
    kept: tuple[IPAddress, ...] = ()

    @property
    def new_name(self) -> str:
        """What it is called in the cluster, where nobody says."""
        pool = self.subnets[0].pool
        return self.name or f"docker-{pool.network_address}-{pool.prefixlen}".replace(":", "-")

    def request(self) -> NetworkCreate:
        """To make it."""
        return NetworkCreate(
            name=self.new_name,
            subnets=tuple(subnet.pool for subnet in self.subnets),
            gateways=tuple(subnet.gateway for subnet in self.subnets),
            vni=self.vni,
            mtu=self.mtu,
            layout=self.layout or "direct",
            internal=self.internal,
        )

    def is_meant(self, network: Network) -> bool:
        """Whether this is the one that is to be joined, if it fits."""
        if self.name is not None:
            return network.name == self.name
        pools = {subnet.pool for subnet in network.subnets}
        return any(subnet.pool in pools for subnet in self.subnets)

    def check_same(self, network: Network) -> None:
        """Raises ConflictError where the network is another than what is wanted, with both shown."""
        told = [
            (word, mine, theirs)
            for word, mine, theirs in (
                ("subnets", _subnets(self.subnets), _subnets(network.subnets)),
                ("VNI", self.vni, network.vni),
                ("containers' MTU", self.mtu, network.mtu),
                ("layout", self.layout, network.layout),
                ("internal", self.internal, network.internal),
                ("--aux-address", sorted(map(str, self.kept)), sorted(map(str, network.kept))),
            )
            if mine is not None and mine != theirs and (word != "--aux-address" or mine)
        ]
        if network.driver != "overlay":
            told.insert(0, ("driver", "overlay", network.driver))
        if told:
            here = ", ".join(f"{word} {_shown(mine)}" for word, mine, _ in told)
            there = ", ".join(f"{word} {_shown(theirs)}" for word, _, theirs in told)
            raise ConflictError(
                f"the network {network.name} exists in the cluster with {there}, but this command asks for {here}: "
                f"give the same parameters, or another subnet and -o {NAME}=NAME"
            )


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(value) or "none"
    return (
        {True: "yes", False: "no", None: "automatic"}.get(value, str(value))
        if value in (True, False, None)
        else str(value)
    )


def _subnets(subnets: tuple[Subnet, ...]) -> str:
    return " and ".join(sorted(f"{subnet.pool} (gateway {subnet.gateway})" for subnet in subnets))


def wanted(request: CreateNetwork, overhead: int) -> Wanted:
    """What the request means. `overhead` is what the tunnel adds to a packet, in bytes. Raises UsageError."""
    data = [*request.ipv4, *request.ipv6]
    if not data or any(each.address_space != ADDRESS_SPACE for each in data):
        raise UsageError(
            "addresses of Docker's own IPAM would be given twice, by every host for itself: "
            f"add --ipam-driver fastpath, as in: {COMMAND}"
        )
    words = request.words
    _check_options(words)
    try:
        return Wanted(
            name=words.get(NAME),
            subnets=tuple(_subnet(each) for each in data),
            vni=_vni(words.get(VNIS)),
            mtu=_mtu(words.get(UNDERLAY_MTU), overhead),
            layout=words.get(LAYOUT),  # type: ignore[arg-type]  # it is checked now
            internal=request.internal,
            kept=tuple(_host(text) for each in data for _, text in sorted(each.auxiliary.items())),
        )
    except ValidationError as error:
        raise UsageError(_explained(error, words)) from None


def _check_options(words: dict[str, str]) -> None:
    if ENCRYPTED in words:
        raise UsageError("encrypted networks are not supported: leave -o encrypted out")
    for word in words:
        if word not in OPTIONS:
            close = difflib.get_close_matches(word, OPTIONS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the options are {', '.join(OPTIONS)}"
            raise UsageError(f'there is no option "{word}": {hint}')


def _explained(error: ValidationError, words: dict[str, str]) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    option = {"name": NAME, "layout": LAYOUT, "vni": VNIS, "mtu": UNDERLAY_MTU}.get(field)
    why = first["msg"].removeprefix("Value error, ").replace("Input should be", "it is")
    return f"-o {option}={words.get(option, '')} cannot be: {why}" if option else f"{field}: {why}"


def _subnet(data: IpamData) -> Subnet:
    try:
        pool = ip_network(data.pool)
        gateway = ip_interface(data.gateway).ip if data.gateway else pool.network_address + 1
        return Subnet(pool=pool, gateway=gateway)
    except ValueError as error:
        raise UsageError(f"the subnet {data.pool} with the gateway {data.gateway} cannot be: {error}") from None


def _host(text: str) -> IPAddress:
    try:
        return ip_address(text.partition("/")[0])
    except ValueError:
        raise UsageError(f"--aux-address {text} is no address") from None


def _vni(text: str | None) -> int | None:
    if text is None:
        return None
    if "," in text:
        raise UsageError(f"-o {VNIS}={text}: a network has one VNI here, give one")
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"-o {VNIS}={text} is no number: give a VNI, 256 to 16777215") from None


def _mtu(text: str | None, overhead: int) -> int | None:
    if text is None:
        return None
    try:
        return int(text) - overhead
    except ValueError:
        raise UsageError(f"-o {UNDERLAY_MTU}={text} is no number: give the underlay's MTU, as 1500") from None
