# SPDX-License-Identifier: Apache-2.0
"""The overlay on a real etcd that is stopped, killed, compacted and damaged while traffic runs."""

import contextlib
import signal
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.errors import FastpathError
from tests.support.hosts.hosts import FASTPATH, Namespace, reaches, wait_for
from tests.support.servers.etcd_server import Etcd, Place
from tests.support.servers.site import MORTAL, SETTINGS, Site, pinged, site

ADDRESS = "192.0.2.100"
OUTAGE_S = 60
PINGS_A_SECOND = 100


@dataclass
class Cluster:
    """Hosts whose store is an etcd on the underlay."""

    site: Site
    etcd: Etcd


def clusters(hosts: int, folder: Path, settings: str = SETTINGS, *arguments: str) -> Iterator[Cluster]:
    with site(hosts, folder, f"etcd://{ADDRESS}:2379", settings) as made:
        made.lab.switch.ip(f"address add {ADDRESS}/24 dev br0")
        place = Place("one", 2379, 2380)
        with Etcd(folder, host=ADDRESS, place=place, within=made.lab.switch, arguments=arguments) as etcd:
            made.start()
            yield Cluster(made, etcd)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Cluster]:
    yield from clusters(2, tmp_path)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    yield from clusters(3, tmp_path, MORTAL)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Cluster]:
    """Two hosts, with little space in the store."""
    yield from clusters(2, tmp_path, MORTAL, "--quota-backend-bytes=1000000")


def connect(cluster: Cluster) -> None:
    """A network, and a container of every host in it: 10.9.0.2, 10.9.0.3, …"""
    cluster.site.daemons[0].network("web", subnets=["10.9.0.0/24"])
    pairs = zip(cluster.site.daemons, cluster.site.containers, strict=True)
    made = [daemon.join(container, "web") for daemon, container in pairs]
    for daemon in cluster.site.daemons:
        for endpoint in made:
            daemon.knows(endpoint)


def ping(frm: Namespace, to: str, seconds: float) -> subprocess.Popen[str]:
    """Ping for so long, in the background."""
    count = str(int(seconds * PINGS_A_SECOND))
    return frm.spawn("ping", "-q", "-i", str(1 / PINGS_A_SECOND), "-c", count, "-W", "5", to)


def lost(process: subprocess.Popen[str]) -> int:
    """How many pings were not answered."""
    out, err = process.communicate(timeout=3 * OUTAGE_S)
    words = out.split()
    assert "received," in words, out + err
    return int(words[words.index("packets") - 1]) - int(words[words.index("received,") - 1])


@pytest.mark.slow
def test_a_minute_without_etcd(two: Cluster) -> None:
    """No packet is lost, and an endpoint that is asked for meanwhile is made, and known, once etcd is back."""
    connect(two)
    h1, h2 = two.site.daemons
    c1, _ = two.site.containers
    assert pinged(c1, "10.9.0.3") == 3
    running = ping(c1, "10.9.0.3", OUTAGE_S)
    two.etcd.kill()
    for daemon in (h1, h2):
        status = daemon.wait(lambda now: not now.store_answers, "it notices")
        assert not status.healthy
        assert any("192.0.2.100" in problem for problem in status.problems), status.problems
    with pytest.raises(FastpathError, match=r"192\.0\.2\.100"):
        h1.network("db")
    assert [info.network.name for info in h1.client.networks()] == ["web"]
    words = ("endpoint", "create", "web", "--sandbox", two.site.lab.switch.name, "--name", "late0", "--wait", "300")
    late = h2.host.start_fastpath(*words, "--socket", str(h2.socket))
    assert lost(running) == 0
    assert late.poll() is None, late.communicate()
    two.etcd.start()
    back = time.monotonic()
    mac = "02:42:0a:09:00:04"
    wait_for(lambda: any(line.mac == mac for line in h1.client.fdb("web")), "h1 knows the new one")
    print(f"known {time.monotonic() - back:.2f} s after etcd's return")
    out, err = late.communicate()
    assert (out, err) == ("10.9.0.4/24\n", "waiting for the store etcd://192.0.2.100:2379, for up to 300 s\n")
    assert pinged(c1, "10.9.0.4") == 3
    two.site.settle()


def test_a_daemon_starts_while_etcd_is_away(two: Cluster) -> None:
    connect(two)
    h1, h2 = two.site.daemons
    c1, _ = two.site.containers
    two.etcd.kill()
    h1.kill()
    h1.start(FASTPATH)  # a real start, with all that it imports
    assert not h1.client.status().healthy
    assert pinged(c1, "10.9.0.3") == 3
    assert len(h1.client.endpoints("web")) == 2
    two.etcd.start()
    two.site.settle()
    assert pinged(c1, "10.9.0.3") == 3
    h2.client.remove_endpoint(next(end.id for end in h2.client.endpoints() if end.host == h2.name))
    wait_for(lambda: len(h1.client.endpoints("web")) == 1, "h1 follows")


def test_compaction_during_a_gap(two: Cluster) -> None:
    connect(two)
    h1, h2 = two.site.daemons
    h1.pause()  # its watch misses what follows
    for number in range(20):
        h2.network(f"n{number}")
    h2.client.remove_network("n0")
    two.etcd.compact()
    two.etcd.stop()
    h1.send_signal(signal.SIGCONT)
    two.etcd.start()
    wait_for(lambda: len(h1.client.networks()) == 20, "h1 knows all of it")
    two.site.settle()
    assert pinged(two.site.containers[0], "10.9.0.3") == 3


def test_a_host_that_dies_is_forgotten(three: Cluster) -> None:
    connect(three)
    h1, h2, h3 = three.site.daemons
    c1 = three.site.containers[0]
    assert pinged(c1, "10.9.0.4") == 3
    h3.kill()

    def state() -> str:
        return next((peer.state for peer in h1.client.peers() if peer.host == h3.name), "forgotten")

    wait_for(lambda: state() == "unregistered", "its lease ends")
    with pytest.raises(FastpathError, match=r"10\.9\.0\.4 is taken"):  # until the grace time is over
        h2.join(three.site.lab.switch, "web", name="x0", addresses=["10.9.0.4"])
    wait_for(lambda: all(line.dst != h3.vtep for line in h1.client.fdb("web")), "nothing is sent to it any more")
    assert state() in ("gone", "forgotten")
    wait_for(lambda: len(h1.client.endpoints("web")) == 2, "its endpoint is taken back")
    assert pinged(c1, "10.9.0.3") == 3
    again = h2.join(three.site.lab.switch, "web", name="x0", addresses=["10.9.0.4"])
    h1.knows(again)
    assert pinged(c1, "10.9.0.4") == 3
    h3.start()  # its container has lost its place: the interface goes
    wait_for(lambda: "eth0" not in three.site.containers[2].links(), "h3 clears up")
    three.site.settle()


def test_a_key_that_was_half_written_or_deleted(two: Cluster) -> None:
    connect(two)
    h1 = two.site.daemons[0]
    c1 = two.site.containers[0]
    network = h1.client.network("web").network.model_dump_json().encode()
    two.etcd.put(keys.network("web"), network[:30])
    two.etcd.put(keys.peer("h9"), b'{"host": "h9"')
    status = h1.wait(lambda now: len(now.problems) >= 2, "it tells")
    assert any(keys.network("web") in problem for problem in status.problems)
    assert pinged(c1, "10.9.0.3") == 3
    two.etcd.put(keys.network("web"), network)
    two.etcd.delete(keys.peer("h9"))
    peer = keys.peer(two.site.daemons[1].name)
    two.etcd.delete(peer)
    revision = wait_for(lambda: two.etcd.revision(peer), "its owner writes it again")
    h1.wait(lambda now: now.revision >= revision, "h1 hears of it")
    two.site.settle()
    wait_for(lambda: reaches(c1, "10.9.0.3", 2), "and so it is known again")


def test_an_etcd_that_lost_its_data_takes_nothing(two: Cluster) -> None:
    connect(two)
    h1, _ = two.site.daemons
    c1 = two.site.containers[0]
    two.etcd.kill()
    two.etcd.wipe()
    two.etcd.start()
    h1.wait(lambda now: any("lost all its data" in problem for problem in now.problems), "it tells")
    wait_for(lambda: two.etcd.count(keys.PEERS) == 2, "both hosts have registered again")
    h1.kill()
    h1.start()
    status = h1.wait(lambda now: any("lost all its data" in problem for problem in now.problems), "it tells again")
    assert status.local_endpoints == 1
    with pytest.raises(FastpathError, match="lost all its data"):  # it would say that the others were removed
        h1.network("new")
    assert pinged(c1, "10.9.0.3") == 3
    assert len(h1.client.endpoints("web")) == 2


def test_a_store_that_is_full(small: Cluster) -> None:
    """A daemon that restarts goes on with its lease, and an endpoint can be removed."""
    connect(small)
    h1, h2 = small.site.daemons
    c1, c2 = small.site.containers
    with contextlib.suppress(urllib.error.HTTPError):
        for number in range(100):
            small.etcd.put(f"/junk/{number}", bytes(100_000))
    h1.wait(lambda status: any("`etcdctl alarm disarm`" in why for why in status.problems), "it says what to type")
    h2.kill()
    h2.start()
    time.sleep(15)  # longer than the lease and the grace time
    assert pinged(c1, "10.9.0.3") == 3
    # Without its lease, if the start took longer than that: then there is none until the store has room.
    assert {peer.state for peer in h1.client.peers()} <= {"up", "unregistered"}
    h2.client.remove_endpoint(next(end.id for end in h2.client.endpoints() if end.host == h2.name))
    assert "eth0" not in c2.links()
    wait_for(lambda: len(h1.client.endpoints("web")) == 1, "the other host hears of it")
    with pytest.raises(FastpathError, match="no space left: compact it"):
        h2.join(c2, "web")
