# SPDX-License-Identifier: Apache-2.0
"""Nobody but a daemon gets a packet into an overlay network, and no container reaches the store.

    c1 c3        c2           c1 and c2 in the networks web and inner (which is internal), c3 on another bridge
     | |         |
     h1          h2      h3   h1 and h2 with a daemon; h3 is a machine that is no peer
     |           |       |
     +---- sw (etcd) ----+

Each attack is tried over both address families. That a packet of the same form does arrive when the kernel believes
it to be the engine's is tried first.
"""

import contextlib
import functools
import ipaddress
import os
import random
import shutil
import socket
import sys
from collections.abc import Callable, Iterator

import pytest

from fastpath.control.host.guard.rules import MARK, table_of
from fastpath.errors import FastpathError
from tests.attacks import access, headers, path_errors, vxlan
from tests.support.hosts import nft_edits
from tests.support.hosts.hosts import DEADLINE_S, Namespace, server, wait_for
from tests.support.servers.datagrams import Datagrams
from tests.support.servers.etcd_server import Etcd, Place
from tests.support.servers.guard_scene import UNDERLAY, Ear, Scene, connected, forgers, masquerade_others
from tests.support.servers.site import pinged, site

ETCD = {4: "192.0.2.100", 6: "2001:db8::100"}
EDITS = int(os.environ.get("FASTPATH_EDITS", "15"))  # of each family; 100 and more find rare ones
ECHO_PORT = 8081
ECHO = """
import socket, socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(100): self.request.sendall(data)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
socketserver.ThreadingTCPServer((sys.argv[1], int(sys.argv[2])), Echo).serve_forever()
"""


@pytest.fixture(scope="module", params=[4, 6], ids=["IPv4", "IPv6"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    version: int = request.param
    folder = tmp_path_factory.mktemp("site")
    address = ETCD[version]
    store = f"etcd://[{address}]:2379" if version == 6 else f"etcd://{address}:2379"
    with site(3, folder, store) as made:
        if version == 6:
            for number, daemon in enumerate(made.daemons, 1):
                text = daemon.config.read_text().replace('vtep = "u0"', f'vtep = "{UNDERLAY[6].format(number)}"')
                daemon.config.write_text(text)
        made.lab.switch.address(f"{address}/{64 if version == 6 else 24}", device="br0")
        with Etcd(folder, host=address, place=Place("one", 2379, 2380), within=made.lab.switch):
            yield connected(made, version)


@pytest.fixture
def ear(scene: Scene) -> Iterator[Ear]:
    """Hears all that gets into the networks on h2, and, by c1, on h1."""
    made = Ear()
    made.listen(scene.site.containers[1], "eth0", "eth5")
    made.listen(scene.site.containers[0], "eth0", "eth5")
    yield made
    made.close()


def test_such_packets_get_in_with_the_engines_mark(scene: Scene, ear: Ear) -> None:
    """What the other tests send is well formed, and nothing else stops it."""
    host = scene.site.lab.hosts[0]
    for vni in scene.vnis:
        inner = vxlan.frame(b"mark %d" % vni)
        host.inside(lambda: vxlan.forge(scene.vtep(2), vni, inner, mark=MARK))  # noqa: B023
    heard: set[bytes] = set()

    def both() -> bool:
        heard.update(ear.heard())
        return heard == {b"mark %d" % vni for vni in scene.vnis}

    wait_for(both, "both packets arrive")


def nothing_arrives(scene: Scene, ear: Ear, attack: Callable[[int, bytes], object], number: int, rule: str) -> None:
    """Attack each network, and see that the rule of host `number` stops it, and that nobody heard of it."""
    before = scene.caught(number)[rule]
    for vni in scene.vnis:
        attack(vni, vxlan.frame(b"forged"))
    wait_for(lambda: scene.caught(number)[rule] >= before + len(scene.vnis), f"{rule} catches the packets")
    assert pinged(scene.site.containers[0], str(scene.c2)) == 3  # what came before the pings is there now
    assert ear.heard() == set()


@pytest.fixture(params=["gateway bridge", "other bridge"])
def attacker(request: pytest.FixtureRequest, scene: Scene) -> Namespace:
    """A container of h1."""
    return scene.site.containers[0 if request.param == "gateway bridge" else 2]


def test_a_container_to_a_peer(scene: Scene, ear: Ear, attacker: Namespace) -> None:
    def attack(vni: int, frame: bytes) -> None:
        attacker.inside(lambda: vxlan.forge(scene.vtep(2), vni, frame))

    nothing_arrives(scene, ear, attack, 1, "forwarded_to_vtep")


def test_a_container_to_its_own_host(scene: Scene, ear: Ear, attacker: Namespace) -> None:
    def attack(vni: int, frame: bytes) -> None:
        attacker.inside(lambda: vxlan.forge(scene.vtep(1), vni, frame))

    nothing_arrives(scene, ear, attack, 1, "not_a_peer")


@pytest.mark.parametrize("rp_filter", [0, 2])
def test_a_container_that_spoofs_a_peer_to_its_own_host(scene: Scene, ear: Ear, rp_filter: int) -> None:
    """The ports of the gateway bridge take no spoofed packets; those of another bridge do."""
    host, c3 = scene.site.lab.hosts[0], scene.site.containers[2]
    for name in ("all", "other0", "u0"):
        host.run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter={rp_filter}")

    def attack(vni: int, frame: bytes) -> None:
        c3.inside(lambda: vxlan.spoof(scene.vtep(2), scene.vtep(1), vni, frame))

    nothing_arrives(scene, ear, attack, 1, "wrong_interface")


def test_fragments_and_headers_hide_no_packet(scene: Scene, ear: Ear) -> None:
    """Without the guard all of these arrive."""
    c3, own = scene.site.containers[2], {4: "192.168.99.2", 6: "fd00:9::2"}[scene.version]
    for name in ("all", "other0"):
        scene.site.lab.hosts[0].run("sysctl", "-qw", f"net.ipv4.conf.{name}.rp_filter=0")
    for frm, to, rule in ((scene.vtep(2), 1, "wrong_interface"), (own, 2, "forwarded_to_vtep")):

        def attack(vni: int, frame: bytes) -> None:
            count = c3.inside(lambda: headers.send(frm, scene.vtep(to), vni, frame))  # noqa: B023
            wait_for(lambda: scene.caught(1)[rule] >= before + count, "each is caught")  # noqa: B023

        before = scene.caught(1)[rule]
        nothing_arrives(scene, ear, attack, 1, rule)


def test_a_container_that_spoofs_its_host_to_a_peer(scene: Scene, ear: Ear) -> None:
    c3, before = scene.site.containers[2], scene.caught(1)["forwarded_to_vtep"]
    for vni in scene.vnis:
        c3.inside(lambda: vxlan.spoof(scene.vtep(1), scene.vtep(2), vni, vxlan.frame(b"forged")))  # noqa: B023
    assert pinged(scene.site.containers[0], str(scene.c2)) == 3
    # For IPv4, the kernel itself takes no packet with its own address from outside.
    assert scene.caught(1)["forwarded_to_vtep"] == before + (len(scene.vnis) if scene.version == 6 else 0)
    assert ear.heard() == set()


def test_an_unprivileged_user_of_the_host(scene: Scene, ear: Ear) -> None:
    host = scene.site.lab.hosts[0]

    def attack(vni: int, frame: bytes) -> None:
        def send() -> None:
            with pytest.raises(PermissionError):  # the kernel tells the sender
                access.as_nobody(lambda: vxlan.forge(scene.vtep(2), vni, frame))

        host.inside(send)

    nothing_arrives(scene, ear, attack, 1, "not_the_engine")
    with pytest.raises(PermissionError):
        host.inside(lambda: access.as_nobody(lambda: vxlan.forge(scene.vtep(2), 1, b"", mark=MARK)))


def test_an_unprivileged_user_to_its_own_host(scene: Scene, ear: Ear) -> None:
    """By the loopback interface. For IPv6 any process may send from a peer's address."""
    host = scene.site.lab.hosts[0]

    def attack(vni: int, frame: bytes) -> None:
        host.inside(lambda: access.as_nobody(lambda: vxlan.forge(scene.vtep(1), vni, frame)))

    def pretend(vni: int, frame: bytes) -> None:
        host.inside(lambda: access.as_nobody(lambda: vxlan.forge(scene.vtep(1), vni, frame, frm=scene.vtep(2))))

    nothing_arrives(scene, ear, attack, 1, "looped")
    if scene.version == 6:
        nothing_arrives(scene, ear, pretend, 1, "looped")
    else:
        with pytest.raises(OSError):  # noqa: PT011  # the kernel's own check; its words differ
            pretend(scene.vnis[0], vxlan.frame(b"forged"))


def test_a_source_route_hides_no_vtep(scene: Scene, ear: Ear) -> None:
    """Header and hooks have the router's address as destination until the router puts in the VTEP's."""
    host, c3 = scene.site.lab.hosts[0], scene.site.containers[2]
    for name in ("all", "other0"):
        host.run("sysctl", "-qw", f"net.ipv4.conf.{name}.accept_source_route=1")
    via = ETCD[scene.version]

    def from_container(vni: int, frame: bytes) -> None:
        c3.inside(lambda: vxlan.forge(scene.vtep(2), vni, frame, via=via))

    def from_user(vni: int, frame: bytes) -> None:
        with pytest.raises(PermissionError):  # the kernel tells the sender, and lets nobody set such an IPv4 option
            host.inside(lambda: access.as_nobody(lambda: vxlan.forge(scene.vtep(2), vni, frame, via=via)))

    nothing_arrives(scene, ear, from_container, 1, "source_routed")
    if scene.version == 6:
        nothing_arrives(scene, ear, from_user, 1, "source_routed")
    else:
        from_user(scene.vnis[0], vxlan.frame(b"forged"))


def test_a_machine_that_is_no_peer(scene: Scene, ear: Ear) -> None:
    h3 = scene.site.lab.hosts[2]
    nothing_arrives(scene, ear, lambda v, f: h3.inside(lambda: vxlan.forge(scene.vtep(2), v, f)), 2, "not_a_peer")


def test_a_container_does_not_reach_the_store(scene: Scene) -> None:
    c1, host = scene.site.containers[0], scene.site.lab.hosts[0]
    where = ETCD[scene.version]
    assert host.inside(lambda: access.reach(where, 2379)) == access.OPEN
    with server(scene.site.lab.switch, "python3", "-m", "http.server", "-b", where, "8080", port=8080):
        assert c1.inside(lambda: access.reach(where, 8080)) == access.OPEN  # the way is there
    before = scene.caught(1)["forwarded_to_store"]
    for container in (c1, scene.site.containers[2]):
        assert container.inside(lambda: access.reach(where, 2379)) == access.REFUSED
    assert scene.caught(1)["forwarded_to_store"] == before + 2


def test_a_container_does_not_reach_ports_of_the_daemon(scene: Scene) -> None:
    c1, host = scene.site.containers[0], scene.site.lab.hosts[0]
    gateway = "172.30.0.1"
    for port, answer in ((2379, access.REFUSED), (8080, access.OPEN)):
        with server(host, "python3", "-m", "http.server", "-b", gateway, str(port), port=port):
            assert host.inside(lambda: access.reach(gateway, port)) == access.OPEN  # noqa: B023
            assert c1.inside(lambda: access.reach(gateway, port)) == answer  # noqa: B023


def test_a_container_does_not_reach_a_store_on_its_own_host(scene: Scene) -> None:
    """By the address that other hosts use, or published as a container's port. Peers do."""
    c1, c3 = scene.site.containers[0], scene.site.containers[2]
    h1, h2, h3 = scene.site.lab.hosts
    where = scene.vtep(1)
    everywhere = "::" if scene.version == 6 else "0.0.0.0"  # noqa: S104
    with server(h1, "python3", "-m", "http.server", "-b", everywhere, "2379", port=2379):
        for container, answer in ((c1, access.REFUSED), (c3, access.REFUSED), (h2, access.OPEN), (h3, access.OPEN)):
            assert container.inside(lambda: access.reach(where, 2379)) == answer
    family, published = ("ip6", "[fd00:9::2]:2379") if scene.version == 6 else ("ip", "192.168.99.2:2379")
    h1.run("nft", f"add table {family} published")
    h1.run("nft", f"add chain {family} published p {{ type nat hook prerouting priority dstnat; }}")
    h1.run("nft", f"add rule {family} published p {family} daddr {where} tcp dport 2379 dnat to {published}")
    try:
        with server(c3, "python3", "-m", "http.server", "-b", everywhere, "2379", port=2379):
            assert c1.inside(lambda: access.reach(where, 2379)) == access.REFUSED
            assert h2.inside(lambda: access.reach(where, 2379)) == access.OPEN
    finally:
        h1.run("nft", f"delete table {family} published")


def test_a_container_does_not_narrow_its_hosts_paths(scene: Scene) -> None:
    c1, host = scene.site.containers[0], scene.site.lab.hosts[0]
    before = scene.caught(1)["path_error"]
    c1.inside(lambda: path_errors.tell(scene.vtep(1), scene.vtep(2)))
    wait_for(lambda: scene.caught(1)["path_error"] > before, "it is caught")
    assert "mtu" not in host.ip(f"route get {scene.vtep(2)}")


def test_packets_of_peers_pass_conntrack_by(scene: Scene) -> None:
    host, c1 = scene.site.lab.hosts[0], scene.site.containers[0]

    def tracked() -> int:
        return host.run("cat", "/proc/net/nf_conntrack").stdout.count("dport=4789")

    before, known = scene.caught(1), tracked()  # what others send to this port is tracked
    assert pinged(c1, str(scene.c2)) == 3
    after = scene.caught(1)
    assert after["from_peer"] > before["from_peer"]
    assert after["to_peer"] > before["to_peer"]
    assert tracked() <= known


@contextlib.contextmanager
def connected_to(frm: Namespace, to: Namespace, address: str) -> Iterator[Callable[[], None]]:
    """A connection to an echo that lives meanwhile; and what tries it, and a new one."""
    with server(to, sys.executable, "-c", ECHO, address, str(ECHO_PORT), port=ECHO_PORT):

        def connect() -> socket.socket:
            return socket.create_connection((address, ECHO_PORT), DEADLINE_S)

        def call(sock: socket.socket) -> None:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"

        def both() -> None:
            call(kept)
            with frm.inside(connect) as fresh:
                call(fresh)

        with frm.inside(connect) as kept:
            yield both


@pytest.mark.parametrize("flush", [False, True], ids=["edits", "flushes"])
def test_edits_let_no_packet_in_and_cut_nothing_off(scene: Scene, ear: Ear, flush: bool) -> None:
    """Of our tables, while others forge packets. Connections by the overlay and to the outside live."""
    edited(scene, ear, 5 if flush else EDITS, flush=flush)


def edited(scene: Scene, ear: Ear, edits: int, *, flush: bool = False) -> None:
    """Edit the tables so often."""
    host, (c1, c2, _) = scene.site.lab.hosts[0], scene.site.containers
    seed = random.randrange(1 << 32)
    chosen = random.Random(seed)
    if scene.owned:
        with pytest.raises(FastpathError, match="Operation not permitted"):
            host.run("nft", f"flush table {scene.tables[1]}")
    wanted = scene.kept()
    with (
        connected_to(c1, scene.site.lab.switch, ETCD[scene.version]) as outside,
        connected_to(c1, c2, str(scene.c2)) as inside,
        forgers(scene),
    ):
        for number in range(edits):
            masquerade_others(scene)
            edit = "flush ruleset" if flush else nft_edits.edit(scene.listed(), chosen)
            told = f"seed {seed}, edit {number}: {edit}"
            host.run("nft", edit)
            wait_for(lambda: scene.kept() == wanted, told)
            outside()
            inside()
            assert ear.heard() == set(), told
    host.run("nft", "add table inet others; delete table inet others")


def test_a_flush_costs_no_packet(scene: Scene) -> None:
    host, (c1, c2, _) = scene.site.lab.hosts[0], scene.site.containers
    wanted = scene.kept()
    datagrams = Datagrams(c1, c2, str(scene.c2))
    try:
        for _ in range(3):
            host.run("nft", "flush", "ruleset")
            wait_for(lambda: scene.kept() == wanted, "the rules are back")
    finally:
        datagrams.end()
    assert pinged(c1, str(scene.c2)) == 3
    assert scene.caught(1)["to_peer"] > 0


def test_a_peer_that_comes_and_goes_changes_the_set_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters stay. The peer is a host without nft, which works, and says what is missing."""
    before = scene.caught(1)["to_peer"]
    assert before > 0
    h3 = scene.site.daemons[2]
    h3.config.write_text("gateway_bridge = false\n" + h3.config.read_text())
    with monkeypatch.context() as without:
        without.setenv("PATH", "/usr/bin")
        if shutil.which("nft") is not None:
            pytest.skip("nft is in /usr/bin here")
        h3.start()
    status = h3.wait(lambda status: bool(status.problems) and status.peers_up == 2, "hears from the others")
    assert status.problems == ("the guard is not in place: the program nft is missing: install nftables",)
    assert status.guard == "not in place"
    table = f"{table_of(ipaddress.ip_address(scene.vtep(1)), 4789)} peers"
    list_peers = functools.partial(scene.site.lab.hosts[0].run, "nft", "list", "set", *table.split())
    wait_for(lambda: f"{scene.vtep(3)} " in list_peers().stdout.replace(",", " "), "the new peer is in the set")
    assert scene.caught(1)["to_peer"] >= before
    h3.stop()


def test_the_rules_outlive_the_daemon(scene: Scene, ear: Ear) -> None:
    h1, c1 = scene.daemons[0], scene.site.containers[0]
    before = scene.caught(1)["forwarded_to_vtep"]
    h1.kill()
    c1.inside(lambda: vxlan.forge(scene.vtep(2), scene.vnis[0], vxlan.frame(b"forged")))
    wait_for(lambda: scene.caught(1)["forwarded_to_vtep"] > before, "the rule is there")
    tables = scene.site.lab.hosts[0].run("nft", "list", "tables").stdout.splitlines()
    assert [f"table {table}" in tables for table in scene.tables[:2]] == [True, False]  # the copy went with its owner
    h1.start()
    h1.healthy()
    with pytest.raises(FastpathError, match="Operation not permitted"):
        scene.site.lab.hosts[0].run("nft", f"flush table {scene.tables[1]}")
    assert pinged(c1, str(scene.c2)) == 3
    assert ear.heard() == set()


def test_edits_of_a_copy_that_others_may_change(scene: Scene, ear: Ear) -> None:
    """Each of the two tables stops what the other one lets pass while it is restored."""
    h1 = scene.daemons[0]
    h1.kill()
    h1.config.write_text("guard_owned = false\n" + h1.config.read_text())
    h1.start()
    h1.healthy()
    scene.owned = False
    edited(scene, ear, 5)
