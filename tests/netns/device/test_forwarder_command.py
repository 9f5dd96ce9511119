# SPDX-License-Identifier: Apache-2.0
"""`fastpath forwarder` on a device that runs, with a container behind it."""

import json
import re
from pathlib import Path
from typing import Any

from tests.support.hosts.hosts import Lab, wait_for

BRIDGE = """
import numpy as np
from fastpath import DROP, FLOOD, Forwarder, Table

class Bridge(Forwarder):
    def __init__(self, hosts: int = 1024) -> None:
        self.hosts = Table(hosts)
        self.where = self.hosts.column(np.uint32, FLOOD)

    def forward(self, burst):
        self.count("bursts")
        self.where[self.hosts.add(burst.src_mac)] = burst.port
        burst.out = self.where[self.hosts.find(burst.dst_mac)]
        burst.out[burst.from_remote & burst.to_remote] = DROP
"""
RAISES = """
from fastpath import Forwarder

class Raises(Forwarder):
    def forward(self, burst):
        raise LookupError("no way")
"""


def test_a_forwarder_is_set_and_reset_while_frames_flow(pair: Lab, tmp_path: Path) -> None:
    host, container = pair.hosts[0], pair.containers[0]
    (tmp_path / "bridge.py").write_text(BRIDGE)
    (tmp_path / "raises.py").write_text(RAISES)
    assert host.fastpath("forwarder", "show", "vx0").stdout == "VxlanLearning\n"
    before = container.counts()["IcmpInEchoReps"]
    flood = container.spawn("ping", "-q", "-i", "0.001", "-w", "280", "10.9.0.2")
    for _ in range(3):
        done = host.fastpath("forwarder", "set", "vx0", str(tmp_path / "bridge.py"), "hosts=16")
        assert done.stdout.startswith("Bridge (in Python, on a thread of its own)\n")
        wait_for(lambda: host.stats()["segments"][0]["forwarder"]["counters"].get("bursts"), "it is asked")
        host.fastpath("forwarder", "set", "vx0", "hub", "|", "bridge")
        host.fastpath("forwarder", "reset", "vx0")
    flood.send_signal(2)
    report = flood.communicate()[0]
    sent = int(re.findall(r"(\d+) packets transmitted", report)[0])
    # The kernel also counts those that were still on their way when ping ended.
    wait_for(lambda: container.counts()["IcmpInEchoReps"] - before >= sent, f"every ping is answered: {report}")
    assert host.fastpath("forwarder", "show", "vx0").stdout == "VxlanLearning\n"


def test_what_a_forwarder_raises_is_shown(pair: Lab, tmp_path: Path) -> None:
    host, container = pair.hosts[0], pair.containers[0]
    (tmp_path / "raises.py").write_text(RAISES)
    host.fastpath("forwarder", "set", "vx0", str(tmp_path / "raises.py"))
    container.run("ping", "-c", "1", "-W", "1", "10.9.0.2", check=False)

    def failed() -> dict[str, Any] | None:
        shown: dict[str, Any] = json.loads(host.fastpath("forwarder", "show", "vx0", "--json").stdout)
        return shown if shown["failures"] >= 1 else None

    shown = wait_for(failed, "it is asked, and raises")
    assert shown is not None
    assert shown["last_error"] == "Raises: LookupError: no way"
    assert "failed" in host.fastpath("stats", "vx0").stdout
    host.fastpath("forwarder", "reset", "vx0")
    container.run("ping", "-c", "1", "10.9.0.2")


def test_what_cannot_be_set_changes_nothing(pair: Lab, tmp_path: Path) -> None:
    host = pair.hosts[0]
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    for words, why in (
        (("vx0", "absent.py"), "absent.py: No such file or directory"),
        (("vx0", str(tmp_path / "broken.py")), "broken.py, line 1: ModuleNotFoundError"),
        (("vx0", "bridge", "x"), '"x" is not a parameter'),
        (("vx9", "hub"), "no fastpath daemon answers"),
    ):
        done = host.fastpath("forwarder", "set", *words, check=False)
        assert done.returncode == 2
        assert why in done.stderr
        assert done.stderr.count("\n") == 1
    assert host.fastpath("forwarder", "show", "vx0").stdout == "VxlanLearning\n"
