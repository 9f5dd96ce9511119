# SPDX-License-Identifier: Apache-2.0
"""Devices come and go and leave nothing; an invalid command fails with one line and changes nothing."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.support.hosts.hosts import FASTPATH, PREFIX, Lab, Namespace, ip, namespaces, wait_for
from tests.support.launch.process import Process

ADD = ["vxlan", "add", "vx0", "id", "42", "local", "192.0.2.1", "remote", "192.0.2.2"]


def start(host: Namespace, *words: str) -> Process:
    """A device in the foreground, ready."""
    process = host.start_fastpath(*(words or ADD))
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "vxlan id" in line, f"{line}{process.stderr.read() if process.stderr else ''}"
    return process


def traces(host: Namespace) -> dict[str, object]:
    """What a device could leave on this machine."""
    run = Path(os.environ["FASTPATH_RUN_DIR"])
    return {
        "namespaces": {name for name in namespaces() if name.startswith(f"{PREFIX}{os.getpid()}-")},  # others test, too
        "links": host.links(),
        "processes": host.pids(),
        "sockets": host.run("ss", "-Hlunx", "src", "unix:*fastpath*", check=False).stdout,
        "udp": host.run("ss", "-Hlun").stdout,
        "files": sorted(run.rglob("*")),
    }


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("times", [1, 3])
def test_a_signal_ends_it_and_nothing_is_left(two: Lab, how: signal.Signals, times: int) -> None:
    host = two.hosts[0]
    before = traces(host)
    process = start(host)
    assert "vx0" in host.links()
    for _ in range(times):  # an impatient user presses Ctrl-C more than once
        process.send_signal(how)
    assert process.wait(timeout=30) in (0, -how)  # killed while Python itself ends, when all is removed
    assert traces(host) == before


def test_del_returns_when_all_is_gone(two: Lab) -> None:
    host = two.hosts[0]
    before = traces(host)
    for port in ("4789", "4789", "8472"):
        host.fastpath(*ADD, "dstport", port, "maxaddress", "2000000", "-d")
        assert f"dstport {port} " in host.fastpath("vxlan", "show", "vx0").stdout
        host.fastpath("vxlan", "del", "vx0")
        assert "vx0" not in host.links()
    assert traces(host) == before


def test_a_device_does_not_keep_a_containers_namespace(two: Lab) -> None:
    host, container = two.hosts[0], two.containers[0]
    host.fastpath(*ADD, "netns", container.name, "-d")
    assert "vx0" in container.links()
    assert "vx0" not in host.links()
    ip("-n", host.name, *"link add e0 type veth peer name eth0 netns".split(), container.name)
    ip("netns", "delete", container.name)
    ip("netns", "add", container.name)  # the lab wants to remove it
    # Were the namespace still alive, so were the far end of the veth and the device.
    wait_for(lambda: "e0" not in host.links(), "the container's namespace goes")
    wait_for(lambda: not host.pids(), "the device's process ends")


def test_a_renamed_interface_is_shown_by_its_name(two: Lab) -> None:
    host = two.hosts[0]
    host.fastpath(*ADD, "-d")
    ip("-n", host.name, "link", "set", "vx0", "name", "renamed")
    assert [port["name"] for port in host.stats()["ports"]] == ["renamed"]


def test_12_cycles_leave_nothing(two: Lab) -> None:
    host, container = two.hosts[0], two.containers[0]
    before = traces(host), container.links()
    for cycle in range(12):
        if cycle % 3 == 0:
            process = start(host)
            process.terminate()
            assert process.wait(timeout=30) == 0
        else:
            host.fastpath(*ADD, "netns", container.name, "-d")
            container.address("10.9.0.1/24")
            host.fastpath("vxlan", "del", "vx0")
        wait_for(lambda: (traces(host), container.links()) == before, "all traces of the device are gone")


def test_after_kill_9_the_next_one_starts(two: Lab) -> None:
    host = two.hosts[0]
    before = traces(host)
    process = start(host)
    process.kill()
    process.wait(timeout=30)
    wait_for(lambda: "vx0" not in host.links(), "the kernel removes the interface")
    again = start(host)
    again.terminate()
    assert again.wait(timeout=30) == 0
    assert traces(host) == before


def test_deleting_the_interface_ends_the_process(two: Lab) -> None:
    host = two.hosts[0]
    process = start(host)
    ip("-n", host.name, "link", "delete", "vx0")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors == "fastpath: vx0 ended: the interface vx0 was deleted\n"


def test_the_interface_works_after_it_was_moved(two: Lab) -> None:
    for number, (host, container) in enumerate(zip(two.hosts, two.containers, strict=True), 1):
        host.fastpath(*f"vxlan add vx0 id 42 local 192.0.2.{number} remote 192.0.2.{3 - number} -d".split())
        ip("-n", host.name, "link", "set", "vx0", "netns", container.name)
        container.address(f"10.9.0.{number}/24")
    two.containers[0].run("ping", "-c", "2", "-i", "0.2", "10.9.0.2")
    # The container's namespace dies, and the interface with it: the process notices and ends.
    pids = two.hosts[0].pids()
    two.containers[0].run("ip", "link", "set", "vx0", "down")
    ip("netns", "delete", two.containers[0].name)
    ip("netns", "add", two.containers[0].name)  # the lab wants to remove it
    wait_for(lambda: not set(pids) & set(two.hosts[0].pids()), "the device's process ends")


def test_the_interface_works_in_a_bridge(two: Lab) -> None:
    for number, (host, container) in enumerate(zip(two.hosts, two.containers, strict=True), 1):
        host.fastpath(*f"vxlan add vx0 id 42 local 192.0.2.{number} remote 192.0.2.{3 - number} -d".split())
        ip("-n", host.name, "link", "add", "br0", "type", "bridge")
        ip("-n", host.name, *"link add e0 type veth peer name eth0 netns".split(), container.name)
        for device in ("vx0", "e0"):
            ip("-n", host.name, "link", "set", device, "master", "br0", "up")
        ip("-n", host.name, "link", "set", "br0", "up")
        ip("-n", container.name, "link", "set", "eth0", "mtu", "1450")
        container.address(f"10.9.0.{number}/24", device="eth0")
    c1, c2 = two.containers
    c1.run("ping", "-c", "3", "-i", "0.2", "10.9.0.2")
    here, there = (json.loads(ip("-n", c.name, "-json", "link", "show", "eth0"))[0]["address"] for c in (c1, c2))
    listed = two.hosts[0].fastpath("fdb", "show", "dev", "vx0").stdout
    assert f"{there} dst 192.0.2.2 self" in listed.splitlines()
    assert here not in listed  # as the kernel's device, it knows what is elsewhere


def test_at_rest_the_worker_sleeps(two: Lab) -> None:
    host = two.hosts[0]
    process = start(host)

    def switches() -> dict[str, str]:
        """How often each worker thread was scheduled, by its own count."""
        found = {}
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            counts = re.findall(r"ctxt_switches:\t(\d+)", (task / "status").read_text())
            found[task.name] = f"{(task / 'comm').read_text().strip()} {counts}"
        return found

    def at_rest() -> bool:
        """Whether all but one slept for two seconds: only the slow timer may have run."""
        before = switches()
        assert len(before) >= 3, "the main thread, a worker, the housekeeper"
        two.hosts[1].run("sleep", "2")
        after = switches()
        return sum(before[task] != after[task] for task in before) <= 1

    wait_for(at_rest, "it comes to rest, once it is up and its interface has said what it has to")


BAD = {
    "wrong word": (["vxlan", "add", "vx0", "id", "42", "remot", "192.0.2.2"], 'did you mean "remote"?'),
    "VNI out of range": (["vxlan", "add", "vx0", "id", "16777216"], "id VNI, 0 to 16777215"),
    "VNI no number": (["vxlan", "add", "vx0", "id", "many"], "id VNI, 0 to 16777215"),
    "no VNI": (["vxlan", "add", "vx0", "remote", "192.0.2.2"], "id is missing"),
    "value missing": (["vxlan", "add", "vx0", "id"], '"id" needs a value'),
    "word twice": (["vxlan", "add", "vx0", "id", "1", "id", "2"], '"id" is given twice'),
    "remote twice": ([*ADD, "remote", "192.0.2.2"], "a remote is given twice"),
    "a group's address": (["vxlan", "add", "vx0", "id", "1", "local", "239.1.1.1"], "239.1.1.1 is a multicast address"),
    "no address": (["vxlan", "add", "vx0", "id", "1", "local", "here"], '"here" is not an IP address'),
    "two families": ([*ADD, "remote", "2001:db8::2"], "of different families"),
    "name taken": (["vxlan", "add", "u0", "id", "1"], "an interface named u0 exists already"),
    "no name": (["vxlan", "add", "a/b", "id", "1"], "cannot be an interface name"),
    "long name": (["vxlan", "add", "sixteencharacter", "id", "1"], "cannot be an interface name"),
    "no namespace": ([*ADD, "netns", "fpt-nowhere"], 'no network namespace "fpt-nowhere"'),
    "mtu": ([*ADD, "mtu", "60"], "mtu BYTES, 68 to 65485, or 65505 over IPv6"),
    "mtu of IPv4": ([*ADD, "mtu", "65486"], "mtu BYTES, 68 to 65485, or 65505 over IPv6"),
    "txqueuelen": ([*ADD, "txqueuelen", "0"], "txqueuelen FRAMES, 1 to 100000"),
    "srcport": ([*ADD, "srcport", "9", "5"], "MIN must not be greater than MAX"),
    "both learning": ([*ADD, "learning", "nolearning"], "exclude each other"),
    "ttl": ([*ADD, "ttl", "256"], "ttl 1 to 255, or ttl auto"),
    "no device": (["fdb", "show", "dev", "vx9"], "no fastpath device named vx9 runs here"),
    "stats of nothing": (["stats", "vx9"], "no fastpath device named vx9 runs here"),
    "del nothing": (["vxlan", "del", "vx9"], "no fastpath device named vx9 runs here"),
    "path as name": (["stats", "../x"], "cannot be an interface name"),
    "no mac": (["fdb", "add", "02:00", "dev", "vx0"], "is not a MAC address"),
    "fdb without dev": (["fdb", "add", "02:00:00:00:00:01"], "dev is missing"),
}


def test_bad_input_gives_one_line_and_changes_nothing(two: Lab) -> None:
    host = two.hosts[0]
    before = traces(host)
    for name, (words, message) in BAD.items():
        for more in ([], ["-d"]) if words[:2] == ["vxlan", "add"] else ([],):
            done = host.fastpath(*words, *more, check=False)
            assert done.returncode == 2, name
            assert done.stdout == "", name
            assert done.stderr.startswith("fastpath: "), name
            assert done.stderr.count("\n") == 1, f"{name}: {done.stderr}"
            assert message in done.stderr, f"{name}: {done.stderr}"
        assert traces(host) == before, name


def test_a_port_in_use_and_a_name_in_use_are_refused(two: Lab) -> None:
    host = two.hosts[0]
    process = start(host)
    before = traces(host)
    for words, message in (
        (["vxlan", "add", "vx1", "id", "42", "local", "192.0.2.1"], "UDP port 4789 on 192.0.2.1 is in use"),
        (["vxlan", "add", "vx1", "id", "42"], "UDP port 4789 on 0.0.0.0 is in use"),
        (["vxlan", "add", "vx0", "id", "42", "dstport", "8472"], "a fastpath device named vx0 runs here already"),
    ):
        done = host.fastpath(*words, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
        assert traces(host) == before
    process.terminate()
    assert process.wait(timeout=30) == 0


def test_without_privilege_it_says_so(two: Lab) -> None:
    host = two.hosts[0]
    before = traces(host)
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]  # root, but without a single capability
    done = host.run(*bare, *FASTPATH, *ADD, check=False)
    assert done.returncode == 2, done.stderr
    assert "run as root" in done.stderr
    assert done.stderr.count("\n") == 1
    assert traces(host) == before


def test_only_root_can_open_the_control_socket(two: Lab) -> None:
    host = two.hosts[0]
    process = start(host)
    sockets = list(Path(os.environ["FASTPATH_RUN_DIR"]).rglob("*.sock"))
    assert [oct(path.stat().st_mode & 0o777) for path in sockets] == ["0o600"]
    assert [oct(path.parent.stat().st_mode & 0o777) for path in sockets] == ["0o700"]
    process.terminate()
    assert process.wait(timeout=30) == 0
