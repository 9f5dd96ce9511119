# SPDX-License-Identifier: Apache-2.0
"""The rules of the gateway, as bodies of nftables tables.

FORWARDED says what is forwarded; it changes with the way out only. PORTS has the addresses of each port, and changes
with every container. CONNECTIONS has the limit of each container's connections, and changes never: replacing a table
forgets what it counted, so what counts for long has a table of its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from fastpath.control.drivers import naming
from fastpath.control.drivers.gateway.way import Way

FORWARDED, PORTS, CONNECTIONS = "inet fastpath_gateway", "bridge fastpath_gateway", "inet fastpath_connections"
TABLES = FORWARDED, PORTS, CONNECTIONS
FORMER = "ip fastpath"  # until version 0.2.0

# A container's frames pass if they have its own addresses. Servers of the network's configuration are on the host only.
_PORTS = """\
    set containers4 {{
        type ifname . ether_addr . ipv4_addr
        {elements4}
    }}
    set containers6 {{
        type ifname . ether_addr . ipv6_addr
        {elements6}
    }}
    chain prerouting {{
        type filter hook prerouting priority dstnat; policy accept;
        iifname "{prefix}*" jump from_container
    }}
    chain from_container {{
        ether type ip udp sport 67 udp dport 68 counter drop comment "containers are no DHCP servers"
        ether type ip6 udp sport 547 udp dport 546 counter drop comment "containers are no DHCP servers"
        ether type ip6 icmpv6 type {{ nd-router-advert, nd-redirect }} counter drop comment "containers are no routers"
        ether type ip iifname . ether saddr . ip saddr @containers4 accept
        ether type ip6 iifname . ether saddr . ip6 saddr @containers6 accept
        ether type arp iifname . ether saddr . arp saddr ip @containers4 \\
            iifname . arp saddr ether . arp saddr ip @containers4 accept
        counter drop comment "not an address of this container"
    }}"""

_CONNECTIONS = """\
    set connections4 {{
        type ipv4_addr
        size 65535
        flags dynamic
    }}
    set connections6 {{
        type ipv6_addr
        size 65535
        flags dynamic
    }}
    chain prerouting {{
        type filter hook prerouting priority mangle; policy accept;
        iifname "{bridge}" ct state new add @connections4 {{ ip saddr ct count over {limit} }} \\
            counter drop comment "too many connections of one container"
        iifname "{bridge}" ct state new add @connections6 {{ ip6 saddr ct count over {limit} }} \\
            counter drop comment "too many connections of one container"
    }}"""

# An accept here does not undo a drop in another table (docs/operators/overlay.md: hosts that forward nothing by
# default).
_FORWARDED = """\
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{bridge}" jump outbound
        oifname "{bridge}" jump inbound
{foreign}
    }}
    chain outbound {{
        oifname "{bridge}" counter drop comment "containers meet in their networks, not here"
        ct state invalid counter drop comment "it would keep the container's address"
        ct state established,related accept
        ct status dnat accept comment "published, on this host"
{ways}
        counter drop comment "not the way out"
    }}
    chain inbound {{
        ct state established,related accept
        ct status dnat accept comment "published by somebody"
        counter drop comment "nobody outside begins"
    }}
    chain foreign {{
        ct state established,related return
        ct status dnat return
        counter drop comment "this host forwards for its containers only"
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
{masquerade}
    }}"""


@dataclass(frozen=True)
class Forwarding:
    """The interfaces on which we switched IPv4 forwarding on, and whether we switched IPv6 forwarding on: what else
    could be forwarded there now is dropped."""

    ipv4: tuple[str, ...] = ()
    ipv6: bool = False


def connections(bridge: str, limit: int) -> str:
    """Return the body of the table CONNECTIONS. `limit` is that of one container."""
    return _CONNECTIONS.format(bridge=bridge, limit=limit)


def forwarded(bridge: str, ipv4: IPv4Network, ipv6: IPv6Network | None, way: Way, *, switched: Forwarding) -> str:
    """Return the body of the table FORWARDED. `ipv6` is the network to masquerade."""
    families = [("ipv4", way.ipv4), ("ipv6", way.ipv6)]
    ways = [f"meta nfproto {family} oifname {_names(names)} accept" for family, names in families if names]
    foreign = [f"meta nfproto ipv4 iifname {_names(switched.ipv4)} jump foreign"] if switched.ipv4 else []
    foreign += ["meta nfproto ipv6 jump foreign"] if switched.ipv6 else []
    masquerade = [f'ip saddr {ipv4} oifname != "{bridge}" masquerade']
    masquerade += [f'ip6 saddr {ipv6} oifname != "{bridge}" masquerade'] if ipv6 is not None else []
    return _FORWARDED.format(bridge=bridge, ways=_lines(ways), foreign=_lines(foreign), masquerade=_lines(masquerade))


def ports(prefix: str, containers: Mapping[str, IPv4Address], ipv6: IPv6Network | None) -> str:
    """Return the body of the table PORTS. `containers` are the addresses by the names of the bridge's ports, which
    begin with `prefix`; `ipv6` is the network with their IPv6 addresses, if there are any."""
    return _PORTS.format(
        prefix=prefix,
        elements4=_elements(_element(name, address) for name, address in containers.items()),
        elements6=_elements(_element(name, address, ipv6) for name, address in containers.items() if ipv6 is not None),
    )


def port_added(name: str, address: IPv4Address, ipv6: IPv6Network | None) -> str:
    """Return the commands that add one container to the table PORTS."""
    return _changed("add", name, address, ipv6)


def port_removed(name: str, address: IPv4Address, ipv6: IPv6Network | None) -> str:
    """Return the commands that remove one container from the table PORTS."""
    return _changed("delete", name, address, ipv6)


def _changed(verb: str, name: str, address: IPv4Address, ipv6: IPv6Network | None) -> str:
    commands = f"{verb} element {PORTS} containers4 {{ {_element(name, address)} }}\n"
    if ipv6 is not None:
        commands += f"{verb} element {PORTS} containers6 {{ {_element(name, address, ipv6)} }}\n"
    return commands


def _element(name: str, address: IPv4Address, ipv6: IPv6Network | None = None) -> str:
    shown = address if ipv6 is None else naming.gateway_address6(ipv6, address)
    return f'"{name}" . {naming.mac_of(address)} . {shown}'


def _elements(found: Iterable[str]) -> str:
    elements = sorted(found)
    return f"elements = {{ {', '.join(elements)} }}" if elements else ""


def _names(names: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in sorted(names)) + " }"


def _lines(rules: Iterable[str]) -> str:
    return "\n".join(f"        {rule}" for rule in rules)
