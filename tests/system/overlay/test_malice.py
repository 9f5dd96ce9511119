# SPDX-License-Identifier: Apache-2.0
"""One container does its worst, and two other networks of the same hosts hardly notice it: docs/operators/security.md.

c1  m1              c2  m2     c1 and c2: calm (eth0), where a ping runs, and busy (db0), where a TCP stream runs
 |   |               |   |     m1, who attacks, and m2: evil (eth0), without port security; m1 also: odd (odd0)
h1 ─ fp-gwbridge    h2         hosts, each with a daemon
+------- sw --------+          the underlay; 192.0.2.100, the outside

First m1 sends a heavy load of honest UDP. What that costs the others is what the malice may cost them.
"""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from fastpath.control.model.objects import Endpoint
from tests.attacks.__main__ import programs
from tests.attacks.odd_names import spoil
from tests.support.hosts.hosts import DEADLINE_S, Namespace, ip, reaches
from tests.support.servers.site import SETTINGS, Site, pinged, site
from tests.support.servers.stream import Stream

ROOT = Path(__file__).parents[3]
OUTSIDE = "192.0.2.100"
METRICS = "127.0.0.1:9464"
CONNECTIONS = 500  # of one container through the gateway
# Peers ask each other as seldom as they do by default: with other tests beside this one, seconds may pass.
LIMITED = SETTINGS.replace("probe_interval = 1.0", "probe_interval = 5.0") + (
    f'gateway_connections = {CONNECTIONS}\nmetrics = "{METRICS}"\n'
)
HONEST, HONEST_RATE = 80_000, 16_000  # datagrams in all, and each second
ADDRESSES, ADDRESSES_RATE = 40_000, 8000
# Super-frames, which a queue that a busy machine does not serve in time has room for. They stand for 160,000 copies or
# more. In as many seconds as they take, 4, some 60,000 may pass.
BROADCASTS, BROADCASTS_RATE, SEGMENTS = 1250, 300, 64
SUPER_FRAMES, ROUTES, DEAF = 400, 50_000, 100
A_FEW = 20  # frames, such as a new container's first ones, which others may refuse
LEARNED = 65_536  # addresses by a daemon, of which one port gets a third at most
# An answer takes milliseconds. On a machine with ten times more work than processors it took less than this.
STATUS_S = 20.0
# Sends honest UDP as frames, so that it costs the sender what an attack costs him.
SENDER = """
import itertools, sys
from tests.attacks import packet
macs, addresses, count, rate = sys.argv[1:3], sys.argv[3:5], int(sys.argv[5]), float(sys.argv[6])
frame = packet.ethernet(*macs, 0x0800, packet.udp4(*addresses, (5000, 9), bytes(22)))
print(packet.stream("eth0", itertools.repeat(frame, count), rate), "frames were sent")
"""


@dataclass
class Load:
    """What the two networks had, and what the daemons said, while something else ran."""

    sent: int = 0  # pings
    received: int = 0
    retransmitted: int = 0
    bytes_per_s: float = 0.0
    slowest_s: float = 0.0  # to tell the status
    problems: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)  # by what ran

    @property
    def lost(self) -> float:
        """The share of pings that were not answered."""
        return 1.0 - self.received / self.sent


class Scene:
    """The site and its networks."""

    def __init__(self, made: Site) -> None:
        self.site = made
        self.h1, self.h2 = made.daemons
        self.c1, self.c2 = made.containers
        self.m1, self.m2, self.new = (Namespace.named("fpt-", label) for label in ("m1", "m2", "new"))
        self.vnis: dict[str, int] = {}
        self.ends: list[Endpoint] = []

    def connect(self) -> None:
        """Make the networks and what is in them."""
        for namespace in (self.m1, self.m2, self.new):
            namespace.add()
        for name, subnet, more in (
            ("calm", "10.9.0.0/24", {}),
            ("busy", "10.8.0.0/24", {"internal": True}),
            ("evil", "10.7.0.0/24", {"port_security": False}),
            ("odd", "10.6.0.0/24", {"internal": True}),
        ):
            self.vnis[name] = self.h1.network(name, subnets=[subnet], **more).network.vni or 0
        self.h2.wait(lambda status: status.networks == len(self.vnis), "knows the networks")
        self.ends = [
            self.h1.join(self.c1, "calm", hostnames=["near"]),
            self.h2.join(self.c2, "calm", hostnames=["far"]),
            self.h1.join(self.c1, "busy", name="db0"),
            self.h2.join(self.c2, "busy", name="db0"),
            self.h1.join(self.m1, "evil"),
            self.h2.join(self.m2, "evil"),
            self.h1.join(self.m1, "odd", name="odd0"),
        ]
        for daemon in self.site.daemons:
            for end in self.ends:
                if end.network != "odd" or daemon is self.h1:
                    daemon.knows(end)
        for name in ("calm", "evil"):
            self.h1.resolver(name)
        for where, addresses in ((self.c1, ("10.9.0.3", "10.8.0.3", OUTSIDE)), (self.m1, ("10.7.0.3", OUTSIDE))):
            for address in addresses:
                assert reaches(where, address)

    def close(self) -> None:
        """Remove the containers that are not the site's."""
        for namespace in (self.m1, self.m2, self.new):
            namespace.remove()

    def attack(self, name: str, *words: object) -> subprocess.Popen[str]:
        """Start an attack from m1."""
        return self.m1.spawn(sys.executable, "-m", f"tests.attacks.{name}", *map(str, words), cwd=ROOT)

    def load(self, begin: Callable[[], list[subprocess.Popen[str]]], meanwhile: Callable[[], None]) -> Load:
        """Run the traffic of calm and busy from before `begin` starts something until that has ended."""
        found = Load()
        stream = Stream(self.c1, self.c2, "10.8.0.3")
        try:
            stream.flows()
            ping = self.c1.spawn("ping", "-q", "-i", "0.01", "10.9.0.3")
            start, before, again = time.monotonic(), stream.bytes, stream.retransmitted()
            running = begin()
            meanwhile()
            while any(process.poll() is None for process in running):
                self._ask(found)
                time.sleep(0.2)
            stream.flows()
            found.bytes_per_s = (stream.bytes - before) / (time.monotonic() - start)
            found.retransmitted = stream.retransmitted() - again
            ping.send_signal(signal.SIGINT)
            out, _ = ping.communicate(timeout=DEADLINE_S)
        finally:
            stream.end()
        numbers = re.search(r"(\d+) packets transmitted, (\d+) received", out)
        assert numbers is not None, out
        found.sent, found.received = int(numbers[1]), int(numbers[2])
        for process in running:
            said, wrong = process.communicate(timeout=DEADLINE_S)
            assert process.returncode == 0, wrong
            found.said.append(said)
        return found

    def _ask(self, found: Load) -> None:
        for daemon in self.site.daemons:
            begin = time.monotonic()
            found.problems.update(daemon.client.status().problems)
            found.slowest_s = max(found.slowest_s, time.monotonic() - begin)

    def tables(self) -> dict[str, Any]:
        """What hosts and containers know of the networks calm and busy, and of the way out."""
        found: dict[str, Any] = {}
        for daemon in self.site.daemons:
            for network in ("calm", "busy"):
                for line in daemon.client.fdb(network):
                    found[f"FDB of {daemon.name}: {network} {line.mac}"] = (
                        line.dst,
                        line.port,
                        line.ifname,
                        line.state,
                    )
        for where in (self.c1, self.c2, *self.site.lab.hosts):
            for near in json.loads(ip("-n", where.name, "-4", "-json", "neighbour")):
                found[f"neighbour in {where.label}: {near['dev']} {near['dst']}"] = near.get("lladdr")
        return found

    def drops(self, *networks: str) -> dict[str, int]:
        """What both hosts dropped in these networks, by reason."""
        found: dict[str, int] = {}
        for daemon in self.site.daemons:
            for segment in daemon.client.stats()["segments"]:
                if segment["vni"] in {self.vnis[name] for name in networks}:
                    for reason, count in segment["tally"]["drops"].items():
                        found[reason] = found.get(reason, 0) + count
        return found

    def metrics(self) -> str:
        """The metrics of h1."""

        def read() -> str:
            with urllib.request.urlopen(f"http://{METRICS}/metrics", timeout=DEADLINE_S) as answer:
                text: bytes = answer.read()
            return text.decode()

        return self.h1.host.inside(read)


@dataclass
class Outcome:
    """Both runs."""

    honest: Load
    evil: Load
    tables: tuple[dict[str, Any], dict[str, Any]]  # before and after
    drops: dict[str, int]  # in calm and busy
    newcomer: Endpoint  # made while the attacks ran
    answered: dict[str, bool]  # what was tried with it then


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with site(2, tmp_path_factory.mktemp("site"), settings=LIMITED) as made:
        made.lab.switch.address(f"{OUTSIDE}/24", device="br0")
        made.start()
        found = Scene(made)
        try:
            found.connect()
            yield found
        finally:
            found.close()


def attacks(scene: Scene) -> list[subprocess.Popen[str]]:
    """Start all of them."""
    victim = scene.ends[5]
    spoil("odd0", before=("ip", "-n", scene.m1.name))
    return [
        scene.attack("fdb_flood", "eth0", "--to", victim.mac, "--addresses", ADDRESSES, "--rate", ADDRESSES_RATE),
        scene.attack("storm", "eth0", "--segments", SEGMENTS, "--count", BROADCASTS, "--rate", BROADCASTS_RATE),
        scene.attack("tiny_segments", *("eth0", "10.7.0.2", victim.mac, "10.7.0.3", "--count", SUPER_FRAMES)),
        scene.attack("dns_flood", "10.7.0.1", 5000),
        scene.attack("dns_deaf", "10.7.0.1", DEAF, "--seconds", 5),
        scene.attack("conntrack_flood", OUTSIDE, "--connections", 10 * CONNECTIONS),
        scene.attack("crowd", "eth0", "routes", ROUTES),
    ]


@pytest.fixture(scope="module")
def outcome(scene: Scene) -> Outcome:
    own, victim = scene.ends[4:6]
    words = (own.mac, victim.mac, "10.7.0.2", "10.7.0.3", str(HONEST), str(HONEST_RATE))
    honest = scene.load(
        lambda: [scene.m1.spawn(sys.executable, "-c", SENDER, *words, cwd=ROOT)],
        lambda: None,
    )
    newcomers: list[Endpoint] = []
    answered: dict[str, bool] = {}

    def arrive() -> None:
        """A container is made on the attacked host, and used."""
        made = scene.h1.join(scene.new, "calm", hostnames=["late"])
        newcomers.append(made)
        scene.h2.knows(made)
        answered["from the other host"] = pinged(scene.c2, str(made.addresses[0].ip), 10) > 0
        answered["outside"] = pinged(scene.new, OUTSIDE, 10) > 0
        question = dns.message.make_query("far", "A")
        answer = scene.new.inside(lambda: dns.query.udp(question, "10.9.0.1", timeout=DEADLINE_S))
        answered["resolver"] = "10.9.0.3" in answer.to_text()

    before, dropped = scene.tables(), scene.drops("calm", "busy")
    evil = scene.load(lambda: attacks(scene), arrive)
    after = scene.tables()
    drops = {reason: count - dropped.get(reason, 0) for reason, count in scene.drops("calm", "busy").items()}
    print(honest, evil, drops, scene.drops("evil"), answered, sep="\n")  # for who has to find out why a test failed
    return Outcome(honest, evil, (before, after), drops, newcomers[0], answered)


def test_no_more_is_lost_than_under_an_honest_load(outcome: Outcome) -> None:
    assert outcome.honest.sent > 100
    assert outcome.evil.sent > 100
    assert outcome.evil.lost <= outcome.honest.lost + 0.1
    assert outcome.evil.retransmitted <= outcome.honest.retransmitted + 1000
    assert outcome.evil.bytes_per_s >= outcome.honest.bytes_per_s / 8


def test_the_tables_of_others_do_not_change(outcome: Outcome, scene: Scene) -> None:
    before, after = outcome.tables
    assert {key: after.get(key) for key in before} == before
    more = [key for key in after if key not in before]
    own = {outcome.newcomer.mac, *(str(address.ip) for address in outcome.newcomer.addresses)}
    gateway = {key for key in more if " fp-gwbridge " in key}
    assert [key for key in more if key.rpartition(" ")[2] not in own and key not in gateway] == []
    assert len(gateway) <= 1


def test_nothing_of_others_is_dropped_for_the_attackers_sake(outcome: Outcome) -> None:
    """Queues that a busy machine did not serve in time are not the attacker's doing alone."""
    queues = {"port_full", "underlay_full"}
    assert {reason for reason, count in outcome.drops.items() if count > A_FEW} <= queues


def test_the_daemons_answer_and_say_what_is_wrong(outcome: Outcome, scene: Scene) -> None:
    assert outcome.evil.slowest_s < STATUS_S
    others = [problem for problem in outcome.evil.problems if not _of_the_attacker(problem, scene)]
    assert others == []
    for daemon in scene.site.daemons:
        assert daemon.wait(lambda status: status.peers_up == 1).store_answers


def _of_the_attacker(problem: str, scene: Scene) -> bool:
    return any(word in problem for word in (scene.m1.name, "network odd", "network evil"))


def test_a_new_container_is_made_and_reached_meanwhile(outcome: Outcome) -> None:
    assert outcome.answered == {"from the other host": True, "outside": True, "resolver": True}


def test_made_up_addresses_get_their_share_of_the_fdb(outcome: Outcome, scene: Scene) -> None:
    for daemon in scene.site.daemons:
        stats = daemon.client.stats()
        (learned,) = [each["fdb_learned"] for each in stats["segments"] if each["vni"] == scene.vnis["evil"]]
        assert 1000 < learned <= LEARNED // 3 + 64
        assert stats["fdb_entries"] < stats["fdb_limit"] // 2


@pytest.mark.parametrize("reason", ["storm", "tiny_segments"])
def test_floods_end_at_the_attackers_port(outcome: Outcome, scene: Scene, reason: str) -> None:
    assert scene.drops("evil").get(reason, 0) > 1000


def test_the_resolver_has_limits(outcome: Outcome, scene: Scene) -> None:
    limited = dict(re.findall(r'^fastpath_dns_limited_total{network="(\w+)"} (\S+)$', scene.metrics(), re.MULTILINE))
    assert float(limited["evil"]) > 0
    assert float(limited["calm"]) == 0
    still_open = [int(n) for n in re.findall(r"^(\d+) connections are open$", "".join(outcome.evil.said), re.MULTILINE)]
    assert still_open[-1] < DEAF / 2


def test_one_container_has_its_share_of_connections(outcome: Outcome, scene: Scene) -> None:
    tracked = int(scene.h1.host.run("sysctl", "-n", "net.netfilter.nf_conntrack_count").stdout)
    assert tracked <= CONNECTIONS + 100  # those of all others, too
    rules = scene.h1.host.run("nft", "list", "chain", *"inet fastpath_connections prerouting".split()).stdout
    assert sum(map(int, re.findall(r"counter packets (\d+)", rules))) >= 5 * CONNECTIONS


def test_each_attack_is_a_program_that_tells_its_arguments() -> None:
    """The index has them all; the others run above."""
    assert {"fdb_flood", "storm", "tiny_segments", "conntrack_flood", "vxlan"} <= programs().keys()


def test_all_is_well_when_the_attacker_is_gone(outcome: Outcome, scene: Scene) -> None:
    """The last test: it removes m1."""
    for end in scene.ends:
        if end.host == scene.h1.name and end.network in ("evil", "odd"):
            scene.h1.client.remove_endpoint(end.id)
    for daemon in scene.site.daemons:
        daemon.healthy()
