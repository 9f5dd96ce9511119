# SPDX-License-Identifier: Apache-2.0
"""An underlay in a VRF, to which this process does not belong."""

from collections.abc import Iterator

import pytest

from fastpath import RefusedError
from fastpath.control.host.underlay_watch import resolve_vtep
from tests.support.hosts.hosts import ip


@pytest.fixture
def vrf() -> Iterator[None]:
    """The VRF red, and in it the interface d0."""
    ip(*"link add red type vrf table 77".split())
    try:
        ip(*"address add 192.0.2.2/32 dev red".split())
        ip(*"link add d0 master red type dummy".split())
        ip(*"address add 192.0.2.1/24 dev d0".split())
        ip(*"link add d1 type dummy".split())
        ip(*"address add 198.51.100.1/24 dev d1".split())
        yield
    finally:
        for name in ("d0", "d1", "red"):
            ip(*f"link delete {name}".split())


def test_a_vtep_in_a_vrf_is_refused(vrf: None) -> None:
    for text, name in (("d0", "d0"), ("192.0.2.1", "d0"), ("red", "red"), ("192.0.2.2", "red")):
        message = f"^the interface {name} is in the VRF red, which the daemon's sockets are not"
        with pytest.raises(RefusedError, match=message):
            resolve_vtep(text)
    assert resolve_vtep("d1")[1] == "d1"
