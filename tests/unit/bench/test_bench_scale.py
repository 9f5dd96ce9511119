# SPDX-License-Identifier: Apache-2.0
"""The control plane's benchmark without hosts: what is in the store, what is read from other programs, the table."""

from pathlib import Path

import pytest

from fastpath.bench.scale import arp, content, others, restart, table
from fastpath.bench.scale.content import PEERS, VARIANTS
from fastpath.bench.scale.results import About, Measurement, Results
from fastpath.control.cluster import keys
from fastpath.control.model.objects import Endpoint, Network, Sandbox
from fastpath.errors import UsageError

SANDBOXES = [Sandbox(path=f"/run/netns/s{number}", inode=number) for number in range(100)]
PING = """PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.
[100.000] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.05 ms
[100.005] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=0.05 ms
[100.405] 64 bytes from 10.0.0.1: icmp_seq=82 ttl=64 time=0.05 ms
[100.410] 64 bytes from 10.0.0.1: icmp_seq=83 ttl=64 time=0.05 ms

--- 10.0.0.1 ping statistics ---
83 packets transmitted, 4 received, 95% packet loss, time 410ms
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wide", "many100"])
def test_the_store_holds_what_is_promised(name: str) -> None:
    found = VARIANTS[name]
    puts = list(content.puts(found, "x-", SANDBOXES))
    assert len({put.key for put in puts}) == len(puts)
    networks = [Network.model_validate_json(p.value) for p in puts if p.key.startswith(keys.NETWORKS)]
    endpoints = [Endpoint.model_validate_json(p.value) for p in puts if p.key.startswith(keys.ENDPOINTS)]
    assert len(networks) == len({network.vni for network in networks}) == 1000
    assert len(endpoints) == 10_000
    local = [endpoint for endpoint in endpoints if endpoint.host == "x-h1"]
    assert len(local) == len({endpoint.sandbox.inode for endpoint in local}) == found.local
    assert {endpoint.host for endpoint in endpoints} == {"x-h1", *(f"x-p{number}" for number in range(PEERS))}


def test_what_comes_and_goes_is_of_other_hosts_and_distinct() -> None:
    for found in VARIANTS.values():
        comes = [others.new_endpoint(found, number) for number in range(100)]
        assert len({found.address(*each) for each in comes}) == 100
        assert not any(found.is_local(*each) for each in comes)
        if found.name != "few":
            goes = [others.old_endpoint(found, number) for number in range(100)]
            assert len(set(goes)) == 100
            assert not any(found.is_local(*each) for each in goes)


def test_arp_is_asked_and_understood() -> None:
    own = VARIANTS["wide"].address(0, 0)
    frame = arp.question(b"\x02\0\0\0\0\1", own, 0x0A000105)
    assert len(frame) == 42
    assert frame[38:] == bytes([10, 0, 1, 5])
    assert arp.answered(frame) is None  # a question
    assert arp.answered(frame[:20] + b"\0\2" + frame[22:]) == arp.as_number(own)
    assert arp.answered(b"\0" * 20) is None


def test_gaps_are_read() -> None:
    gap, lost = restart.read_ping(PING)
    assert gap == pytest.approx(0.4)
    assert lost == 79
    assert restart.read_ping("ping: nobody") == (None, 0)
    intervals = [{"sum": {"seconds": 0.1, "bytes": count}} for count in (5.0, 0.0, 0.0, 7.0, 0.0, 1.0)]
    assert restart.longest_pause(intervals) == pytest.approx(0.2)


def test_the_table_has_medians_and_ranges(tmp_path: Path) -> None:
    about = About(
        date="2026-01-02T03:04:05+00:00",
        cpu="A CPU",
        cores=2,
        kernel="6.18.1-x",
        python="3.11.7",
        fastpath="0.1.0",
        commit="",
        etcd="3.4.23",
        sqlite="3.40",
        seconds=60,
        rounds=3,
    )
    measurements = [
        Measurement(scenario="join", variant="wide", store="etcd", round=n, figures={"in_sync_s": seconds})
        for n, seconds in enumerate((1.0, 3.0, 2.0))
    ]
    found = Results(about=about, variants={"wide": "one network"}, measurements=measurements)
    found.write(tmp_path / "scale.json")
    assert Results.read(tmp_path / "scale.json") == found
    text = table.render(Results.read(tmp_path / "scale.json"))
    assert "| `wide`: one network | etcd | – | – | 2.00 (1.00–3.00) |" in text
    assert "sqlite" not in text
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UsageError, match="holds no results"):
        Results.read(tmp_path / "other.json")
