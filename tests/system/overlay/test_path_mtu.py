# SPDX-License-Identifier: Apache-2.0
"""Paths between hosts that take less than their interfaces: found by probes, and told to containers."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.attacks import path_errors
from tests.support.hosts.hosts import DEADLINE_S, Namespace, wait_for
from tests.support.servers.site import HostDaemon, Site, links, site

SIZE = 3_000_000  # bytes
TABLE = "inet narrow"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two hosts with a container each, and all known of each other."""
    with site(2, tmp_path_factory.mktemp("site")) as made:
        made.start()
        h1, h2 = made.daemons
        for each in (h1, h2):  # a train would be seen as one long packet
            each.host.run("ethtool", "-K", "u0", "gso", "off", "tso", "off", "tx-udp-segmentation", "off", "gro", "off")
        h1.network("web", subnets=["10.9.0.0/24", "fd00:9::/64"])
        first, second = h1.join(made.containers[0], "web"), h2.join(made.containers[1], "web")
        h1.knows(second)
        h2.knows(first)
        yield made


@contextmanager
def narrow(host: Namespace, size: int) -> Iterator[None]:
    """Within, `host` hears nothing of longer packets of the overlay, and nobody is told: a black hole."""
    host.run("nft", f"add table {TABLE}")
    host.run("nft", f"add chain {TABLE} in {{ type filter hook prerouting priority -500; }}")
    host.run("nft", f"add rule {TABLE} in udp dport 4789 meta length > {size} drop")
    try:
        yield
    finally:
        host.run("nft", f"delete table {TABLE}")


def carried(one: Namespace, two: Namespace, address: str) -> int:
    """How many of SIZE bytes arrive by TCP from one container at another one."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    got = 0
    with two.inside(lambda: socket.create_server((address, 7000), family=family)) as server:
        server.settimeout(DEADLINE_S)
        out = one.inside(lambda: socket.create_connection((address, 7000), DEADLINE_S))

        def send() -> None:
            out.sendall(bytes(SIZE))
            out.close()

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        there, _ = server.accept()
        with there:
            there.settimeout(DEADLINE_S)
            while data := there.recv(1 << 16):
                got += len(data)
        sender.join(DEADLINE_S)
    return got


def knows_path(daemon: HostDaemon, mtus: list[int]) -> None:
    daemon.wait(lambda status: list(status.smaller_paths.values()) == mtus, f"it knows {mtus}")


def test_a_black_hole_is_found_and_left(two: Site) -> None:
    h1, h2 = two.daemons
    c1, c2 = two.containers
    with narrow(h2.host, 1387):
        knows_path(h1, [1387])
        assert h1.client.status().healthy
        assert h1.client.peers()[0].path_mtu == 1387
        assert h2.client.peers()[0].path_mtu is None  # the other direction is as it was
        assert links(c1)["eth0"]["mtu"] == 1450
        refused = c1.run("ping", "-M", "do", "-c1", "-W9", "-s", "1310", "10.9.0.3", check=False)
        assert "mtu = 1337" in refused.stdout + refused.stderr or "mtu=1337" in refused.stdout + refused.stderr
        assert carried(c1, c2, "10.9.0.3") == SIZE
        assert carried(c1, c2, "fd00:9::3") == SIZE
        assert carried(c2, c1, "10.9.0.2") == SIZE
        assert c1.run("ping", "-M", "dont", "-c1", "-W60", "-s", "1400", "10.9.0.3").returncode == 0
    knows_path(h1, [])
    assert carried(c1, c2, "10.9.0.3") == SIZE


def test_forged_messages_change_no_path(two: Site) -> None:
    h1, h2 = two.daemons
    c1, before = two.containers[0], h1.counters().get("exceeds_path", 0)
    c1.ip("route flush cache")  # it may have been told by another test
    local = f"{h1.vtep}:"
    shown = h1.host.run("ss", "-Huan").stdout.split()
    ports = [int(word.removeprefix(local)) for word in shown if word.startswith(local)]
    assert len(ports) > 1
    for port in ports:
        h2.host.inside(lambda port=port: path_errors.tell(h1.vtep, h2.vtep, port))  # type: ignore[misc]
    wait_for(lambda: "mtu" in h1.host.ip(f"route get {h2.vtep}"), "the kernel believes it")
    h1.host.ip("link add other type bridge")  # a reason to look at the underlay
    assert c1.run("ping", "-M", "do", "-c5", "-i1", "-W60", "-s", "1422", "10.9.0.3").returncode == 0
    status = h1.client.status()
    assert (status.underlay_mtu, status.smaller_paths) == (1500, {})
    assert links(c1)["eth0"]["mtu"] == 1450
    assert h1.counters().get("exceeds_path", 0) == before
