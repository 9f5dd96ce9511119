# SPDX-License-Identifier: Apache-2.0
"""The counters of the engine and of the kernel path are added where both count the same."""

from ipaddress import ip_address

from fastpath.control.host.carried import Carried, with_kernel_path
from fastpath.engine.stats import EngineStats, PortStats, RemoteStats, SegmentStats, Tally, Traffic

ENGINE = Traffic(1, 100, 2, 200, 3)
SENT, RECEIVED = Traffic(rx_frames=10, rx_bytes=1000), Traffic(tx_frames=20, tx_bytes=2000)


def stats() -> EngineStats:
    worker, nothing = Tally(ENGINE, {"no_port": 3}), Tally(Traffic())
    ports = [PortStats(name, vni, 1450, False, ENGINE) for name, vni in (("a", 256), ("b", 256), ("a", 257))]
    remotes = [RemoteStats("192.0.2.2", port, ENGINE) for port in (4789, 8472)]
    segments = [SegmentStats(vni, 4, worker) for vni in (256, 257)]
    return EngineStats([worker], nothing, segments, ports, remotes, 4, 100, 0)


def test_ports_remotes_and_segments_count_both_and_workers_their_own() -> None:
    carried = Carried(256, {"a": SENT, "gone": Traffic(5)}, {ip_address("192.0.2.2"): RECEIVED})
    found = with_kernel_path(stats(), [carried], {"to_remote": 9, "drop_kind": 2, "drop_source": 0})
    assert [port.traffic for port in found.ports] == [Traffic(11, 1100, 2, 200, 3), ENGINE, ENGINE]
    assert [remote.traffic for remote in found.remotes] == [Traffic(1, 100, 22, 2200, 3), ENGINE]
    assert [each.tally.traffic for each in found.segments] == [Traffic(16, 1100, 22, 2200, 3), ENGINE]
    assert found.segments[0].tally.drops == {"no_port": 3}
    assert found.workers == stats().workers
    assert found.kernel_path.traffic == Traffic(15, 1000, 20, 2000)
    assert found.kernel_path.verdicts == {"to_remote": 9, "drop_kind": 2}
    assert found.kernel_path.drops == 2


def test_without_a_kernel_path_nothing_changes() -> None:
    assert with_kernel_path(stats(), [], {}) == stats()
