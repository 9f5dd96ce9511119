# SPDX-License-Identifier: Apache-2.0
"""The options of a macvlan network (`-o`), and the rules for combining them. The names parent and macvlan_mode are
Docker's; shim and ip_range are ours."""

import difflib
import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Literal, cast, get_args

from fastpath.control.model.objects import IPNetwork, Model, Network
from fastpath.control.model.requests import NetworkCreate
from fastpath.engine.limits import check_name
from fastpath.errors import ConflictError, UsageError

Mode = Literal["bridge", "private", "vepa", "passthru"]
NAMES = ("parent", "macvlan_mode", "shim", "ip_range")
MAX_VID = 4094


class MacvlanOptions(Model):
    """parent: the interface of that name on each host; None: a dummy interface, which leads nowhere. shim: whether the
    host can reach its containers. ip_range: the range from which free addresses are chosen."""

    parent: str | None = None
    mode: Mode = "bridge"
    shim: bool = False
    ip_range: IPNetwork | None = None

    @property
    def vlan(self) -> tuple[str, int] | None:
        """Interface and VLAN ID of a parent named like eth0.10, which can be created; else None."""
        found = re.fullmatch(r"([^.]+)\.([1-9][0-9]{0,3})", self.parent or "")
        return (found[1], int(found[2])) if found and int(found[2]) <= MAX_VID else None

    def as_options(self) -> dict[str, str]:
        """Return the options in the form that the store has, defaults included."""
        found = {"parent": self.parent, "macvlan_mode": self.mode, "shim": "yes" if self.shim else None}
        found["ip_range"] = str(self.ip_range) if self.ip_range is not None else None
        return {name: value for name, value in found.items() if value is not None}


def parse_options(options: Mapping[str, str]) -> MacvlanOptions:
    """Return the parsed options. Raise UsageError: one line that names the option."""
    for name in options:
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(NAMES)}"
            raise UsageError(f'a macvlan network has no option "{name}": {hint}')
    parsed = MacvlanOptions(
        parent=_parent(options["parent"]) if "parent" in options else None,
        mode=_mode(options.get("macvlan_mode", "bridge")),
        shim=_switch("shim", options.get("shim", "no")),
        ip_range=_range(options["ip_range"]) if "ip_range" in options else None,
    )
    if parsed.shim and parsed.mode != "bridge":
        raise UsageError(f"-o shim={options['shim']} goes with macvlan_mode=bridge only: in {parsed.mode} no two talk")
    if parsed.parent is None and parsed.mode == "passthru":
        raise UsageError("-o macvlan_mode=passthru needs -o parent=INTERFACE: it hands that interface over")
    return parsed


def options_of(network: Network) -> MacvlanOptions:
    """Return the options of a network in the store. Raise UsageError if somebody wrote invalid ones there."""
    return parse_options(network.options)


def range_of(network: Network) -> IPNetwork | None:
    """Return the part of a network's subnets from which addresses are chosen; None means all of them. Only a macvlan
    network has one, since other hosts of the LAN use the rest."""
    return options_of(network).ip_range if network.driver == "macvlan" else None


def checked(request: NetworkCreate) -> NetworkCreate:
    """Return the request with its defaults filled in. Raise UsageError."""
    options = parse_options(request.options)
    if request.vni is not None:
        raise UsageError("a macvlan network has no VNI: leave --vni out")
    if not request.port_security:
        raise UsageError("a macvlan network has no port security: leave --port-security out")
    if request.layout != "direct":
        raise UsageError(f"a macvlan network has no layout {request.layout}: leave --layout out")
    if options.parent is not None and not request.subnets:
        raise UsageError(f"a macvlan network has the subnet of the LAN that {options.parent} is in: give --subnet")
    if options.shim and all(pool.version == 6 for pool in request.subnets):
        raise UsageError("-o shim is for IPv4: give an IPv4 --subnet, or leave it out")
    if options.ip_range is not None and not any(_within(options.ip_range, pool) for pool in request.subnets):
        raise UsageError(f"-o ip_range={options.ip_range} is in none of the subnets")
    # Without a parent, nothing leaves the network.
    internal = request.internal or options.parent is None
    return request.model_copy(update={"options": options.as_options(), "internal": internal})


def check_parent_free(name: str, options: Mapping[str, str], others: Collection[Network]) -> None:
    """Raise ConflictError if another network has the parent: a parent carries one network."""
    parent = options.get("parent")
    for other in others:
        if parent is not None and other.driver == "macvlan" and other.options.get("parent") == parent:
            if parse_options(options).vlan is None:
                free = _free_vid(parent, others)
                hint = f"join that one, or give a VLAN of its own to {name}, as in -o parent={parent}.{free}"
            else:
                hint = "join that one, or give another VLAN"
            raise ConflictError(f"{parent} is the parent of the network {other.name} already: {hint}")


def _free_vid(parent: str, others: Collection[Network]) -> int:
    taken = {other.options.get("parent") for other in others}
    return next(vid for vid in range(10, MAX_VID) if f"{parent}.{vid}" not in taken)


def _within(part: IPNetwork, whole: IPNetwork) -> bool:
    if isinstance(part, ipaddress.IPv4Network):
        return isinstance(whole, ipaddress.IPv4Network) and part.subnet_of(whole)
    return isinstance(whole, ipaddress.IPv6Network) and part.subnet_of(whole)


def _parent(text: str) -> str:
    try:
        check_name(text)
    except UsageError as error:
        raise UsageError(f'invalid -o parent="{text}": {error}') from None
    if text == "lo":
        raise UsageError("invalid -o parent=lo: the loopback interface leads nowhere; leave parent out for a dummy")
    dots = re.fullmatch(r"([^.]+)\.(\d+)", text)
    if dots and not 1 <= int(dots[2]) <= MAX_VID:
        raise UsageError(f"invalid -o parent={text}: {dots[2]} is not a VLAN ID, which is 1 to {MAX_VID}")
    return text


def _mode(text: str) -> Mode:
    modes = get_args(Mode)
    if text not in modes:
        close = difflib.get_close_matches(text, modes, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it is one of {', '.join(modes)}"
        raise UsageError(f'invalid -o macvlan_mode="{text}": {hint}')
    return cast(Mode, text)


def _switch(name: str, text: str) -> bool:
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in known:
        raise UsageError(f'invalid -o {name}="{text}": it is yes or no')
    return known[text.lower()]


def _range(text: str) -> IPNetwork:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise UsageError(f'invalid -o ip_range="{text}": a part of the subnet such as 192.0.2.128/25') from None
