# SPDX-License-Identifier: Apache-2.0
"""The overlay as its users see it: hosts with daemons, containers, one store."""

import asyncio
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.control.host.announcer import AFTER_S
from fastpath.control.host.guard.rules import MARK
from fastpath.control.model.objects import Peer
from fastpath.control.model.requests import EndpointCreate
from fastpath.control.store.interface import Put
from fastpath.control.store.sqlite.store import SqliteStore
from fastpath.errors import FastpathError
from tests.support.hosts.hosts import Namespace, ip, reaches, wait_for
from tests.support.servers.site import Site, links, pinged, site


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(2, tmp_path) as made:
        made.start()
        yield made


@pytest.mark.parametrize("kernel_path", ["off", "tcp"])
def test_every_port_is_named_by_its_container(two: Site, kernel_path: str) -> None:
    """With and without the kernel path: interfaces are all called eth0, or have names that nobody gave."""
    h1, h2 = two.daemons
    for name in ("web", "db"):
        h1.network(name, kernel_path=kernel_path)
        h2.wait(lambda status: True)
    more = two.lab.add("more")
    ends = [h1.join(two.containers[0], "web"), h1.join(more, "web")]
    ends += [h1.join(two.containers[0], "db", name="db0"), h1.join(more, "db", name="db0")]
    stats = h1.client.stats()
    vnis = {info.network.name: info.network.vni for info in h1.client.networks()}
    labels = [(port["segment"], port["label"]) for port in stats["ports"] if port["label"] is not None]
    assert {(vnis[end.network], end.label) for end in ends} <= set(labels)
    assert {end.label for end in ends} == {two.containers[0].name, more.name}
    assert len(labels) == len(set(labels))
    wait_for(lambda: {line.endpoint for line in h1.client.fdb("web")} >= {end.label for end in ends}, "the FDB, too")


@pytest.mark.parametrize(
    ("layout", "kernel_path"),
    [("direct", "off"), ("direct", "tcp"), ("bridge", "off")],
    ids=["direct", "pen", "bridge"],
)
def test_what_somebody_changed_is_put_back_and_told_once(two: Site, layout: str, kernel_path: str) -> None:
    h1, c1 = two.daemons[0], two.containers[0]
    h1.network("web", layout=layout, kernel_path=kernel_path)
    end = h1.join(c1, "web")
    h1.wait(lambda _: [e.state for e in h1.client.endpoints()] == ["ready"], "it is ready")

    def shown() -> tuple[str, int, bool]:
        [link] = json.loads(c1.ip("-json address show dev eth0"))
        addresses = {f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]}
        return link["address"], link["mtu"], str(end.addresses[0]) in addresses

    def told() -> list[str]:
        return [line for line in h1.log.read_text().splitlines() if "it was put back" in line]

    before = shown()
    assert told() == []
    for words in (
        "link set eth0 address 02:de:ad:00:00:01",
        "link set eth0 mtu 1280",
        "address flush dev eth0 scope global",
    ):
        c1.ip(words)
        wait_for(lambda: shown() == before, f"{words}: it is put back")
    wait_for(lambda: len(told()) == 3, "each is told")
    assert "the MAC address" in told()[0]
    assert "the MTU 1450, which was 1280" in told()[1]
    assert f"the address {end.addresses[0]}, which was gone" in told()[2]
    assert all(f"endpoint {end.id} ({end.label}) in web" in line for line in told())


@pytest.mark.parametrize(
    ("layout", "kernel_path"),
    [("direct", "off"), ("direct", "tcp"), ("bridge", "off")],
    ids=["direct", "pen", "bridge"],
)
def test_an_address_that_moved_is_announced(two: Site, layout: str, kernel_path: str) -> None:
    """To another MAC address, on another host and on the same one: a neighbour needs no half minute to find out."""
    h1, h2 = two.daemons
    asker = two.containers[0]
    h1.network("web", subnets=["10.9.0.0/24", "fd00:9::/64"], layout=layout, kernel_path=kernel_path, internal=True)
    h2.wait(lambda _: [info.network.name for info in h2.client.networks()] == ["web"], "h2 knows the network")
    h1.join(asker, "web")
    before = None
    for number, daemon in enumerate((h2, h1, h2, h2)):
        mac = f"02:aa:00:00:00:{number:02x}"
        if before is not None:
            before[0].client.remove_endpoint(before[1].id)
        end = daemon.join(two.lab.add(f"m{number}"), "web", mac=mac, addresses=["10.9.0.50", "fd00:9::50"])
        for address in ("10.9.0.50", "fd00:9::50"):
            if before is not None:  # it asks nobody: what it has was said to it
                wait_for(lambda a=address, m=mac: m in asker.ip(f"neigh show {a}"), f"it has heard of {mac}")  # type: ignore[misc]
            wait_for(lambda a=address: asker.run("ping", "-c1", "-W1", a, check=False).returncode == 0, "they talk")  # type: ignore[misc]
        before = (daemon, end)


def test_a_copy_of_a_machine_does_not_start(two: Site) -> None:
    """The original and its containers notice nothing of it."""
    h1, h2 = two.daemons
    h1.network("web")
    end = h1.join(two.containers[0], "web")
    assert h2.stop() == 0
    shutil.copytree(h1.folder / "state", h2.folder / "copy", ignore=shutil.ignore_patterns("lock"))
    own = h2.config.read_text()
    h2.config.write_text(own.replace(h2.name, h1.name).replace(f"{h2.folder}/state", f"{h2.folder}/copy"))
    h2.launch()
    assert h2.process is not None
    assert h2.process.wait(120) != 0
    h2.process = None
    assert f"{h1.name} runs on another machine already, at VTEP 192.0.2.1" in h2.log.read_text()
    h2.config.write_text(own)
    h2.start()
    h1.wait(lambda status: status.healthy and status.peers_up == 1, "all is as it was")
    assert [each.id for each in h2.client.endpoints()] == [end.id]
    assert links(two.containers[0])["eth0"]["address"] == end.mac


def quiet(container: Namespace) -> None:
    """No router solicitations, multicast reports and the like."""
    container.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")


@pytest.mark.parametrize("layout", ["direct", "bridge"])
def test_two_containers_on_two_hosts(two: Site, layout: str) -> None:
    h1, h2 = two.daemons
    c1, c2 = two.containers
    for container in (c1, c2):
        quiet(container)
    made = h1.network("web", subnets=["10.9.0.0/24"], layout=layout)
    assert (made.network.vni, made.mtu) == (256, 1450)
    wait_for(lambda: [info.network.name for info in h2.client.networks()] == ["web"], "h2 knows the network")
    first, second = h1.join(c1, "web"), h2.join(c2, "web")
    assert [str(end.addresses[0]) for end in (first, second)] == ["10.9.0.2/24", "10.9.0.3/24"]
    h1.knows(second)
    h2.knows(first)

    for daemon in (h1, h2):
        assert links(daemon.resolver("web"))["br0"]["linkinfo"]["info_data"]["mcast_snooping"] == 0  # type: ignore[index]
    before = h1.counters()
    assert pinged(c1, "10.9.0.3") == 3
    assert pinged(c2, "10.9.0.2") == 3
    if layout == "bridge":  # every host has the gateway
        assert pinged(c1, "10.9.0.1") == pinged(c2, "10.9.0.1") == 3
    after = h1.counters()
    # Nothing is flooded for an address that the store knows, and ARP is answered on the asker's host.
    assert after.get("unknown_unicast", 0) == 0
    # But for what announces both.
    assert after.get("flooded", 0) <= 2 * len(AFTER_S) + (layout == "bridge"), (h1.client.fdb("web"), h1.client.stats())
    assert after["answered"] > before.get("answered", 0)

    eth0 = links(c1)["eth0"]
    assert (eth0["mtu"], eth0["address"]) == (1450, "02:42:0a:09:00:02")
    if layout == "direct":
        done = ("store", "upgrade", "--socket", str(h1.socket))
        wait_for(lambda: "all endpoints are" in h1.host.fastpath(*done).stdout, "the endpoints have moved")
        h1.knows(second)
    indexes = [links(container)["eth0"]["ifindex"] for container in (c1, c2)]
    h2.host.fastpath("network", "set", "web", "--mtu", "1400", "--port-security", "off", "--socket", str(h2.socket))
    for container, index in zip((c1, c2), indexes, strict=True):  # the interfaces stay
        wait_for(lambda c=container: links(c)["eth0"]["mtu"] == 1400, "its MTU is set")  # type: ignore[misc]
        assert links(container)["eth0"]["ifindex"] == index
    assert pinged(c1, "10.9.0.3") == 3
    for daemon, endpoint in ((h1, first), (h2, second)):
        with pytest.raises(FastpathError, match=r"the network web has \d endpoint"):
            daemon.client.remove_network("web")
        daemon.client.remove_endpoint(endpoint.id)
    h2.client.remove_network("web")
    for daemon, container in ((h1, c1), (h2, c2)):
        assert set(links(container)) == {"lo"}
        wait_for(lambda d=daemon: d.client.networks() == [], "the network is gone")  # type: ignore[misc]
        assert daemon.client.fdb() == []
        assert set(links(daemon.host)) == {"lo", "u0", "fp-gwbridge"}
        assert daemon.healthy()


def test_both_families_and_two_networks_in_one_container(two: Site) -> None:
    h1, h2 = two.daemons
    c1, c2 = two.containers
    h1.network("web", subnets=["10.9.0.0/24", "fd00:9::/64"])
    h1.network("db", subnets=["10.8.0.0/24"], internal=True)
    for daemon, container in ((h1, c1), (h2, c2)):
        web = daemon.join(container, "web")
        db = daemon.join(container, "db", name="db0", addresses=[f"10.8.0.{daemon.vtep[-1]}0"])
    h1.knows(web)
    h1.knows(db)
    assert pinged(c1, "10.9.0.3") == 3
    assert pinged(c1, "fd00:9::3") == 3
    assert pinged(c1, "10.8.0.20") == 3
    assert set(links(c1)) == {"lo", "eth0", "eth1", "db0"}  # eth1 leads outside


def test_what_a_stranger_sends_is_dropped_and_counted(two: Site) -> None:
    h1, _ = two.daemons
    c1, _ = two.containers
    stranger = two.lab.switch
    stranger.ip("address add 192.0.2.66/24 dev br0")
    h1.network("web", subnets=["10.9.0.0/24"])
    h1.join(c1, "web")
    frame = bytes.fromhex("02420a090002 020000000066 0800") + bytes(46)

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for payload in (b"\x08\0\0\0\0\x01\0\0" + frame, b"rubbish", b""):
                sock.sendto(payload, ("192.0.2.1", 4789))

    def counted() -> int:
        """By the guard; where there is none, by the engine."""
        rules = {rule["name"]: rule["packets"] for rule in h1.client.guard()["rules"]}
        return int(rules.get("not_a_peer", 0)) + h1.counters().get("unknown_vtep", 0)

    before = counted()
    stranger.inside(send)
    wait_for(lambda: counted() >= before + 3, "they are counted")
    assert [line.mac for line in h1.client.fdb("web") if line.mac.startswith("02:00")] == []


def test_a_peer_may_send_to_its_own_networks_only(two: Site) -> None:
    """
    c1 --- web, db --- h1 === h2 --- web --- c2        and h2 sends packets for db
    """
    h1, h2 = two.daemons
    c1, c2 = two.containers
    h1.network("web", subnets=["10.9.0.0/24"])
    db = h1.network("db", subnets=["10.8.0.0/24"], internal=True).network.vni
    assert db is not None
    inside = h1.join(c1, "db", name="db0")
    h1.join(c1, "web")
    h1.knows(h2.join(c2, "web"))  # so it is a peer
    frame = bytes.fromhex(f"{inside.mac.replace(':', '')} 020000000066 0800") + bytes(46)

    def forge() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)  # root on h2 can do that
            sock.sendto(b"\x08\0\0\0" + db.to_bytes(3) + b"\0" + frame, ("192.0.2.1", 4789))

    def refused() -> int:
        (segment,) = [segment for segment in h1.client.stats()["segments"] if segment["vni"] == db]
        return int(segment["tally"]["drops"].get("not_member", 0))

    for _ in range(3):
        h2.host.inside(forge)
    wait_for(lambda: refused() == 3, "they are counted")
    assert [line.mac for line in h1.client.fdb("db") if line.mac.startswith("02:00")] == []
    h1.knows(h2.join(c2, "db", name="db0"))
    assert pinged(c1, "10.8.0.3") == 3
    before = refused()  # what c2 said of itself may have come before h1 heard that h2 is a member
    h2.host.inside(forge)
    wait_for(lambda: "02:00:00:00:00:66" in [line.mac for line in h1.client.fdb("db")], "now it is a member")
    assert refused() == before


def test_a_second_daemon_on_the_same_host_is_refused(two: Site) -> None:
    h1 = two.daemons[0]
    done = h1.host.fastpath("daemon", "--config", str(h1.config), check=False)
    assert done.returncode == 2
    assert "runs already" in done.stderr
    done = h1.host.fastpath(
        "daemon",
        "--config",
        str(h1.config),
        "--state-dir",
        str(two.folder / "other"),
        "--socket",
        str(two.folder / "other.sock"),
        check=False,
    )
    assert done.returncode == 2
    assert "UDP port 4789 on 192.0.2.1 is in use" in done.stderr
    assert h1.healthy()


def test_a_host_of_the_same_name_is_refused(two: Site) -> None:
    names = [daemon.name for daemon in two.daemons]
    text = two.daemons[1].config.read_text().replace(names[1], names[0]).replace("/h2/", "/h9/")
    two.daemons[1].stop()
    (two.folder / "h9").mkdir()
    two.daemons[1].config.write_text(text)
    done = two.daemons[1].host.fastpath("daemon", "--config", str(two.daemons[1].config), check=False)
    assert done.returncode == 2
    assert f"another host is registered as {names[0]} (VTEP 192.0.2.1)" in done.stderr
    assert two.daemons[0].answers()


def test_a_host_itself_is_no_container(two: Site) -> None:
    h1, _ = two.daemons
    assert h1.process is not None
    h1.network("web")
    before = set(links(h1.host))
    with pytest.raises(FastpathError, match="is this host's own network namespace"):
        h1.client.create_endpoint(EndpointCreate(network="web", sandbox=f"/proc/{h1.process.pid}/ns/net", name="in0"))
    assert not h1.client.endpoints()
    assert set(links(h1.host)) == before
    h1.healthy()


def test_the_route_to_a_host_that_joins_is_looked_at(tmp_path: Path) -> None:
    with site(2, tmp_path) as two:
        h1, h2 = two.daemons
        h1.host.ip(f"route add {h2.vtep}/32 dev u0 mtu 1400")
        h1.start()
        assert h1.healthy().underlay_mtu == 1500
        h2.start()
        h1.wait(lambda status: status.underlay_mtu == 1400, "it knows the way to h2")
        h2.network("web")
        wait_for(lambda: h2.client.network("web").mtu == 1350, "h2 knows it, too")


def test_a_host_with_containers_goes_on_whoever_claims_to_be_it(tmp_path: Path) -> None:
    with site(2, tmp_path) as two:
        two.start()
        h1, h2 = two.daemons
        h1.network("web", subnets=["10.9.0.0/24"])
        h1.join(two.containers[0], "web")
        h2.join(two.containers[1], "web")
        h1.stop()
        intruder = Peer.model_validate(
            {"host": "intruder", "id": "x", "vtep": h1.vtep, "udp_port": 4789, "mtu": 1500, "version": "0"}
        )

        async def claim() -> None:
            store = SqliteStore(two.folder / "store.db")
            await store.commit([], [Put(keys.peer("intruder"), intruder.model_dump_json().encode())])
            await store.close()

        asyncio.run(claim())
        h1.start()
        h1.wait(lambda status: any("has the VTEP address" in why for why in status.problems), "it tells")
        wait_for(lambda: reaches(two.containers[0], "10.9.0.3", 2), "and goes on")


def test_containers_follow_the_underlays_mtu(two: Site) -> None:
    h1, h2 = two.daemons
    h1.network("web", subnets=["10.9.0.0/24"])
    h1.network("fixed", subnets=["10.8.0.0/24"], mtu=1300)
    h1.join(two.containers[0], "web")
    h1.knows(h2.join(two.containers[1], "web"))
    h2.join(two.containers[1], "fixed", name="fixed0")
    h1.host.ip("link set u0 mtu 1400")  # one host's matters to all
    for container in two.containers:
        wait_for(lambda c=container: links(c)["eth0"]["mtu"] == 1350, "the MTU follows")  # type: ignore[misc]
    wait_for(lambda: links(two.containers[0])["eth1"]["mtu"] == 1400, "that of the way out follows")
    assert links(two.containers[1])["fixed0"]["mtu"] == 1300
    assert h2.client.network("web").mtu == 1350
    assert pinged(two.containers[0], "10.9.0.3") == 3
    h1.host.ip("link set u0 mtu 1500")
    for container in two.containers:
        wait_for(lambda c=container: links(c)["eth0"]["mtu"] == 1450, "the MTU follows back")  # type: ignore[misc]


def test_drift_is_repaired(two: Site) -> None:
    h1, h2 = two.daemons
    c1, c2 = two.containers
    h1.network("web", subnets=["10.9.0.0/24"])
    h1.join(c1, "web")
    h2.join(c2, "web")
    for damage in (
        "link delete eth0",
        "link set eth0 down",
        "address del 10.9.0.2/24 dev eth0",
        "link set eth0 mtu 900",
        "link set eth0 address 02:00:00:00:00:99",
    ):
        c1.ip(damage)
        wait_for(lambda: reaches(c1, "10.9.0.3", 2) and links(c1)["eth0"]["mtu"] == 1450, f"after {damage}")
        assert links(c1)["eth0"]["address"] == "02:42:0a:09:00:02"


def test_a_sandbox_that_went_away_gives_back_what_it_had(two: Site) -> None:
    h1, h2 = two.daemons
    h1.network("web", subnets=["10.9.0.0/24"])
    gone = Namespace.named("fpt-", "gone").add()
    h1.join(gone, "web", addresses=["10.9.0.77"])
    h1.kill()  # its successor takes the interface over, and holds the namespace by that
    h1.start()
    h2.wait(lambda status: status.endpoints == 1, "knows")
    assert h2.client.fdb("web") == []
    gone.remove()
    wait_for(lambda: h2.client.endpoints() == [], "the endpoint is gone")
    again = h2.join(two.containers[1], "web", addresses=["10.9.0.77"])
    assert again.addresses[0].ip == ip_address("10.9.0.77")
    wait_for(lambda: set(links(h1.host)) == {"lo", "u0", "fp-gwbridge"}, "its way out is gone")
    h1.healthy()


def _twin(inode: int) -> Namespace | None:
    """A namespace with this inode, which is soon free; None where somebody else on this machine was given it."""
    for _ in range(100):
        made = Namespace.named("fpt-", "twin").add()
        if os.stat(f"/run/netns/{made.name}").st_ino == inode:
            return made
        ip("netns", "delete", made.name)
        time.sleep(0.05)
    return None


def test_a_sandbox_in_the_place_of_another_is_another(two: Site) -> None:
    """The kernel soon gives a namespace's inode to the next one."""
    h1, _ = two.daemons
    h1.network("web", subnets=["10.9.0.0/24"])
    second = None
    while second is None:
        first = Namespace.named("fpt-", "twin").add()
        inode = os.stat(f"/run/netns/{first.name}").st_ino
        h1.join(first, "web")
        first.remove()
        second = _twin(inode)
    wait_for(lambda: h1.client.endpoints() == [], "the first one's endpoint is gone")
    assert set(links(second)) == {"lo"}
    h1.join(second, "web")
    assert "eth0" in links(second)
    second.remove()


def test_the_settings_for_mixed_networks_let_everybody_in(tmp_path: Path) -> None:
    with site(1, tmp_path, settings="known_peers_only = false\n") as made:
        made.start()
        h1 = made.daemons[0]
        h1.network("web", subnets=["10.9.0.0/24"], vni=300)
        h1.join(made.containers[0], "web")
        kernel = made.lab.switch
        kernel.ip("address add 192.0.2.66/24 dev br0")
        kernel.ip("link add vx0 type vxlan id 300 local 192.0.2.66 remote 192.0.2.1 dstport 4789")
        kernel.address("10.9.0.9/24")
        assert pinged(kernel, "10.9.0.2") == 3


def test_a_daemon_that_is_not_running(tmp_path: Path) -> None:
    with site(1, tmp_path) as made:
        h1 = made.daemons[0]
        for words in ("network ls", "network create x", "endpoint ls", "peers", "status"):
            done = h1.host.fastpath(*words.split(), "--socket", str(h1.socket), check=False)
            assert done.returncode == 2
            assert done.stderr == (
                f"fastpath: no fastpath daemon answers on {h1.socket}: start it with `fastpath daemon`\n"
            )
