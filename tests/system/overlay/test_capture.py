# SPDX-License-Identifier: Apache-2.0
"""`fastpath capture` of a network of the daemon."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP
from scapy.utils import rdpcap

from tests.support.hosts.hosts import wait_for
from tests.support.servers.site import HostDaemon, Site, pinged, site


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Site]:
    with site(2, tmp_path) as made:
        made.start()
        yield made


@pytest.mark.parametrize("layout", ["direct", "bridge"])
def test_a_network_s_frames_are_captured(two: Site, layout: str, tmp_path: Path) -> None:
    h1, h2 = two.daemons
    c1, c2 = two.containers
    h1.network("web", subnets=["10.9.0.0/24"], layout=layout)
    h1.network("db", subnets=["10.8.0.0/24"])
    wait_for(lambda: len(h2.client.networks()) == 2, "h2 knows the networks")
    first, second = h1.join(c1, "web", hostnames=["one"]), h2.join(c2, "web")
    h1.knows(second)
    assert pinged(c1, "10.9.0.3") == 3

    path = tmp_path / "web.pcapng"
    command = ["capture", "web", "port", "one", "remote", "192.0.2.2", "--socket", str(h1.socket)]
    process = h1.host.start_fastpath(*command, "--filter", "icmp", "-c", "12", "-w", str(path))
    assert process.stderr is not None
    assert process.stderr.readline() == "capturing web (Ctrl-C ends it)\n"
    for _ in range(3):  # one after the other, so that the order of the frames is known
        assert pinged(c1, "10.9.0.3", 1) == 1
    _, error = process.communicate(timeout=30)
    assert error.endswith("12 frames captured, 0 frames missed\n")
    found = [(packet.sniffed_on, packet.direction, packet[ICMP].type) for packet in rdpcap(str(path))]
    here = "one" if layout == "direct" else "vxlan0"
    assert found == [(here, 1, 8), ("192.0.2.2", 2, 8), ("192.0.2.2", 1, 0), (here, 2, 0)] * 3

    refused = {
        "db": "the network db has no overlay endpoints on this host, so there is nothing to capture",
        "nothing": "there is no network nothing: see `fastpath network ls`",
        "web port two": "there is no port two here: the ports are ",
    }
    for words, line in refused.items():
        done = h1.host.fastpath("capture", *words.split(), "--socket", str(h1.socket), check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"fastpath: {line}")
        assert len(done.stderr.splitlines()) == 1

    readers = [h1.host.start_fastpath(*command) for _ in range(4)]
    for reader in readers:
        assert reader.stderr is not None
        reader.stderr.readline()
        reader.kill()
    again = (*command, "--duration", "0.01")
    wait_for(lambda: h1.host.fastpath(*again, check=False).returncode == 0, "the captures of killed readers are over")
    wait_for(lambda: _says_that_all_is_well(h1), "all is well, for the command, too")
    assert first.id != second.id


def _says_that_all_is_well(daemon: HostDaemon) -> bool:
    done = daemon.host.fastpath("status", "--json", "--socket", str(daemon.socket), check=False)
    return done.returncode == 0 and bool(json.loads(done.stdout)["healthy"])
