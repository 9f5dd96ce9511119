# SPDX-License-Identifier: Apache-2.0
"""What the ports of a network's bridge may send, as the body of an nftables table of the family bridge.

The endpoints of one host and network share the engine's port. It checks what reaches it, and takes note of it; what
they send to each other and to the resolver is checked here, by the same rules (src/security/allowed.h): a frame is from
the endpoint's own MAC address and IP addresses, ARP and neighbour discovery name no others, and nobody is a router or a
DHCP server. Each endpoint has chains of its own, so one that comes, goes or changes leaves the others as they are.

Nothing is checked as it comes in, for then the engine would not hear of it. So the bridge must learn nothing from it.

`meta protocol` is the protocol behind a VLAN tag, too: the kernel takes one off before the bridge. What has two, or an
IPv6 header that cannot be read to its end, is refused, as are fragments of neighbour discovery (RFC 7113, RFC 6980).
`meta l4proto` is unknown where the kernel did not find the upper layer's header, and `@th` where that lies outside the
frame, as in later fragments: a rule that asks for it does not match then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastpath.addresses import IPAddress
from fastpath.control.drivers import naming

TABLE = "bridge fastpath_senders"
_CHAINS = "", "-ip6", "-options", "-target"  # behind the name of an endpoint's port

_COMMON = """\
    chain forward {{
        type filter hook forward priority filter; policy accept;
        oifname "{engine}" accept
        goto check
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        goto check
    }}
    chain check {{
        iifname "{engine}" accept
        iifname vmap @ports
        goto refused
    }}
    chain refused {{
        counter drop comment "not what this endpoint may send"
    }}
    chain anybody {{
        meta protocol ip udp sport 67 goto refused
        meta protocol ip udp dport 68 goto refused
        meta protocol arp arp htype != 1 goto refused
        meta protocol arp arp ptype != ip goto refused
        meta protocol arp arp hlen != 6 goto refused
        meta protocol arp arp plen != 4 goto refused
        meta protocol ip6 icmpv6 type {{ 134, 137 }} goto refused
        meta protocol ip6 exthdr frag exists icmpv6 type 133-137 goto refused
        meta protocol ip6 udp sport 547 goto refused
        meta protocol ip6 udp dport 546 goto refused
    }}
    chain other {{
        meta protocol {{ ip, arp, 8021q, 8021ad }} goto refused
        accept
    }}
    map ports {{
        type ifname : verdict
        {elements}
    }}
{chains}"""

# An option with a link-layer address, which is the sender's own; or a nonce (RFC 3971), for duplicate detection.
_OF_PORT = """\
    chain {port} {{
        jump anybody
        ether saddr != {mac} goto refused
        meta protocol ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept
{packets4}
        meta protocol arp arp saddr ether != {mac} goto refused
        meta protocol arp arp operation request arp saddr ip 0.0.0.0 accept
{arp4}
        meta protocol ip6 goto {port}-ip6
        goto other
    }}
    chain {port}-ip6 {{
        meta protocol ip6 ip6 saddr :: ip6 nexthdr icmpv6 icmpv6 type 133 ip6 length 8 accept
        meta protocol ip6 ip6 saddr :: ip6 nexthdr icmpv6 icmpv6 type 135 ip6 length 24 goto {port}-options
        meta protocol ip6 ip6 saddr :: ip6 nexthdr icmpv6 icmpv6 type 135 ip6 length 32 @th,192,16 0x0e01 \\
            goto {port}-options
        meta protocol ip6 ip6 saddr :: icmpv6 type 131-132 accept
        meta protocol ip6 ip6 saddr :: icmpv6 type 143 accept
        meta protocol ip6 ip6 saddr != {{ {own6} }} ip6 saddr & ffc0:: != fe80:: goto refused
        meta protocol ip6 ip6 saddr != {{ {own6} }} ip6 saddr & ::ff:ff00:0 == ::ff:fe00:0 goto refused
        meta protocol ip6 icmpv6 type 133 ip6 nexthdr icmpv6 ip6 length 8 accept
        meta protocol ip6 icmpv6 type 133 ip6 nexthdr icmpv6 ip6 length 16 @th,64,16 0x0101 @th,80,48 {mac_hex} accept
        meta protocol ip6 icmpv6 type 133 goto refused
        meta protocol ip6 icmpv6 type 135-136 goto {port}-options
        meta protocol ip6 meta l4proto != 255 @th,0,32 >= 0 accept
        meta protocol ip6 meta l4proto != 255 frag frag-off != 0 accept
        goto refused
    }}
    chain {port}-options {{
        meta protocol ip6 ip6 nexthdr != icmpv6 goto refused
        meta protocol ip6 ip6 length 24 goto {port}-target
        meta protocol ip6 ip6 length 32 @th,192,16 0x0101 @th,208,48 {mac_hex} goto {port}-target
        meta protocol ip6 ip6 length 32 @th,192,16 0x0201 @th,208,48 {mac_hex} goto {port}-target
        meta protocol ip6 ip6 length 32 @th,192,16 0x0e01 goto {port}-target
        goto refused
    }}
    chain {port}-target {{
        meta protocol ip6 icmpv6 type 135 ip6 saddr != :: accept
        meta protocol ip6 icmpv6 type 135-136 @th,64,128 {{ {targets} }} accept
        meta protocol ip6 icmpv6 type 135-136 @th,64,10 0x3fa @th,152,16 != 0xfffe accept
        goto refused
    }}"""


@dataclass(frozen=True)
class Sender:
    """The addresses of one endpoint."""

    mac: str
    addresses: frozenset[IPAddress]


def body(senders: Mapping[str, Sender]) -> str:
    """Return the table's body. `senders` are the endpoints by the names of their ports; what comes from other ports
    than those, and the engine's, is dropped."""
    elements = ", ".join(map(_element, sorted(senders)))
    return _COMMON.format(
        engine=naming.VXLAN,
        elements=f"elements = {{ {elements} }}" if elements else "",
        chains="\n".join(_chains(port, sender) for port, sender in sorted(senders.items())),
    )


def change(before: Mapping[str, Sender], after: Mapping[str, Sender]) -> str:
    """Return commands that turn the table of one body into that of another one."""
    lines = []
    for port, sender in before.items():
        if after.get(port) != sender:
            if port not in after:
                lines.append(f"delete element {TABLE} ports {{ {_key(port)} }}")
            lines += [f"flush chain {TABLE} {port}{chain}" for chain in _CHAINS]
            lines += [f"delete chain {TABLE} {port}{chain}" for chain in _CHAINS if port not in after]
    for port, sender in after.items():
        if before.get(port) != sender:
            lines.append(f"table {TABLE} {{\n{_chains(port, sender)}\n}}")
            if port not in before:
                lines.append(f"add element {TABLE} ports {{ {_element(port)} }}")
    return "\n".join(lines)


def _chains(port: str, sender: Sender) -> str:
    own4 = ", ".join(str(address) for address in _sorted(sender.addresses, 4))
    own6 = [*_sorted(sender.addresses, 6), naming.link_local(sender.mac)]
    return _OF_PORT.format(
        port=port,
        mac=sender.mac,
        mac_hex="0x" + sender.mac.replace(":", ""),
        packets4=f"        meta protocol ip ip saddr {{ {own4} }} accept" if own4 else "",
        arp4=f"        meta protocol arp arp saddr ip {{ {own4} }} accept" if own4 else "",
        own6=", ".join(map(str, own6)),
        targets=", ".join(f"{int(address):#034x}" for address in own6),
    )


def _sorted(addresses: Iterable[IPAddress], version: int) -> list[IPAddress]:
    return sorted((address for address in addresses if address.version == version), key=int)


def _key(port: str) -> str:
    return f'"{port}"'


def _element(port: str) -> str:
    return f"{_key(port)} : goto {port}"
