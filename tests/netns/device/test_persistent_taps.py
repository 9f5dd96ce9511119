# SPDX-License-Identifier: Apache-2.0
"""A TAP that outlives its process, and the next process that takes it over."""

import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from fastpath import ConflictError, Engine
from fastpath.control.kernel import netns
from tests.support.hosts.hosts import Lab, Namespace, ip


def holder(lab: Lab, verb: str, workers: int) -> subprocess.Popen[str]:
    names = [container.name for container in lab.containers]
    words = [sys.executable, "-m", "tests.support.hosts.tap_holder", verb, str(workers), *names]
    return lab.hosts[0].spawn(*words, stdin=subprocess.PIPE)


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready [1400, 1400]\n", process.communicate()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def state(where: Namespace) -> Any:
    """What must stay as it was: name, MAC, MTU, addresses, routes."""
    link = json.loads(ip("-n", where.name, "-d", "-json", "address", "show", "dev", "eth0"))[0]
    kept = {key: link[key] for key in ("ifname", "ifindex", "address", "mtu")}
    # Not what the kernel still finds out of an address, as whether another has its link-local one.
    kept["addresses"] = [(each["local"], each["prefixlen"]) for each in link["addr_info"] if each["scope"] == "global"]
    return kept, json.loads(ip("-n", where.name, "-json", "route"))


def address_them(lab: Lab) -> None:
    for number, container in enumerate(lab.containers, 1):
        container.address(f"10.9.0.{number}/24", f"fd00:9::{number}/64", device="eth0")


def connection(lab: Lab) -> tuple[socket.socket, socket.socket]:
    """A TCP connection between the two containers."""
    left, right = lab.containers
    listener = right.inside(lambda: socket.create_server(("10.9.0.2", 7)))
    with listener:
        client = left.inside(lambda: socket.create_connection(("10.9.0.2", 7), 30))
        server, _ = listener.accept()
    for end in (client, server):
        end.settimeout(30)
    return client, server


@pytest.mark.parametrize("workers", [(1, 1), (2, 1), (1, 2)])
def test_a_connection_survives_kill_9(two: Lab, workers: tuple[int, int]) -> None:
    process = holder(two, "make", workers[0])
    ready(process)
    address_them(two)
    client, server = connection(two)
    with client, server:
        client.sendall(b"before")
        assert server.recv(16) == b"before"
        before = [state(container) for container in two.containers]
        kill(process)
        client.sendall(b"meanwhile")
        process = holder(two, "adopt", workers[1])
        ready(process)
        assert server.recv(16) == b"meanwhile"
        server.sendall(b"after")
        assert client.recv(16) == b"after"
        assert [state(container) for container in two.containers] == before
    process.communicate("remove\n")
    assert [container.links() for container in two.containers] == [{"lo"}, {"lo"}]


def test_what_another_process_holds_is_refused(two: Lab) -> None:
    process = holder(two, "make", 1)
    ready(process)
    second = holder(two, "adopt", 1)
    assert "eth0 is in use by another process" in second.communicate()[1]
    address_them(two)
    for end in connection(two):  # the first one is none the worse
        end.close()
    process.communicate("end\n")  # closes: the interfaces stay
    assert [container.links() for container in two.containers] == [{"lo", "eth0"}, {"lo", "eth0"}]


def test_what_is_no_tap_of_ours_is_refused(two: Lab) -> None:
    container = two.containers[0]
    container.ip("link add v0 type veth peer name v1")
    container.ip("tuntap add t0 mode tun")
    container.ip("tuntap add t1 mode tap")
    container.ip("tuntap add t2 mode tap multi_queue vnet_hdr pi")
    container.ip("tuntap add t3 mode tap multi_queue vnet_hdr")
    before = container.links()
    with Engine("127.0.0.1", udp_port=4799) as engine:
        segment = engine.add_segment(300)

        def adopt(name: str) -> str:
            with pytest.raises(Exception, match=name) as caught:
                netns.inside(f"/run/netns/{container.name}", lambda: segment.adopt_tap(name))
            return f"{caught.type.__name__}: {caught.value}"

        assert "ConflictError: the interface v0 is not a TAP" in adopt("v0")
        assert "ConflictError: the interface t0 is not a TAP" in adopt("t0")
        assert "ConflictError: the TAP t1 was not made by fastpath" in adopt("t1")
        assert "ConflictError: the TAP t2 was not made by fastpath" in adopt("t2")
        assert "there is no interface named t9" in adopt("t9")
        port = netns.inside(f"/run/netns/{container.name}", lambda: segment.adopt_tap("t3"))
        assert (port.name, port.mtu, port.persist) == ("t3", 1500, True)
        assert "ConflictError: the interface t3 is in use" in adopt("t3")
        port.mtu_changed(1300)
        assert segment.ports[0].mtu == 1300
        assert container.links() == before
        port.persist = False
        segment.remove_port(port)
        assert container.links() == before - {"t3"}
        with pytest.raises(ConflictError):
            port.persist = True
