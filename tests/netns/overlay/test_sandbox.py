# SPDX-License-Identifier: Apache-2.0
"""Network namespaces by name and by path; anything else is refused."""

import os
import socket
import threading
from pathlib import Path

import pytest

from fastpath import ConflictError, RefusedError, UsageError
from fastpath.control.kernel import netns, sysctl
from fastpath.control.model.objects import Sandbox
from tests.support.hosts.hosts import Lab, ip, namespaces, wait_for
from tests.support.sandboxes import is_alive


def test_a_name_and_paths_mean_the_same(two: Lab) -> None:
    container = two.containers[0]
    process = container.spawn("sleep", "60")
    by_name = netns.resolve(container.name)
    assert by_name.path == f"/run/netns/{container.name}"
    assert netns.resolve(by_name.path) == by_name
    pid = wait_for(container.pids, "sleep is there")[0]
    assert netns.resolve(f"/proc/{pid}/ns/net").inode == by_name.inode
    assert is_alive(by_name)
    process.kill()


@pytest.mark.parametrize(
    "text", ["", ".", "..", "fpt-nowhere", "a/b", "../x", "/etc/passwd", "/dev/zero", "/", "/proc/self/ns/mnt"]
)
def test_what_is_no_network_namespace_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="network namespace"):
        netns.resolve(text)
    assert not is_alive(Sandbox.model_construct(path=text, inode=1))


def test_inside_is_inside_and_outside_stays_outside(two: Lab) -> None:
    container = two.containers[0]
    where = netns.resolve(container.name)
    here = os.stat("/proc/self/ns/net").st_ino
    container.ip("link add v0 type veth peer name v1")
    assert {name for _, name in netns.inside(where, socket.if_nameindex)} == {"lo", "v0", "v1"}
    assert netns.inside(where, lambda: os.stat("/proc/thread-self/ns/net").st_ino) == where.inode
    assert os.stat("/proc/self/ns/net").st_ino == here
    before = Path("/proc/sys/net/ipv4/conf/all/log_martians").read_text()
    assert netns.inside(where, lambda: sysctl.ensure("ipv4/conf/all/log_martians", 1))
    assert not netns.inside(where, lambda: sysctl.ensure("ipv4/conf/all/log_martians", 1))
    assert not netns.inside(where, lambda: sysctl.ensure("ipv4/no/such/thing", 1))
    assert Path("/proc/sys/net/ipv4/conf/all/log_martians").read_text() == before


def test_what_goes_wrong_inside_is_raised_outside(two: Lab) -> None:
    where = netns.resolve(two.containers[0].name)
    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        netns.inside(where, lambda: 1 // 0)
    with pytest.raises(RefusedError, match="No such file"):
        netns.inside(where, lambda: os.stat("/no/such/file"))
    with pytest.raises(ConflictError, match="was removed, and another one has its name now"):
        netns.inside(Sandbox(path=where.path, inode=1), lambda: 1)
    assert threading.active_count() == threads


def test_a_namespace_gets_its_name_when_it_is_ready(two: Lab) -> None:
    name = f"fpt-{os.getpid()}-new"
    seen: list[set[str]] = []
    try:
        with pytest.raises(ZeroDivisionError):
            netns.ensure_namespace(name, lambda: 1 // 0)
        assert name not in namespaces()
        made = netns.ensure_namespace(name, lambda: seen.append(namespaces()))
        assert name not in seen[0]
        assert name in namespaces()
        assert netns.ensure_namespace(name, lambda: 1 // 0) == made
        assert "lo" in ip("-n", name, "link")
        assert Path("/proc/self/mountinfo").read_text().count(f"/run/netns/{name}") >= 1
    finally:
        netns.remove_namespace(name)
    netns.remove_namespace(name)
    assert name not in namespaces()
    assert not Path(f"/run/netns/{name}").exists()
    assert not is_alive(made)
    Path(f"/run/netns/{name}").touch()  # what a process that was killed in between leaves
    again = netns.ensure_namespace(name, lambda: None)
    assert is_alive(again)
    netns.remove_namespace(name)
