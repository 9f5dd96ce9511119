# SPDX-License-Identifier: Apache-2.0
"""The kinds of networks that `Network.driver` names: what a request may contain, and the differences that other layers
need to know. The work on a host is in drivers/."""

from collections.abc import Callable
from dataclasses import dataclass

from fastpath.control.model import macvlan
from fastpath.control.model.choices import Carried, Driver, Layout
from fastpath.control.model.objects import Network
from fastpath.control.model.requests import NetworkCreate
from fastpath.errors import UsageError


@dataclass(frozen=True)
class NetworkKind:
    """`in_lan`: the network is part of a LAN with other hosts, and uses an interface of this host; otherwise the engine
    carries its frames, under a VNI. `checked` returns a request with its defaults filled in, or raises UsageError;
    `describe` is for the log."""

    in_lan: bool
    checked: Callable[[NetworkCreate], NetworkCreate]
    describe: Callable[[Network], str]


def kind_of(driver: Driver) -> NetworkKind:
    """Return the kind of the networks of a driver."""
    return _KINDS[driver]


def _checked_overlay(request: NetworkCreate) -> NetworkCreate:
    if request.options:
        raise UsageError(f'the overlay has no option "{next(iter(request.options))}": leave -o out')
    return request


def may_have_kernel_path(driver: Driver, layout: Layout) -> bool:
    """Return whether such networks can use the kernel path."""
    return not kind_of(driver).in_lan and layout == "direct"


def check_kernel_path(driver: Driver, layout: Layout, wanted: Carried | None) -> None:
    """Raise UsageError if such a network cannot use the kernel path."""
    if wanted in (None, "off"):
        return
    if kind_of(driver).in_lan:
        raise UsageError(f"a {driver} network has no kernel path: leave --kernel-path out")
    if layout != "direct":
        raise UsageError(f"a network of the layout {layout} has no kernel path: leave --kernel-path out")


_KINDS: dict[Driver, NetworkKind] = {
    "overlay": NetworkKind(in_lan=False, checked=_checked_overlay, describe=lambda network: f"VNI {network.vni}"),
    "macvlan": NetworkKind(
        in_lan=True, checked=macvlan.checked, describe=lambda network: f"macvlan, {network.options}"
    ),
}
