# SPDX-License-Identifier: Apache-2.0
"""A container may give its interface any MAC address. That takes nobody else's frames.

c1 --- vx0 [engine on h1]        h2 has the other endpoints
"""

from functools import partial
from ipaddress import ip_address

from fastpath import Engine
from fastpath.control.host.network_sync import EngineEntry, NetworkSync
from tests.support.hosts.hosts import Lab

OTHER, FREE = "02:42:00:00:00:02", "02:42:00:00:00:99"
PEER = ip_address("192.0.2.2")


def test_an_interface_that_takes_anothers_mac_address(two: Lab) -> None:
    container = two.containers[0]
    with two.hosts[0].inside(partial(Engine, "192.0.2.1")) as engine:
        segment = engine.add_segment(42)
        tap = container.inside(partial(segment.add_tap, "vx0"))
        own = container.run("cat", "/sys/class/net/vx0/address").stdout.strip()
        assert segment.fdb[own].local
        remote = segment.remote(PEER)
        sync = NetworkSync(segment)
        wanted = {
            "me": EngineEntry(own, (ip_address("10.9.0.1"),), port=tap),
            "other": EngineEntry(OTHER, (ip_address("10.9.0.2"),), vtep=PEER),
        }

        def give(mac: str) -> list[str]:
            """Give the interface that address. Return the codes of the endpoint's problems after the next pass."""
            container.ip(f"link set vx0 address {mac}")
            engine.tidy()  # as every ten seconds
            sync.sync(wanted)
            assert set(sync.failed) <= {"me"}
            return [problem.code for problem in sync.failed.values()]

        assert give(own) == []
        assert give(OTHER) == ["contested-mac"]
        assert "02:42:00:00:00:02, which is another's" in sync.failed["me"].text
        assert segment.fdb[OTHER].to == (remote,)
        assert (segment.fdb[own].to, segment.fdb[own].local) == ((tap,), False)
        assert give(FREE) == []
        assert (segment.fdb[FREE].to, segment.fdb[FREE].local) == ((tap,), True)
        wanted["next"] = EngineEntry(FREE, (ip_address("10.9.0.3"),), vtep=PEER)  # the store gives it to another
        assert give(FREE) == ["contested-mac"]
        assert segment.fdb[FREE].to == (remote,)
        del wanted["next"]
        assert give(FREE) == []
        assert segment.fdb[FREE].to == (tap,)
        assert give(own) == []
        assert FREE not in segment.fdb
        assert segment.fdb[own].to == (tap,)
