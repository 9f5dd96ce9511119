# SPDX-License-Identifier: Apache-2.0
"""Networks whose TCP the kernel carries, with real daemons, rules and programs (docs/kernel-path.md)."""

import contextlib
import ipaddress
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastpath.control.capture.blocks import blocks, packets
from fastpath.control.capture.request import INCOMPLETE, CaptureRequest
from fastpath.control.drivers import naming
from fastpath.control.host.guard.rules import counts, table_of
from fastpath.control.kernel import netns, nftables
from fastpath.control.model.requests import ForwarderElement, ForwarderSet, NetworkSet
from fastpath.kernelpath import unavailable
from tests.attacks import access, vxlan
from tests.support.hosts.hosts import Namespace, ip, reaches, wait_for
from tests.support.servers.site import HostDaemon, Site, links, site
from tests.support.servers.stream import Stream

KERNEL_PORT = 14789

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(2, tmp_path) as made:
        made.start()
        yield made


def carried(daemon: HostDaemon) -> dict[str, int]:
    """The packets that the vxlan devices in the pen of a host sent and received."""
    listed = json.loads(ip("-n", naming.pen_name(daemon.name), "-s", "-json", "link", "show", "type", "vxlan"))
    listed = [each for each in listed if each["ifname"] != naming.tunnel_name(naming.PROBE_VNI)]
    return {
        "sent": sum(each["stats64"]["tx"]["packets"] for each in listed),
        "received": sum(each["stats64"]["rx"]["packets"] for each in listed),
    }


def connect(made: Site) -> tuple[Namespace, Namespace]:
    """A network with the kernel path, and a container of it on each host."""
    (h1, h2), (c1, c2) = made.daemons, made.containers[:2]
    h1.network("web", subnets=["10.9.0.0/24"], kernel_path="tcp")
    for daemon, container in ((h1, c1), (h2, c2)):
        endpoint = daemon.join(container, "web")
        assert endpoint.kernel_path
        assert "veth" in str(links(container)["eth0"]["linkinfo"])
    wait_for(lambda: reaches(c1, "10.9.0.3", 2), "they see each other")
    for daemon in (h1, h2):
        wait_for(lambda daemon=daemon: set(kernel_paths(daemon).values()) == {"up"}, "the path is proven")  # type: ignore[misc]
    return c1, c2


@contextlib.contextmanager
def flowing(made: Site) -> Iterator[Stream]:
    """A stream between two such containers, which goes on to the end; all is well then."""
    c1, c2 = connect(made)
    stream = Stream(c1, c2, "10.9.0.3")
    for daemon in made.daemons:
        wait_for(lambda daemon=daemon: grows(daemon, stream), "the kernel carries it")  # type: ignore[misc]
    yield stream
    stream.end()
    made.settle()


def test_tcp_goes_by_the_kernel_and_all_else_by_the_engine(two: Site) -> None:
    c1, c2 = connect(two)
    h1, h2 = two.daemons
    before = carried(h1)
    assert reaches(c1, "10.9.0.3", 2)
    assert carried(h1) == before, "a ping went by the kernel path"
    stream = Stream(c1, c2, "10.9.0.3")
    for daemon in (h1, h2):
        wait_for(lambda daemon=daemon: grows(daemon, stream), "the kernel carries it")  # type: ignore[misc]
    stream.end()
    for daemon in (h1, h2):  # its port, its peer and its network count what the kernel carried
        stats = daemon.client.stats()
        (segment,) = [each["tally"] for each in stats["segments"] if each["vni"] == 256]
        for counted in (stats["ports"], stats["remotes"], [segment]):
            assert max(size(each["traffic"]) for each in counted) > stream.bytes
        assert stats["kernel_path"]["verdicts"]["to_remote"] > 0
        assert stats["kernel_path"]["traffic"]["rx_bytes"] > 0  # the engine may have carried the beginning
    two.settle()


def size(traffic: dict[str, int]) -> int:
    """The bytes that came and went."""
    return traffic["rx_bytes"] + traffic["tx_bytes"]


def test_tcp_goes_on_without_daemons_and_through_their_restarts(two: Site) -> None:
    h1, h2 = two.daemons
    with flowing(two) as stream:
        pens = {daemon: pen_links(daemon) for daemon in (h1, h2)}
        for daemon in (h1, h2):
            daemon.kill()
        stream.flows()
        sent = carried(h1)["sent"]
        stream.flows()
        assert carried(h1)["sent"] > sent
        for daemon in (h1, h2):
            daemon.start()
            stream.flows()
        assert h2.stop() == 0
        stream.flows()
        h2.start()
        stream.flows()
    for daemon, pen in pens.items():  # nothing was made anew
        assert indexes(pen_links(daemon)) == indexes(pen)


def test_the_last_endpoint_takes_the_pen_away(two: Site) -> None:
    c1, _ = connect(two)
    h1, h2 = two.daemons
    for daemon in (h1, h2):
        for endpoint in daemon.client.endpoints():
            if endpoint.host == daemon.name:
                daemon.client.remove_endpoint(endpoint.id)
        pen = netns.NAMED / naming.pen_name(daemon.name)
        wait_for(lambda pen=pen: not pen.exists(), "the pen is gone")  # type: ignore[misc]
    assert "eth0" not in links(c1)


def test_a_network_leaves_the_kernel_path_and_comes_back(two: Site) -> None:
    h1, h2 = two.daemons
    with flowing(two) as stream:
        h1.client.set_network("web", NetworkSet(kernel_path="off"))
        wait_for(lambda: flags(h1) == flags(h2) == {False}, "both follow")
        stream.flows()
        assert naming.tunnel_name(256) not in pen_links(h1)
        h1.kill()  # the next daemon finds ports without a vxlan device
        h1.start()
        h1.wait(lambda status: status.uptime > 2 * 2.0, "it has compared everything")  # twice its reconcile_interval
        stream.flows()
        h2.client.set_network("web", NetworkSet(kernel_path="tcp"))
        wait_for(lambda: flags(h1) == flags(h2) == {True}, "both follow")
        wait_for(lambda: grows(h1, stream), "the kernel carries it again")


def test_a_blocked_port_is_left_within_a_second_one_way(two: Site) -> None:
    """h1's packets to the second port do not arrive; those of h2 do."""
    h1, h2 = two.daemons
    with flowing(two) as stream:
        wait_for(lambda: grows(h1, stream), "the kernel carries it")
        rule = f"type filter hook prerouting priority -400; ip saddr {h1.vtep} udp dport {KERNEL_PORT} drop"
        h2.host.run("nft", f"table inet blocked {{ chain first {{ {rule}; }}; }}")
        wait_for(lambda: kernel_paths(h1) == {h2.name: "silent"}, "h1 leaves it")
        wait_for(lambda: not grows(h1, stream), "h1's engine carries it")
        assert kernel_paths(h2) == {h1.name: "up"}
        assert grows(h2, stream), "h2's acknowledgements do not go by the kernel"
        h1.wait(lambda status: any(f"the kernel path to {h2.name}" in why for why in status.problems), "it is told")
        h2.host.run("nft", "delete table inet blocked")
        wait_for(lambda: kernel_paths(h1) == {h2.name: "up"}, "h1 uses it again")
        wait_for(lambda: grows(h1, stream), "the kernel carries it again")


@pytest.mark.parametrize(
    ("setting", "problem"), [("kernel_port = 0", ""), ("guard = false", "the guard is off, which checks who sends")]
)
def test_a_host_without_it_carries_all_by_its_engine(two: Site, setting: str, problem: str) -> None:
    """Also what comes and goes at ports that were made with it."""
    h1, h2 = two.daemons
    with flowing(two) as stream:
        assert h1.stop() == 0
        before = h1.config.read_text()
        h1.config.write_text(f"{before}{setting}\n")
        h1.start()
        h1.wait(lambda status: any(problem in why for why in status.problems) or not problem, "it is told")
        wait_for(lambda: naming.tunnel_name(256) not in pen_links(h1), "nobody can send to it")
        wait_for(lambda: flags(h2) == {True, False}, "h2 hears of it")
        wait_for(lambda: not grows(h2, stream), "h2's engine carries it")
        stream.flows()
        assert h1.stop() == 0
        h1.config.write_text(before)
        h1.start()
        wait_for(lambda: grows(h1, stream), "the kernel carries it again")


def test_a_forwarder_sees_all_frames(two: Site) -> None:
    h1, h2 = two.daemons
    hub = ForwarderSet(elements=(ForwarderElement(spec="hub", directory="/"),))
    with flowing(two) as stream:
        h2.client.set_forwarder("web", hub)
        wait_for(
            lambda: {e.kernel_path for e in h1.client.endpoints() if e.host == h2.name} == {False}, "h1 hears of it"
        )
        wait_for(lambda: not grows(h1, stream), "h1's engine carries it")
        assert not grows(h2, stream, "sent")
        h2.client.set_forwarder("web", None)
        wait_for(lambda: grows(h1, stream), "the kernel carries it again")


def test_a_capture_sees_all_frames(two: Site) -> None:
    h2 = two.daemons[1]
    with flowing(two) as stream:
        wait_for(lambda: grows(h2, stream, "received"), "the kernel carries it")
        with h2.client.capture("web", CaptureRequest(filter="tcp port 5000", snaplen=128)) as capture:
            assert "web" in capture.header(INCOMPLETE)
            found = packets(blocks(capture))
            wait_for(lambda: not grows(h2, stream, "received"), "h1's engine carries it")
            assert not grows(h2, stream, "sent")
            sources = {next(found).data[26:30] for _ in range(1000)}
            assert len(sources) == 2, "both directions"
            capture.end()
        wait_for(lambda: grows(h2, stream, "received"), "the kernel carries it again")


def flags(daemon: HostDaemon) -> set[bool]:
    """What a host knows of who is reached by the kernel path."""
    return {endpoint.kernel_path for endpoint in daemon.client.endpoints()}


def indexes(found: dict[str, dict[str, object]]) -> dict[str, object]:
    return {name: link["ifindex"] for name, link in found.items()}


def kernel_paths(daemon: HostDaemon) -> dict[str, str]:
    """What a host knows of the kernel path to each peer."""
    return {peer.host: peer.kernel_path for peer in daemon.client.peers()}


def grows(daemon: HostDaemon, stream: Stream, which: str = "sent") -> bool:
    """Whether the kernel path carries more while the stream flows."""
    before = carried(daemon)[which]
    stream.flows()
    return carried(daemon)[which] > before + 10


def pen_links(daemon: HostDaemon) -> dict[str, dict[str, object]]:
    return links(Namespace("pen", naming.pen_name(daemon.name)))


def test_cleanup_removes_what_a_killed_daemon_left(two: Site) -> None:
    connect(two)
    h1 = two.daemons[0]
    h1.kill()
    h1.host.fastpath("cleanup", "--yes", "--config", str(h1.config))
    assert not (netns.NAMED / naming.pen_name(h1.name)).exists()
    assert "eth0" not in links(two.containers[0])


def test_nobody_else_sends_by_the_kernel_path(two: Site) -> None:
    """Whoever forges a frame of a remote endpoint to a container of this host."""
    c1, _ = connect(two)
    h1, h2 = two.daemons
    there = {endpoint.host: endpoint.mac for endpoint in h1.client.endpoints()}
    inner = vxlan.frame(b"forged", to=there[h1.name], frm=there[h2.name], ethertype=0x0800)
    switch = two.lab.switch
    ip("-n", switch.name, "address", "add", "192.0.2.9/24", "dev", "br0")
    before = carried(h1)
    attacks: list[tuple[HostDaemon, str, Namespace, Callable[[], None]]] = [
        (h1, "not_a_member", switch, lambda: forge(h1, 256, inner)),
        (h1, "not_a_member", switch, lambda: spoof(h2, h1, 257, inner)),
        (h2, "not_the_kernel", h2.host, lambda: forge(h1, 256, inner)),
        (h2, "not_the_kernel", h2.host, lambda: access.as_nobody(lambda: forge(h1, 256, inner))),
        (h2, "not_the_kernel", h2.host, lambda: spoof(h2, h1, 256, inner)),
        (h1, "kernel_looped", h1.host, lambda: forge(h1, 256, inner)),
        (h1, "", c1, lambda: spoof(h2, h1, 256, inner)),  # the gateway's rules drop it
        (h1, "forwarded_to_vtep", c1, lambda: forge(h2, 256, inner)),
    ]
    for daemon, rule, attacker, attack in attacks:
        known = caught(daemon).get(rule, 0)
        attacker.inside(attack)
        assert not rule or caught(daemon)[rule] == known + 1, rule
    assert carried(h1) == before
    two.settle()


def forge(to: HostDaemon, vni: int, inner: bytes) -> None:
    with contextlib.suppress(PermissionError):  # what an own rule drops is told to who sends
        vxlan.forge(to.vtep, vni, inner, udp_port=KERNEL_PORT)


def spoof(frm: HostDaemon, to: HostDaemon, vni: int, inner: bytes) -> None:
    with contextlib.suppress(PermissionError):
        vxlan.spoof(frm.vtep, to.vtep, vni, inner, udp_port=KERNEL_PORT)


def caught(daemon: HostDaemon) -> dict[str, int]:
    """What each rule of the guard has caught."""
    table = table_of(ipaddress.ip_address(daemon.vtep), 4789)
    return {count.name: count.packets for count in daemon.host.inside(lambda: list(counts(nftables.objects(table))))}
