# SPDX-License-Identifier: Apache-2.0
"""Kernel settings of interfaces, below /proc/sys/net. On the host they are those of one interface, never of all."""

from collections.abc import Callable

# Nobody tells an interface of ours routes or addresses.
_UNTOLD = {
    "ipv6/conf/{}/accept_ra": 0,
    "ipv6/conf/{}/accept_redirects": 0,
    "ipv6/conf/{}/accept_source_route": 0,
    "ipv4/conf/{}/accept_redirects": 0,
    "ipv4/conf/{}/accept_source_route": 0,
}
# Of every interface of ours in a container. That of "all" is needed, too: either of both lets the kernel accept them.
IN_SANDBOX = _UNTOLD | {"ipv4/conf/all/accept_redirects": 0}
# Of the gateway bridge. It announces a new MAC address: containers know that of an older version.
OF_BRIDGE = _UNTOLD | {
    "ipv6/conf/{}/autoconf": 0,
    "ipv4/conf/{}/rp_filter": 1,
    "ipv4/conf/{}/arp_ignore": 1,
    "ipv4/conf/{}/arp_notify": 1,
    "ipv4/conf/{}/send_redirects": 0,
}
# Of the bridge's end of it.
OF_PORT = {"ipv6/conf/{}/disable_ipv6": 1}
# Of a container's interface to that bridge: it needs no address but ours.
OF_INNER_END = IN_SANDBOX | {"ipv6/conf/{}/addr_gen_mode": 1}


# For interfaces that are about to come into a container.
AHEAD = {"ipv6/conf/default/accept_ra": 0, "ipv6/conf/default/accept_redirects": 0}


def apply(settings: dict[str, int], name: str, ensure: Callable[[str, int], bool]) -> bool:
    """Apply settings to an interface with `sysctl.ensure` or the like; return whether that changed any."""
    changed = [ensure(path.format(name), value) for path, value in settings.items()]
    return any(changed)
