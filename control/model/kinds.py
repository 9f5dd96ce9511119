# SPDX-License-Identifier: Apache-2.0
"""The kinds of networks that `Network.driver` names: what a request may say, and where they differ that others need to
know. What a host does about them is drivers/'s."""

from collections.abc import Callable
from dataclasses import dataclass

from fastpath.control.model import macvlan
from fastpath.control.model.choices import Driver
from fastpath.control.model.objects import Network
from fastpath.control.model.requests import NetworkCreate
from fastpath.errors import UsageError


@dataclass(frozen=True)
class NetworkKind:
    """`in_lan`: its subnets are those of a LAN that has others, and it stands on an interface of the host; else the
    engine carries its frames, under a VNI. `checked` returns a request with all that it left out, or raises UsageError;
    `describe` is for the log."""

    in_lan: bool
    checked: Callable[[NetworkCreate], NetworkCreate]
    describe: Callable[[Network], str]


def kind_of(driver: Driver) -> NetworkKind:
    """Return the kind of network that a driver is for."""
    return _KINDS[driver]


def _checked_overlay(request: NetworkCreate) -> NetworkCreate:
    if request.options:
        raise UsageError(f'the overlay has no option "{next(iter(request.options))}": leave -o out')
    return request


_KINDS: dict[Driver, NetworkKind] = {
    "overlay": NetworkKind(in_lan=False, checked=_checked_overlay, describe=lambda network: f"VNI {network.vni}"),
    "macvlan": NetworkKind(
        in_lan=True, checked=macvlan.checked, describe=lambda network: f"macvlan, {network.options}"
    ),
}
