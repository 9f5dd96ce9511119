# SPDX-License-Identifier: Apache-2.0
"""The bed finds what is planted: each check fails when what it stands for does not hold."""

import contextlib
import json
from collections.abc import Callable, Iterator

import pytest

from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint
from fastpath.control.model.requests import OverlayFdbLine
from tests.chaos import checks
from tests.chaos.bed import NETWORK, Bed
from tests.support.hosts.hosts import Namespace, ip, wait_for

OTHER_ID, OTHER_MAC, OTHER_ADDRESS = "0123456789abcdef", "02:00:00:00:00:99", "10.9.99.99/16"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with Bed(2, tmp_path_factory.mktemp("chaos")) as made:
        made.prepare()
        made.populate()
        yield made


def found(check: Callable[[Bed], list[str]], bed: Bed, text: str) -> None:
    """Wait until a check says something with a text in it."""
    wait_for(lambda: any(text in sentence for sentence in check(bed)), f"it is said that {text}")


def clean(check: Callable[[Bed], list[str]], bed: Bed) -> None:
    """Wait until a check finds nothing."""
    wait_for(lambda: not check(bed), f"{check.__name__} finds nothing")


@contextlib.contextmanager
def put(bed: Bed, key: str, value: bytes) -> Iterator[None]:
    """Write something into the store, for a while."""
    bed.members[0].put(key, value)
    try:
        yield
    finally:
        bed.members[0].delete(key)


def one(bed: Bed) -> Endpoint:
    """An endpoint that stays."""
    return bed.stored_endpoints()[0]


def test_all_is_well_without(bed: Bed) -> None:
    for check in (checks.talking, checks.unique, checks.claimed, checks.agreed, checks.interfaces):
        clean(check, bed)


@pytest.mark.parametrize("what", ["address", "mac"])
def test_given_twice(bed: Bed, what: str) -> None:
    again = one(bed).model_dump(mode="json") | {"id": OTHER_ID, "host": "elsewhere"}
    again |= {"mac": OTHER_MAC} if what == "address" else {"addresses": [OTHER_ADDRESS]}
    planted = Endpoint.model_validate(again)
    text = str(planted.addresses[0].ip) if what == "address" else planted.mac
    with put(bed, keys.endpoint(NETWORK, OTHER_ID), planted.model_dump_json().encode()):
        found(checks.unique, bed, f"{text} of {NETWORK} is there 2 times")
        found(checks.claimed, bed, f"belongs to {OTHER_ID}")
    clean(checks.unique, bed)


def test_a_vni_given_twice(bed: Bed) -> None:
    again = bed.stored_networks()[0].model_copy(update={"name": "again"})
    with put(bed, keys.network("again"), again.model_dump_json().encode()):
        found(checks.unique, bed, f"the VNI {again.vni} is there 2 times")
    clean(checks.agreed, bed)


def test_a_claim_of_nobody(bed: Bed) -> None:
    with put(bed, keys.mac(NETWORK, OTHER_MAC), OTHER_ID.encode()):
        found(checks.claimed, bed, "nobody has it")
    clean(checks.claimed, bed)


def test_an_endpoint_that_comes_back(bed: Bed) -> None:
    bed.removed.add(one(bed).id)
    found(checks.agreed, bed, "was removed, and is there")
    bed.removed.clear()


def test_an_endpoint_that_is_lost(bed: Bed) -> None:
    bed.acknowledged[OTHER_ID] = one(bed).model_copy(update={"id": OTHER_ID})
    found(checks.agreed, bed, "was made, and is gone")
    del bed.acknowledged[OTHER_ID]


def test_a_stale_entry(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    away = next(end for end in bed.stored_endpoints() if end.host != bed.daemons[0].name)
    stale = [
        OverlayFdbLine(network=NETWORK, mac=mac, dst="192.0.2.77", state="permanent") for mac in (away.mac, OTHER_MAC)
    ]
    fdb = bed.daemons[0].client.fdb
    monkeypatch.setattr(
        bed.daemons[0].client,
        "fdb",
        lambda network: [*(line for line in fdb(network) if line.mac != away.mac), *stale],
    )
    found(checks.agreed, bed, f"sends frames for {away.mac} to 192.0.2.77")
    found(checks.agreed, bed, f"sends frames for {OTHER_MAC} to 192.0.2.77, and nobody has it")


def test_a_daemon_that_hangs(bed: Bed) -> None:
    daemon = bed.daemons[1]
    daemon.kill()
    try:
        found(checks.agreed, bed, f"{daemon.name} does not answer")
    finally:
        daemon.start()
    clean(checks.agreed, bed)


@contextlib.contextmanager
def dropped(where: Namespace, rule: str) -> Iterator[None]:
    """A rule in a container, for a while."""
    where.run("nft", "add table inet planted")
    where.run("nft", "add chain inet planted in { type filter hook input priority 0 ; }")
    where.run("nft", f"add rule inet planted in {rule}")
    try:
        yield
    finally:
        where.run("nft", "delete table inet planted")


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_container_that_hears_nothing(bed: Bed, kind: str) -> None:
    with dropped(bed.lab.containers[0], f"meta l4proto {kind} drop"):
        found(checks.talking, bed, f" by {kind} for ")
    clean(checks.talking, bed)


def test_a_connection_that_breaks(bed: Bed) -> None:
    with dropped(bed.lab.containers[0], "meta l4proto tcp reject with tcp reset"):
        found(checks.talking, bed, "broke: ")
    clean(checks.talking, bed)


def test_an_interface_that_is_left(bed: Bed) -> None:
    name = bed.spares[0][0].name
    ip("-n", name, "link", "add", "left", "type", "bridge")
    found(checks.interfaces, bed, f"{name} has no endpoint, and there is left")
    ip("-n", name, "link", "del", "left")
    clean(checks.interfaces, bed)


def test_an_interface_that_is_missing(bed: Bed) -> None:
    planted = one(bed).model_dump(mode="json") | {"id": OTHER_ID, "host": "elsewhere", "mac": OTHER_MAC}
    planted |= {"addresses": [OTHER_ADDRESS]}
    planted["sandbox"]["path"] = f"/run/netns/{bed.spares[0][1].name}"
    with put(bed, keys.endpoint(NETWORK, OTHER_ID), json.dumps(planted).encode()):
        found(checks.interfaces, bed, f"{bed.spares[0][1].name} has an endpoint and no eth0")


def test_traces(bed: Bed) -> None:
    daemon = bed.daemons[0]
    before = checks.traces(daemon)
    assert checks.left(before, before) == []
    name = f"fastpath-{daemon.name}-left"
    ip("-n", daemon.host.name, "link", "add", "left", "type", "bridge")
    daemon.host.run("nft", "add", "table", "inet", "left")
    ip("netns", "add", name)
    try:
        said = checks.left(before, checks.traces(daemon))
    finally:
        ip("netns", "del", name)
        daemon.host.run("nft", "delete", "table", "inet", "left")
        ip("-n", daemon.host.name, "link", "del", "left")
    assert said == ["the interface left is left", "the table inet left is left", f"the namespace {name} is left"]
    fewer = checks.Traces(before.links, before.tables, before.namespaces, before.fds - 2 * checks.MORE_FDS, 0)
    assert checks.left(fewer, before) == [f"{before.fds} descriptors are open, and there were {fewer.fds}"]


def test_a_key_that_is_left(bed: Bed) -> None:
    with put(bed, keys.address("gone", one(bed).addresses[0].ip), OTHER_ID.encode()):
        found(checks.left_in_store, bed, "claims/addresses/gone/")
