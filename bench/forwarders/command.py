# SPDX-License-Identifier: Apache-2.0
"""`./run bench forwarders`: measure each example by `fastpath replay --bench`, in turn."""

import json
import os
import subprocess
import sys
import tempfile
from itertools import permutations
from pathlib import Path
from typing import Literal

import click
import numpy as np

from fastpath.bench.common.command import json_option, rounds_option, show
from fastpath.bench.common.example import build
from fastpath.bench.common.results import AboutRun, about_run
from fastpath.bench.forwarders import table
from fastpath.bench.forwarders.results import Case, Results
from fastpath.control.cli.common.errors import one_line_errors
from fastpath.errors import RefusedError
from fastpath.pcap.pcapng import PcapngWriter

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HOSTS = 100
FRAMES = 1 << 16
PORTS = ("p1", "p2", "p3")

Form = Literal["C", "Python", "numba", "Cython"]
CASES: list[tuple[str, Form, str]] = [
    ("bridge (built in)", "C", "bridge"),
    ("hub (built in)", "C", "hub"),
    ("example_forwarder.bridge", "Cython", "example_forwarder.bridge:Bridge"),
    ("learning_bridge_numba.py", "numba", "learning_bridge_numba.py"),
    ("learning_bridge.py", "Python", "learning_bridge.py"),
    ("acl.py, then bridge", "Python", "acl.py rules=acl.toml | bridge"),
    ("ecmp.py, then bridge", "Python", "ecmp.py gateway=02:00:00:00:00:01 vteps=192.0.2.2,192.0.2.3 | bridge"),
    ("rate_limit.py, then bridge", "Python", "rate_limit.py rate=1e12 burst=1000000000 | bridge"),
    ("arp_responder.py, then bridge", "Python", "arp_responder.py hosts=10.9.9.9=02:00:00:00:00:05 | bridge"),
    ("mac_guard.py, then bridge", "Python", "mac_guard.py storm=1000000000 | bridge"),
    (
        "maglev.py, then bridge",
        "Python",
        "maglev.py address=10.0.0.1 port=80 backends=10.0.0.5=02:00:00:00:00:05,10.0.0.6=02:00:00:00:00:06 | bridge",
    ),
    ("mirror.py, then bridge", "Python", "mirror.py to=p3 match=protocol=tcp,dst_port=443 | bridge"),
    ("match_action.py, then bridge", "Python", "match_action.py program=match_action.toml | bridge"),
    ("vlan_switch.py", "Python", "vlan_switch.py access=p1=10,p2=10 trunks=p3"),
]


def write_capture(path: Path) -> None:
    """Write a capture of frames between any two of the hosts, a microsecond apart; the ports have equal shares."""
    generator = np.random.default_rng(1)
    pairs = list(permutations(range(HOSTS), 2))
    with path.open("wb") as file:
        writer = PcapngWriter(file)
        interfaces = [writer.interface(name) for name in PORTS]
        for number, which in enumerate(generator.integers(0, len(pairs), FRAMES).tolist()):
            source, destination = pairs[which]
            macs = bytes([2, 0, 0, 0, 0, destination, 2, 0, 0, 0, 0, source])
            ip = bytes.fromhex("45000032000000004000 0000") + bytes([10, 0, 0, source, 10, 0, 0, destination])
            ip = ip[:9] + bytes([(6, 17)[number % 2]]) + ip[10:]
            ports = (1024 + which % 512).to_bytes(2, "big") + (443 if number % 2 else 80).to_bytes(2, "big")
            frame = (macs + b"\x08\x00" + ip + ports).ljust(64, b"\0")
            writer.packet(interfaces[source % len(PORTS)], 1000 * number, frame)


def measure(capture: Path, words: str, packages: Path) -> float:
    """Return nanoseconds per frame, as the command measures them."""
    command = [sys.executable, "-m", "fastpath", "replay", str(capture), "--json", "--bench", "--forwarder", words]
    environment = os.environ | {"PYTHONPATH": str(packages)}
    done = subprocess.run(
        command, cwd=EXAMPLES / "forwarders", env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RefusedError(f"{words}: {done.stderr.strip()}")
    return float(json.loads(done.stdout)["bench"]["forward"]["median_ns"])


@click.command()
@rounds_option(5)
@json_option
@one_line_errors
def forwarders(*, rounds: int, json_file: Path | None) -> None:
    """Measure what each example forwarder costs per frame.

    \b
    Example:
      ./run bench forwarders --json bench/results/forwarders.json
    """
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "capture.pcapng"
        write_capture(capture)
        packages = build(Path(folder))
        ns: dict[str, list[float]] = {name: [] for name, _, _ in CASES}
        for _ in range(rounds):
            for name, _, words in CASES:
                ns[name].append(measure(capture, words, packages))
    cases = [Case(name=name, form=form, ns=ns[name]) for name, form, _ in CASES]
    show(Results(about=AboutRun(**about_run(0, rounds)), frames=FRAMES, cases=cases), json_file, table.render)
