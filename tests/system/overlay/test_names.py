# SPDX-License-Identifier: Apache-2.0
"""Containers find each other by name, on two hosts with a daemon each: docs/operators/names.md."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from fastpath.control.model.choices import Layout
from tests.support.hosts.hosts import Namespace, ip, namespaces, wait_for
from tests.support.servers.site import SETTINGS, Site, links, pinged, site

LAYOUTS: list[Layout] = ["direct", "bridge"]
both = pytest.mark.parametrize("layout", LAYOUTS)
GATEWAY, GATEWAY_V6 = "10.1.0.1", "fd00:1::1"
SUBNETS = ("10.1.0.0/24", "fd00:1::/64")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(2, tmp_path) as made:
        made.start()
        yield made


def asked(where: Namespace, name: str, kind: str = "A", server: str = GATEWAY, *, tcp: bool = False) -> list[str]:
    """What a container is answered: records, or the error."""
    ask = dns.query.tcp if tcp else dns.query.udp
    query = dns.message.make_query(name, kind)

    def attempt() -> dns.message.Message | None:
        with contextlib.suppress(dns.exception.Timeout, OSError):
            return where.inside(lambda: ask(query, server, timeout=1))
        return None

    answer = wait_for(attempt, f"{server} answers {name}")  # again and again, as everybody asks
    assert answer is not None
    if answer.rcode() != dns.rcode.NOERROR:
        return [dns.rcode.to_text(answer.rcode())]
    return sorted(str(record) for rrset in answer.answer for record in rrset)


def joined(two: Site, layout: Layout, name: str = "blue") -> None:
    """The container c1 of h1 and c2 of h2, called web, in one network."""
    h1, h2 = two.daemons
    h1.network(name, layout=layout, subnets=SUBNETS)
    h2.wait(lambda status: status.networks > 0, "knows the network")
    h1.join(two.containers[0], name, hostnames=["web", "www"])
    h1.knows(h2.join(two.containers[1], name, hostnames=["db"]))


@both
def test_containers_of_two_hosts_know_each_others_names(two: Site, layout: Layout) -> None:
    joined(two, layout)
    c1, c2 = two.containers
    assert asked(c1, "db") == ["10.1.0.3"]
    assert asked(c2, "web") == asked(c2, "www.blue") == ["10.1.0.2"]
    assert asked(c2, "web", tcp=True) == ["10.1.0.2"]
    assert asked(c1, "db", "AAAA") == ["fd00:1::3"]
    assert asked(c1, "db", "AAAA", GATEWAY_V6) == ["fd00:1::3"]
    assert asked(c1, "3.0.1.10.in-addr.arpa", "PTR") == ["db.blue."]
    assert asked(c1, "nobody.blue") == ["NXDOMAIN"]
    for daemon, host in zip(two.daemons, two.lab.hosts, strict=True):
        daemon.healthy()
        daemon.resolver("blue")
        assert "br0" not in links(host)

    two.daemons[1].client.remove_endpoint(two.daemons[1].client.endpoints("blue")[1].id)
    wait_for(lambda: asked(c1, "db.blue") == ["NXDOMAIN"], "h1 knows that one is gone")
    wait_for(lambda: f"fastpath-{two.daemons[1].name}-blue" not in namespaces(), "h2 has none of it any more")


@both
def test_a_killed_daemons_resolver_is_taken_over(two: Site, layout: Layout) -> None:
    joined(two, layout)
    h1 = two.daemons[0]
    h1.kill()
    h1.start()
    h1.healthy()
    wait_for(lambda: asked(two.containers[0], "db") == ["10.1.0.3"], "c1 is answered")


def test_a_resolver_that_is_damaged_comes_back(two: Site) -> None:
    joined(two, "direct")
    there = two.daemons[0].resolver("blue")
    before = links(there)["br0"]["ifindex"]
    there.ip("link delete br0")
    wait_for(lambda: links(there).get("br0", {}).get("ifindex") not in (None, before), "br0 is back")
    wait_for(lambda: asked(two.containers[0], "db") == ["10.1.0.3"], "c1 is answered")
    two.daemons[0].healthy()


def test_names_are_those_of_the_namespaces_unless_somebody_says_otherwise(two: Site) -> None:
    h1 = two.daemons[0]
    h1.network("blue", subnets=SUBNETS[:1])
    made = h1.join(two.containers[0], "blue")
    assert made.names == (two.containers[0].name,)
    assert asked(two.containers[0], made.names[0]) == ["10.1.0.2"]


def test_other_names_are_asked_of_the_servers_that_are_named(tmp_path: Path) -> None:
    settings = 'dns_servers = ["192.0.2.99"]\n' + SETTINGS
    with site(1, tmp_path, settings=settings) as made:
        made.start()
        h1 = made.daemons[0]
        h1.network("blue", subnets=SUBNETS[:1])
        h1.join(made.containers[0], "blue")
        made.lab.hosts[0].address("192.0.2.99/32", device="lo")
        server = made.lab.hosts[0].spawn("python3", "-c", ONE_ANSWER)
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            assert asked(made.containers[0], "far.example.com") == ["198.51.100.7"]
        finally:
            server.kill()
            server.communicate()


# A server of one answer, made of the question, as RFC 1035 has it.
ONE_ANSWER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("192.0.2.99", 53))
print("ready", flush=True)
while True:
    data, who = sock.recvfrom(600)
    record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\5\\0\\4" + bytes([198, 51, 100, 7])
    end = data.index(0, 12) + 5
    sock.sendto(data[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + data[12:end] + record, who)
"""


def test_without_resolvers_nothing_is_there(tmp_path: Path) -> None:
    with site(1, tmp_path, settings="dns = false\n" + SETTINGS) as made:
        made.start()
        h1 = made.daemons[0]
        h1.network("blue", subnets=SUBNETS[:1])
        h1.join(made.containers[0], "blue")
        assert f"fastpath-{h1.name}-blue" not in namespaces()


def test_a_host_without_resolvers_is_answered_by_another(two: Site) -> None:
    h2 = two.daemons[1]
    h2.stop()
    h2.config.write_text("dns = false\n" + h2.config.read_text())
    h2.start()
    two.settle()
    joined(two, "direct")
    assert asked(two.containers[1], "web") == ["10.1.0.2"]


def test_what_was_switched_off_is_cleared_up(tmp_path: Path) -> None:
    with site(1, tmp_path) as made:
        made.start()
        h1 = made.daemons[0]
        h1.network("blue", subnets=SUBNETS[:1])
        h1.join(made.containers[0], "blue")
        h1.resolver("blue")
        h1.stop()
        h1.config.write_text("dns = false\n" + h1.config.read_text())
        h1.start()
        wait_for(lambda: f"fastpath-{h1.name}-blue" not in namespaces(), "it is removed")
        h1.healthy()


def test_where_there_can_be_no_resolver_containers_do_without(two: Site) -> None:
    h1 = two.daemons[0]
    taken = f"fastpath-{h1.name}-blue"
    ip("netns", "add", taken)  # somebody else's
    joined(two, "direct")
    assert pinged(two.containers[0], "10.1.0.3") == 3
    h1.wait(
        lambda status: any("the network blue has no resolver" in problem for problem in status.problems), "it says so"
    )
    ip("netns", "delete", taken)
    h1.healthy()
    assert asked(two.containers[0], "db") == ["10.1.0.3"]
