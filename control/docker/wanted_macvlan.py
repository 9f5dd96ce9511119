# SPDX-License-Identifier: Apache-2.0
"""What is said to the driver `fastpath-macvlan`: the options of Docker's own macvlan driver, and ours
(docs/operators/macvlan.md)."""

from pydantic import ValidationError

from fastpath.control.docker.protocol import CreateNetwork
from fastpath.control.docker.wanted import (
    ADDRESS_SPACE,
    MTU,
    NAME,
    Wanted,
    check_options,
    explained,
    kept,
    number,
    subnets,
)
from fastpath.control.model.macvlan import parse_options
from fastpath.errors import UsageError

OURS = ("parent", "macvlan_mode", "shim")  # ip_range is --ip-range
COMMAND = "docker network create -d fastpath-macvlan --subnet 192.0.2.0/24 --gateway 192.0.2.254 -o parent=eth0 NAME"


def wanted(request: CreateNetwork) -> Wanted:
    """Return what the request asks for. Raise UsageError."""
    data = [*request.ipv4, *request.ipv6]
    if not data or any(each.address_space == "null" for each in data):
        raise UsageError(f"a macvlan network needs the LAN's subnet, as in: {COMMAND}")
    words = request.words
    check_options(words, [NAME, MTU, *OURS])
    options = {name: value for name, value in words.items() if name in OURS}
    parsed = parse_options(options).as_options()
    try:
        return Wanted(
            name=words.get(NAME),
            driver="macvlan",
            subnets=subnets(request),
            mtu=number(words, MTU, "the containers' MTU, as 1500"),
            # Without a parent it is internal, or, where one joins a network by its name, what that is.
            internal=True if request.internal else False if "parent" in options else None,
            options={name: parsed[name] for name in options if name in parsed},
            kept=kept(request),
            own_ipam=all(each.address_space == ADDRESS_SPACE for each in data),
        )
    except ValidationError as error:
        raise explained(error, words, {"name": NAME, "mtu": MTU}) from None
