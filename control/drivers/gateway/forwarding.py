# SPDX-License-Identifier: Apache-2.0
"""Forwarding, switched on for no more than the gateway needs, unless somebody made this host a router before.

IPv4: the kernel forwards a packet if the interface that it arrives by forwards (`ip_route_input_slow` in
net/ipv4/route.c). So the bridge and the way out do, and `ip_forward` stays as it is: Docker, which closes the rest when
it is the one who sets that, does so. We mark the way out by the setting `tag`, which is there for such marks and ends
with the interface and the boot, as the forwarding does.

IPv6: the kernel forwards everything or nothing (`ip6_forward` in net/ipv6/ip6_output.c); the switch of an interface
says only whether it is a router's, which takes no router advertisements. So only the common switch is on, and all
others stay off, that of future interfaces (`default`), too. Whoever else sets the common switch sets that one with it:
so we know ours.
"""

import logging
from collections.abc import Iterable

from fastpath.control.drivers.gateway.rules import Forwarding
from fastpath.control.kernel import sysctl

MARK = 0x6670  # "fp"
ALL6, DEFAULT6 = "ipv6/conf/all/forwarding", "ipv6/conf/default/forwarding"

log = logging.getLogger("fastpath")


def ensure(bridge: str, ipv4: Iterable[str], interfaces: Iterable[str], *, ipv6: bool) -> Forwarding:
    """Let this host forward between the bridge and the interfaces `ipv4`, and all IPv6 if `ipv6`. Return what we
    switched on. `interfaces` are all of the host."""
    names = list(interfaces)
    if ipv6 and sysctl.read(ALL6) == 0:
        _switch_ipv6(1, names)
        log.info("switched IPv6 forwarding on, for outbound traffic of containers")
    return Forwarding(_ensure_ipv4(bridge, tuple(ipv4), names), _is_ours6())


def _ensure_ipv4(bridge: str, wanted: tuple[str, ...], interfaces: list[str]) -> tuple[str, ...]:
    if sysctl.read("ipv4/ip_forward") == 1:  # somebody made this host a router
        for name in filter(_is_marked, interfaces):
            sysctl.ensure(_tag(name), 0)
        return ()
    for name in interfaces:
        if name not in wanted and _is_marked(name):
            _switch_off(name)
    sysctl.ensure(_forwarding(bridge), 1)
    for name in wanted:
        if sysctl.read(_forwarding(name)) == 0:
            sysctl.ensure(_tag(name), MARK)
            sysctl.ensure(_forwarding(name), 1)
            log.info("switched IPv4 forwarding on for %s, for outbound traffic of containers", name)
    return tuple(filter(_is_marked, wanted))


def restore(interfaces: Iterable[str]) -> None:
    """Switch off what we switched on."""
    names = list(interfaces)
    for name in filter(_is_marked, names):
        if sysctl.read("ipv4/ip_forward") == 1:
            sysctl.ensure(_tag(name), 0)
        else:
            _switch_off(name)
    if _is_ours6():
        _switch_ipv6(0, names)


def _is_marked(name: str) -> bool:
    return sysctl.read(_tag(name)) == MARK


def _switch_off(name: str) -> None:
    sysctl.ensure(_forwarding(name), 0)
    sysctl.ensure(_tag(name), 0)


def _is_ours6() -> bool:
    return sysctl.read(ALL6) == 1 and sysctl.read(DEFAULT6) == 0


def _switch_ipv6(value: int, interfaces: list[str]) -> None:
    """Set the common switch, and leave those of the interfaces as they are. Meanwhile, those that take router
    advertisements do so even if they forward: else the kernel would forget their routers."""
    own = {name: switch for name in interfaces if (switch := sysctl.read(f"ipv6/conf/{name}/forwarding")) is not None}
    taking = [name for name in own if sysctl.read(f"ipv6/conf/{name}/accept_ra") == 1]
    for name in taking:
        sysctl.ensure(f"ipv6/conf/{name}/accept_ra", 2)
    try:
        sysctl.ensure(ALL6, value)
        sysctl.ensure(DEFAULT6, 0)
        for name, switch in own.items():
            sysctl.ensure(f"ipv6/conf/{name}/forwarding", switch)
    finally:
        for name in taking:
            sysctl.ensure(f"ipv6/conf/{name}/accept_ra", 1)


def _forwarding(name: str) -> str:
    return f"ipv4/conf/{name}/forwarding"


def _tag(name: str) -> str:
    return f"ipv4/conf/{name}/tag"
