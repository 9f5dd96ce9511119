# SPDX-License-Identifier: Apache-2.0
"""Invalid commands: one clear line, and nothing is changed."""

from collections.abc import Iterator

import pytest

from tests.support.servers.site import HostDaemon, Site, links, site


@pytest.fixture(scope="module")
def one_with_networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(1, tmp_path_factory.mktemp("site")) as made:
        made.start()
        h1 = made.daemons[0]
        h1.network("web", subnets=["10.9.0.0/24"])
        h1.network("db", subnets=["10.8.0.0/24"])
        h1.network("tiny", subnets=["10.5.0.0/30"])
        h1.join(made.containers[0], "web")
        h1.join(made.containers[0], "tiny", name="tiny0")
        for name in ("web", "tiny"):  # lest something changes by itself
            h1.resolver(name)
        yield made


def state(daemon: HostDaemon) -> tuple[object, ...]:
    return (daemon.client.networks(), daemon.client.endpoints(), set(links(daemon.host)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("network create web", "there is a network web already"),
        ("network create x --vni 256", "VNI 256 belongs to the network web"),
        ("network create x --subnet 10.9.0.128/25", r"overlaps 10.9.0.0/24 of the network web"),
        ("network create x --subnet 192.0.2.0/25", r"overlaps 192.0.2.0/24 of this host's routes"),
        ("network create x --subnet 10.7.0.0/24 --gateway 10.6.0.1", "in none of the subnets"),
        ("network create x/y", "name"),
        ("network create x --mtu 12", "mtu"),
        ("network create x -o colour=red", 'no option "colour"'),
        ("network rm web", "the network web has 1 endpoint on h1-"),
        ("network rm nix", "there is no network nix"),
        ("network inspect nix", "there is no network nix"),
        ("endpoint create nix --sandbox {c2}", "there is no network nix"),
        ("endpoint create web --sandbox nix", "no network namespace"),
        ("endpoint create web --sandbox {c1}", "is in the network web already"),
        ("endpoint create db --sandbox {c1} --name eth0", "choose another --name"),
        ("endpoint create db --sandbox {c1} --name lo", "lo"),
        ("endpoint create web --sandbox {c2} --ip 10.9.0.2", "the address 10.9.0.2 is taken"),
        ("endpoint create web --sandbox {c2} --ip 10.9.0.1", "is the gateway"),
        ("endpoint create web --sandbox {c2} --ip 10.8.0.1", "is not in the network web"),
        ("endpoint create web --sandbox {c2} --mac 02:42:0a:09:00:02", "the MAC address 02:42:0a:09:00:02 is taken"),
        ("endpoint create web --sandbox {c2} --mac 01:00:00:00:00:01", "01:00:00:00:00:01"),
        ("endpoint create tiny --sandbox {c2}", "the subnet 10.5.0.0/30 is full"),
        ("endpoint rm 00000", "there is no endpoint 00000"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(one_with_networks: Site, words: str, message: str) -> None:
    h1 = one_with_networks.daemons[0]
    c1, c2 = one_with_networks.containers[0], one_with_networks.lab.switch
    before = state(h1)
    done = h1.host.fastpath(*words.format(c1=c1.name, c2=c2.name).split(), "--socket", str(h1.socket), check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("fastpath: ")
    assert message in done.stderr
    assert state(h1) == before
    assert h1.healthy()
