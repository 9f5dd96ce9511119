# SPDX-License-Identifier: Apache-2.0
"""The key layout, version 1; docs/operators/store.md explains it.

objects/  what every host mirrors: networks, endpoints, peers, and where endpoints are kept: all under one prefix, as
          version 0.1 does, or each host's under one of its own, so that etcd can keep it from the others
claims/   what one host only can have: an address or a MAC address of a network
"""

from ipaddress import ip_address, ip_network
from typing import NamedTuple

from fastpath.addresses import IPAddress
from fastpath.control.model.objects import IPNetwork

ROOT = "/fastpath/v1/"
OBJECTS = ROOT + "objects/"
NETWORKS = OBJECTS + "networks/"
ENDPOINTS = OBJECTS + "endpoints/"
HOSTS = OBJECTS + "hosts/"
PEERS = OBJECTS + "peers/"
LAYOUT = OBJECTS + "layout"
PER_HOST = b"per-host"  # its value, if endpoints are kept in HOSTS
CLAIMS = ROOT + "claims/"
# Put by every commit that creates a network: of two at once, the second sees the first.
NETWORKS_GUARD = CLAIMS + "networks"
POOLS = CLAIMS + "pools/"
HEARD = CLAIMS + "heard/"
REAPER = CLAIMS + "reaper"  # put by every commit that takes an endpoint of a dead host back
CLAIMS_MACS = CLAIMS + "macs/"


def network(name: str) -> str:
    """Return the key of a Network, in JSON."""
    return NETWORKS + name


def endpoints(network_name: str) -> str:
    """Return the prefix of a network's endpoints in the layout of version 0.1."""
    return f"{ENDPOINTS}{network_name}/"


def endpoint(network_name: str, identity: str) -> str:
    """Return the key of an Endpoint, in JSON, in the layout of version 0.1."""
    return endpoints(network_name) + identity


def host_endpoint(host: str, network_name: str, identity: str) -> str:
    """Return the key of an Endpoint, in JSON, in the layout with a prefix for each host."""
    return f"{HOSTS}{host}/{network_name}/{identity}"


def parts(key: str) -> tuple[str | None, str, str]:
    """Return an endpoint's host, if it is in the key, network and id. Raise ValueError."""
    if key.startswith(ENDPOINTS):
        network_name, _, identity = key.removeprefix(ENDPOINTS).partition("/")
        return None, network_name, identity
    found = key.removeprefix(HOSTS).split("/")
    if len(found) != 3:
        raise ValueError("its key is not that of an endpoint")
    return found[0], found[1], found[2]


def peer(host: str) -> str:
    """Return the key of a Peer, in JSON; with the host's lease."""
    return PEERS + host


def heard(host: str) -> str:
    """Return the prefix of those that hear a host which is not registered."""
    return f"{HEARD}{host}/"


def heard_by(host: str, witness: str) -> str:
    """Return the key of one of them; with the lease of that one."""
    return heard(host) + witness


def may_concern(key: str, host: str) -> bool:
    """Return whether the object of this key may be a network, or an endpoint of this host."""
    if key.startswith(HOSTS):
        return key.startswith(f"{HOSTS}{host}/")
    return key.startswith((NETWORKS, ENDPOINTS))


class Subject(NamedTuple):
    """What an object is about: a network, or a host; neither: all."""

    network: str | None = None
    host: str | None = None


def subject_of(key: str) -> Subject:
    """Return what the object of this key is about."""
    if key.startswith(NETWORKS):
        return Subject(network=key.removeprefix(NETWORKS))
    if key.startswith(PEERS):
        return Subject(host=key.removeprefix(PEERS))
    if not key.startswith((ENDPOINTS, HOSTS)):
        return Subject()
    network_name = network_of(key)
    return (
        Subject(network_name) if network_name is not None else Subject(host=key.removeprefix(HOSTS).partition("/")[0])
    )


def network_of(key: str) -> str | None:
    """Return the network in the key of an endpoint; None if there is none in it."""
    try:
        return parts(key)[1]
    except ValueError:
        return None


def addresses(network_name: str) -> str:
    """Return the prefix of a network's taken addresses."""
    return f"{CLAIMS}addresses/{network_name}/"


def address(network_name: str, ip: IPAddress) -> str:
    """Return the key of an address. Its value is the endpoint's id or, with a lease, Reservations.owner."""
    return addresses(network_name) + str(ip)


def address_of(key: str) -> IPAddress | None:
    """Return the address in such a key; None if there is none in it."""
    try:
        return ip_address(key.rpartition("/")[2])
    except ValueError:
        return None


def last_given(network_name: str) -> str:
    """Return the prefix of the addresses that were given last in a network: one for each IP version."""
    return f"{CLAIMS}last/{network_name}/"


def users(network_name: str) -> str:
    """Return the prefix of the hosts whose Docker has the network."""
    return f"{CLAIMS}users/{network_name}/"


def user(network_name: str, host: str) -> str:
    """Return the key of one such host. Its value is the manager."""
    return users(network_name) + host


def pool(subnet: IPNetwork) -> str:
    """Return the key of a subnet that is reserved for a network that does not exist yet; with a lease."""
    return f"{POOLS}{subnet}"


def pool_of(key: str) -> IPNetwork | None:
    """Return the subnet in such a key; None if there is none in it."""
    try:
        return ip_network(key.removeprefix(POOLS))
    except ValueError:
        return None


def macs(network_name: str) -> str:
    """Return the prefix of a network's MAC addresses: there is one for each of its endpoints."""
    return f"{CLAIMS_MACS}{network_name}/"


def mac(network_name: str, text: str) -> str:
    """Return the key of a MAC address. Its value is the endpoint's id."""
    return macs(network_name) + text
