# SPDX-License-Identifier: Apache-2.0
"""Names and ifaliases that mark our interfaces and namespaces, so that we recognise them after a restart or a crash."""

import hashlib
import ipaddress
import re

from fastpath.control.model.objects import Endpoint, IPInterface, Network

MARK = "fastpath:"  # at the beginning of all our ifaliases
VXLAN, BRIDGE = "vxlan0", "br0"  # in a network's namespace, as in Docker's overlay
PROBE_VNI = 1  # networks begin at 256


def of_endpoint(host: str, identity: str) -> str:
    """Return the ifalias of an endpoint's interfaces. Host names have no colon, so no other host has the same one."""
    return f"fastpath:{host}:{identity}"


def endpoint_id(host: str, alias: str) -> str | None:
    """Return the endpoint's id in an ifalias; None if it does not name an endpoint of this host."""
    found = re.fullmatch(rf"fastpath:{re.escape(host)}:([0-9a-f]{{16}})", alias)
    return found[1] if found else None


def of_network(host: str, name: str) -> str:
    """Return the ifalias of lo in a network's namespace."""
    return f"fastpath:{host}:network:{name}"


def network_name(host: str, alias: str) -> str | None:
    """Return the name of the network in an ifalias, or None."""
    prefix = of_network(host, "")
    return alias[len(prefix) :] if alias.startswith(prefix) else None


def namespace_name(host: str, network: Network) -> str:
    """Return the name of a network's namespace, as in `ip netns`."""
    return f"fastpath-{host}-{network.name}"


def of_pen(host: str) -> str:
    """Return the ifalias of lo in the pen (docs/kernel-path.md)."""
    return f"fastpath:{host}:pen"


def is_ours(host: str, alias: str) -> bool:
    """Return whether the ifalias of a namespace's lo says that all in it is this host's."""
    return network_name(host, alias) is not None or alias == of_pen(host)


def pen_name(host: str) -> str:
    """Return the name of the pen, as in `ip netns`. No network's name has a colon."""
    return f"fastpath-{host}:pen"


def tap_name(endpoint: Endpoint) -> str:
    """Return the name of an endpoint's TAP in the pen."""
    return f"tap{endpoint.id[:12]}"


def tunnel_name(vni: int) -> str:
    """Return the name of a network's vxlan device in the pen."""
    return f"vx{vni}"


def of_probes(host: str) -> str:
    """Return the ifalias of the vxlan device for probes in the pen."""
    return f"fastpath:{host}:probes"


def veth_name(endpoint: Endpoint) -> str:
    """Return the name of the end of an endpoint's veth that is in the network's namespace."""
    return f"veth{endpoint.id[:11]}"


def source_name(endpoint: Endpoint) -> str:
    """Return the name of a managed endpoint's interface while it is in the daemon's namespace."""
    return f"fp-{endpoint.id[:12]}"


def gateway_addresses(network: Network) -> list[IPInterface]:
    """Return br0's addresses, the same on every host."""
    return [ipaddress.ip_interface(f"{subnet.gateway}/{subnet.pool.prefixlen}") for subnet in network.subnets]


def mac_of(address: ipaddress.IPv4Address) -> str:
    """Return the MAC address at the gateway bridge of an IPv4 address there, as Docker derives it: 02:42 and the
    address."""
    return (b"\x02\x42" + address.packed).hex(":")


def gateway_address6(network: ipaddress.IPv6Network, address: ipaddress.IPv4Address) -> ipaddress.IPv6Address:
    """Return the IPv6 address at the gateway bridge of the container with this IPv4 address there, which is its end."""
    return network[int(address)]


def link_local(mac: str) -> ipaddress.IPv6Address:
    """Return the link-local address that kernels form of a MAC address (RFC 4291, appendix A)."""
    packed = bytes.fromhex(mac.replace(":", ""))
    return ipaddress.IPv6Address(
        b"\xfe\x80" + bytes(6) + bytes([packed[0] ^ 2]) + packed[1:3] + b"\xff\xfe" + packed[3:]
    )


def unique_local(identity: str) -> ipaddress.IPv6Interface:
    """Return the gateway bridge's own IPv6 address by default, in a /64 that no other host is likely to have (RFC 4193,
    3.2): derived from the host's id."""
    prefix = b"\xfd" + hashlib.sha256(f"gateway {identity}".encode()).digest()[:7]
    return ipaddress.IPv6Interface((prefix + (1).to_bytes(8, "big"), 64))


def of_gateway(host: str) -> str:
    """Return the ifalias of the gateway bridge, and of a sandbox's interface to it."""
    return f"fastpath:{host}:gateway"


def of_gateway_port(host: str, address: ipaddress.IPv4Address) -> str:
    """Return the ifalias of the bridge's end of a veth; it contains the sandbox's address."""
    return f"{of_gateway(host)}:{address}"


def gateway_address(host: str, alias: str) -> ipaddress.IPv4Address | None:
    """Return the sandbox's address in an ifalias, or None."""
    prefix = of_gateway(host) + ":"
    try:
        return ipaddress.IPv4Address(alias.removeprefix(prefix)) if alias.startswith(prefix) else None
    except ValueError:
        return None


def of_parent(host: str, name: str) -> str:
    """Return the ifalias of a parent that we create for a macvlan network: a VLAN interface, or a dummy."""
    return f"fastpath:{host}:parent:{name}"


def parent_network(host: str, alias: str) -> str | None:
    """Return the network whose parent an ifalias names, or None."""
    prefix = of_parent(host, "")
    return alias[len(prefix) :] if alias.startswith(prefix) else None


def of_shim(host: str, name: str) -> str:
    """Return the ifalias of the host's own interface in a macvlan network."""
    return f"fastpath:{host}:shim:{name}"


def shim_network(host: str, alias: str) -> str | None:
    """Return the network whose shim an ifalias names, or None."""
    prefix = of_shim(host, "")
    return alias[len(prefix) :] if alias.startswith(prefix) else None


def short_name(prefix: str, network: str) -> str:
    """Return the name of an interface in the daemon's namespace of which each network has one."""
    return f"{prefix}{hashlib.sha256(network.encode()).hexdigest()[:10]}"
