# SPDX-License-Identifier: Apache-2.0
"""Faults of hosts: what somebody does to their interfaces, rules and sandboxes."""

import contextlib
import random
from collections.abc import Iterator

from fastpath.errors import FastpathError
from tests.chaos.bed import Bed
from tests.chaos.faults import fault
from tests.support.hosts.hosts import Namespace


@fault("hosts", 1, 8)
@contextlib.contextmanager
def interface_down(bed: Bed, choose: random.Random) -> Iterator[str]:
    """The underlay's interface goes down and comes up."""
    host = choose.randrange(len(bed.daemons))
    where = bed.lab.hosts[host]
    with bed.disturbed(bed.pairs_of(host)):
        where.ip("link set u0 down")
        try:
            yield f"u0 of h{host + 1} is down"
        finally:
            where.ip("link set u0 up")


@fault("hosts", 3, 8)
@contextlib.contextmanager
def smaller_mtu(bed: Bed, choose: random.Random) -> Iterator[str]:
    """The underlay's interface takes smaller packets for a while."""
    host = choose.randrange(len(bed.daemons))
    where = bed.lab.hosts[host]
    where.ip("link set u0 mtu 1400")
    try:
        yield f"u0 of h{host + 1} has an MTU of 1400"
    finally:
        where.ip("link set u0 mtu 1500")


@fault("hosts", 1, 8)
@contextlib.contextmanager
def interface_renamed(bed: Bed, choose: random.Random) -> Iterator[str]:
    """The underlay's interface has another name for a while."""
    host = choose.randrange(len(bed.daemons))
    where = bed.lab.hosts[host]
    where.ip("link set u0 name wan0")
    try:
        yield f"u0 of h{host + 1} is called wan0"
    finally:
        where.ip("link set wan0 name u0")


@fault("paths", 4, 8)
@contextlib.contextmanager
def address_changed(bed: Bed, choose: random.Random) -> Iterator[str]:
    """The underlay's interface has another address for a while, as DHCP may give it."""
    host = choose.randrange(len(bed.daemons))
    where, own = bed.lab.hosts[host], bed.daemons[host].vtep
    other = f"192.0.2.{200 + host}"
    with bed.disturbed(bed.pairs_of(host)):
        _replace(where, own, other)
        try:
            yield f"h{host + 1} has the address {other} and no other"
        finally:
            _replace(where, other, own)


def _replace(where: Namespace, old: str, new: str) -> None:
    where.ip(f"address del {old}/24 dev u0")  # first: else the other one goes with it, as its secondary
    where.ip(f"address add {new}/24 dev u0")


@fault("hosts", 2, 5)
@contextlib.contextmanager
def firewall_flushed(bed: Bed, choose: random.Random) -> Iterator[str]:
    """Somebody deletes all rules."""
    host = choose.randrange(len(bed.daemons))
    bed.lab.hosts[host].run("nft", "flush", "ruleset")
    yield f"all firewall rules of h{host + 1} are deleted"


@fault("hosts", 2, 5)
@contextlib.contextmanager
def sandbox_removed(bed: Bed, choose: random.Random) -> Iterator[str]:
    """A container ends without a word: its endpoint has to go."""
    host = choose.randrange(len(bed.daemons))
    sandbox = bed.lab.add(f"gone{choose.randrange(1 << 30):x}")
    try:
        endpoint = bed.join(host, sandbox)
    except FastpathError as error:  # another fault keeps it from being made
        sandbox.remove()
        yield f"a sandbox of h{host + 1} came to no endpoint ({error})"
        return
    bed.forget(endpoint)
    bed.removed.add(endpoint.id)
    sandbox.remove()
    yield f"a sandbox with an endpoint of h{host + 1} is removed"
