# SPDX-License-Identifier: Apache-2.0
"""The key layout, version 1; docs/store.md explains it.

objects/  what every host mirrors: networks, endpoints, peers
claims/   what makes two hosts unable to take one thing: an address or a MAC address of a network
"""

from ipaddress import ip_address, ip_network

from fastpath.addresses import IPAddress
from fastpath.control.model.objects import IPNetwork

ROOT = "/fastpath/v1/"
OBJECTS = ROOT + "objects/"
NETWORKS = OBJECTS + "networks/"
ENDPOINTS = OBJECTS + "endpoints/"
PEERS = OBJECTS + "peers/"
CLAIMS = ROOT + "claims/"
# Put by every commit that makes a network: so that of two at once, the second sees the first.
NETWORKS_GUARD = CLAIMS + "networks"
POOLS = CLAIMS + "pools/"


def network(name: str) -> str:
    """Network, in JSON."""
    return NETWORKS + name


def endpoints(network_name: str) -> str:
    """The prefix of a network's endpoints."""
    return f"{ENDPOINTS}{network_name}/"


def endpoint(network_name: str, identity: str) -> str:
    """Endpoint, in JSON."""
    return endpoints(network_name) + identity


def peer(host: str) -> str:
    """Peer, in JSON; with the host's lease."""
    return PEERS + host


def addresses(network_name: str) -> str:
    """The prefix of a network's addresses that are taken."""
    return f"{CLAIMS}addresses/{network_name}/"


def address(network_name: str, ip: IPAddress) -> str:
    """The id of the endpoint that has the address, or, with a lease, reservations.py's name of a host's Docker."""
    return addresses(network_name) + str(ip)


def address_of(key: str) -> IPAddress | None:
    """Which address such a key is about; None where somebody wrote one that is about none."""
    try:
        return ip_address(key.rpartition("/")[2])
    except ValueError:
        return None


def users(network_name: str) -> str:
    """The prefix of the hosts whose Docker has the network."""
    return f"{CLAIMS}users/{network_name}/"


def user(network_name: str, host: str) -> str:
    """The manager that has the network on this host."""
    return users(network_name) + host


def pool(subnet: IPNetwork) -> str:
    """Who was given this subnet for a network that does not exist yet; with a lease."""
    return f"{POOLS}{subnet}"


def pool_of(key: str) -> IPNetwork | None:
    """Which subnet such a key is about; None where somebody wrote one that is about none."""
    try:
        return ip_network(key.removeprefix(POOLS))
    except ValueError:
        return None


def mac(network_name: str, text: str) -> str:
    """The id of the endpoint that has the MAC address."""
    return f"{CLAIMS}macs/{network_name}/{text}"
