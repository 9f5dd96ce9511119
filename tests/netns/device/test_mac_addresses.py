# SPDX-License-Identifier: Apache-2.0
"""A container may give its interface any MAC address. That takes nobody else's frames.

c1 --- vx0 [engine on h1]        h2 has the other endpoints
"""

from functools import partial
from ipaddress import ip_address

import pytest

from fastpath import ConflictError, Engine, Port
from fastpath.addresses import parse_mac
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


def test_an_interface_for_whose_mac_address_there_is_no_room(two: Lab) -> None:
    """Static entries fill the FDB. That is told, and stops nothing; once there is room the interface gets its entry."""
    container = two.containers[0]
    with two.hosts[0].inside(partial(Engine, "192.0.2.1", fdb_entries=4)) as engine:
        segment, elsewhere = engine.add_segment(42), engine.add_segment(43)
        tap, gone = (container.inside(partial(segment.add_tap, name)) for name in ("vx0", "vx1"))
        own = container.run("cat", "/sys/class/net/vx0/address").stdout.strip()
        sync = NetworkSync(segment)
        told: list[Port] = []
        engine.on_port_gone(told.append)
        wanted = {"me": EngineEntry(own, (), port=tap), "other": EngineEntry(OTHER, (), vtep=PEER)}
        sync.sync(wanted)
        port = elsewhere.add_memory_port("p")
        elsewhere.fdb.set("02:42:00:00:01:01", port)
        with pytest.raises(ConflictError, match="the FDB is full"):  # control is told
            elsewhere.fdb.set("02:42:00:00:01:02", port)
        container.ip(f"link set vx0 address {FREE}")
        container.ip("link del vx1")
        engine.poll(1.0)
        engine.tidy()
        assert told == [gone]
        assert tap.unplaced == parse_mac(FREE)
        sync.sync(wanted)
        assert [problem.code for problem in sync.failed.values()] == ["fdb-full"]
        elsewhere.fdb.clear()
        engine.tidy()
        assert tap.unplaced is None
        assert segment.fdb[FREE].to == (tap,)
        sync.sync(wanted)
        assert sync.failed == {}
