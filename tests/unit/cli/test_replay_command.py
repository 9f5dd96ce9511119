# SPDX-License-Identifier: Apache-2.0
"""`fastpath replay` as people and programs use it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fastpath.control.cli.replay import replay
from fastpath.control.replay.ports import PortMap
from fastpath.errors import UsageError
from fastpath.pcap.pcap import CaptureReader
from tests.support.engine import captures
from tests.support.engine.frames import BROADCAST, frame, mac

FRAMES = [(n * 1000, frame(BROADCAST if n % 3 else mac(n % 5 + 1), mac(n % 7 + 1))) for n in range(300)]


@pytest.fixture
def capture(tmp_path: Path) -> str:
    path = tmp_path / "lan.pcap"
    path.write_bytes(captures.pcap(FRAMES))
    return str(path)


def run(*words: str) -> Result:
    return CliRunner().invoke(replay, list(words))


def run_json(*words: str) -> Any:
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_tables(capture: str) -> None:
    done = run(capture)
    assert done.exit_code == 0
    for word in ("lan.pcap: traffic", "in ", "out ", "flooded", "same_port", "300 records in"):
        assert word in done.output


def test_what_was_not_replayed_stands_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(captures.pcap(FRAMES, snaplen=20)[:-1])
    done = run(str(path))
    assert "filled" in done.output
    assert "ends within a record" in done.output


def test_json_is_the_same_every_time_but_for_the_seconds(capture: str) -> None:
    first, second = run_json(capture), run_json(capture)
    assert first.pop("seconds") > 0
    del second["seconds"]
    assert first == second
    assert first["capture"] == {"records": 300, "skipped": {}, "mended": {}, "cut": False}
    assert [(port["name"], port["traffic"]["rx_frames"]) for port in first["ports"]] == [("in", 300), ("out", 0)]


def test_forwarders_by_name(capture: str) -> None:
    hub = run_json(capture, "--forwarder", "hub")
    assert hub["ports"][1]["traffic"]["tx_frames"] == 300


ACL = """
import numpy as np
from fastpath import DROP, Forwarder, PASS

class Acl(Forwarder):
    def __init__(self, deny: list[int]):
        self.deny = deny
    def start(self):
        self.denied = self.reason("denied")
    def forward(self, burst):
        burst.out = np.where(np.isin(burst.src_mac & np.uint64(255), self.deny), self.denied, PASS)
"""


EXAMPLES = Path(__file__).parents[3] / "examples" / "forwarders"


def test_a_forwarder_may_ask_for_ports_by_name(capture: str) -> None:
    switch = run_json(capture, "--forwarder", f"{EXAMPLES / 'vlan_switch.py'}", "access=in=10,out=20", "trunks=")
    assert switch["segments"][0]["forwarder"]["counters"] == {"refused": 0, "nowhere": 300}
    assert run(capture, "--forwarder", f"{EXAMPLES / 'mirror.py'} to=nowhere").exit_code != 0


def test_a_bridge_in_python_is_not_taken_for_the_default(capture: str) -> None:
    assert "table_full: 0" in run(capture, "--forwarder", f"{EXAMPLES / 'learning_bridge.py'}").output
    assert "table_full" not in run(capture).output


def test_a_forwarder_in_a_file(capture: str, tmp_path: Path) -> None:
    file = tmp_path / "acl.py"
    file.write_text(ACL)
    denied = sum(data[11] in (2, 3) for _, data in FRAMES)
    alone = run_json(capture, "--forwarder", str(file), "deny=2,3")
    assert alone["segments"][0]["forwarder"]["counters"] == {"denied": denied}
    chain = run_json(capture, "--forwarder", f"{file} deny=2,3 | hub")
    assert chain["ports"][1]["traffic"]["tx_frames"] == 300 - denied
    assert run_json(capture, "--forwarder", f"{file} deny=2,3 | hub", "--bench")["bench"]["frames"] == 300
    done = run(capture, "--forwarder", str(file))
    assert (done.exit_code, done.output) == (2, f"fastpath: {file} needs the parameter deny\n")
    done = run(capture, "deny=2")
    assert (done.exit_code, done.output) == (2, "fastpath: bridge takes no parameters\n")


def test_ports_in_a_file(capture: str, tmp_path: Path) -> None:
    file = tmp_path / "ports.toml"
    file.write_text(f'[ports]\nlan = ["{mac(1)}", "{mac(2)}"]\nwan = "*"\nspare = []\n')
    ports = run_json(capture, "--ports", str(file))["ports"]
    expected = sum(data[6:12].hex(":") in (mac(1), mac(2)) for _, data in FRAMES)
    assert [(port["name"], port["traffic"]["rx_frames"]) for port in ports] == [
        ("lan", expected),
        ("wan", 300 - expected),
        ("spare", 0),
    ]


def test_output_takes_its_place_when_all_went_well(capture: str, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    out.write_bytes(b"what was there before")
    out.chmod(0o640)
    damaged = tmp_path / "damaged.pcap"
    damaged.write_bytes(captures.pcap(FRAMES) + b"\xff" * 16)
    done = run(str(damaged), "-o", str(out))
    assert done.exit_code == 2
    assert out.read_bytes() == b"what was there before"
    assert run(capture, "-o", str(out)).exit_code == 0
    with out.open("rb", buffering=0) as file:
        assert all(record.interface == "out" for record in CaptureReader(file, "out"))
    assert out.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.pcap", "lan.pcap", "out.pcapng"]


@pytest.mark.parametrize("how", ["path", "other path", "symbolic link", "hard link"])
def test_output_into_its_own_input(capture: str, tmp_path: Path, how: str) -> None:
    before, link = Path(capture).read_bytes(), tmp_path / "link.pcap"
    if how == "symbolic link":
        link.symlink_to(capture)
    elif how == "hard link":
        link.hardlink_to(capture)
    elsewhere = f"{Path(capture).parent}/./{Path(capture).name}"
    output = {"path": capture, "other path": elsewhere}.get(how, str(link))
    done = run(capture, "--forwarder", "hub", "-o", output)
    assert done.exit_code == 2
    assert done.output == f"fastpath: -o: {Path(output)} is the capture itself: name another file\n"
    assert Path(capture).read_bytes() == before


def test_output_on_a_full_disk(capture: str) -> None:
    done = run(capture, "-o", "/dev/full")
    assert done.exit_code == 2
    assert done.output.startswith("fastpath: No space left on device")


def test_bench(capture: str) -> None:
    found = run_json(capture, "--bench")
    assert found["bench"]["frames"] == 300
    cost = found["bench"]["forward"]
    assert 0 < cost["min_ns"] <= cost["median_ns"] <= cost["max_ns"]
    assert "forwarder" in run(capture, "--bench").output


def test_it_needs_no_root(capture: str) -> None:
    done = subprocess.run([sys.executable, "-c", NOBODY, capture], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["capture"]["records"] == 300


# As nobody where we are root. All is loaded before, since nobody may not read what we may.
NOBODY = """
import os, sys
from fastpath.control.cli.replay import replay
from fastpath.control.cli.reports import replay as replay_report
file = open(sys.argv[1], "rb", buffering=0)
os.dup2(file.fileno(), 0)
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
replay(["-", "--json"])
"""


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name one capture: fastpath replay CAPTURE [PARAMETER=VALUE …]"),
        (["a", "b"], "name one capture: fastpath replay CAPTURE [PARAMETER=VALUE …]"),
        (["/nowhere"], "No such file or directory: /nowhere"),
        (["/"], "Is a directory: /"),
        (["/dev/null"], "/dev/null: it is empty (byte 0)"),
        (["x", "deny=80", "deny=81"], "the parameter deny is given twice"),
        (["x", "--forwarder", "a.py |"], "a forwarder is missing: FILE[:NAME], package.module:NAME, bridge or hub"),
        (["x", "--ports", "lan"], '--ports: invalid "lan": expected NAME=MAC,… or NAME=*'),
        (["x", "--ports", ""], "--ports: expected 1 to 1000 ports"),
        (["x", "--ports", "/nowhere.toml"], "No such file or directory: /nowhere.toml"),
        (["x", "--local", "192.0.2.1"], "--local tells which VXLAN packets were sent here: it needs --vxlan"),
        (["x", "--remote", "192.0.2.1", "--remote", "192.0.2.1"], "--remote: an address is given twice"),
        (["x", "--vxlan", "--local", "192.0.2.1", "--remote", "192.0.2.1"], "--remote: 192.0.2.1 is --local itself"),
        (
            ["x", "--vxlan", "--local", "192.0.2.1", "--remote", "2001:db8::1"],
            "--remote: 2001:db8::1 and 192.0.2.1 are of different families",
        ),
        (["x", "--bench", "-o", "y"], "--bench does not deliver frames: it cannot be used with -o or --timing"),
    ],
)
def test_what_cannot_be_is_one_line(words: list[str], why: str) -> None:
    done = run(*words)
    assert (done.exit_code, done.output) == (2, f"fastpath: {why}\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"a={mac(1)} a=*", "--ports: a is given twice"),
        ("a=* b=*", "--ports: all other addresses enter at both a and b"),
        (f"a={mac(1)} b={mac(1)}", "--ports: 02:00:00:00:00:01 enters at both a and b"),
        ("a=1", '"1" is not a MAC address: write it like 02:42:0a:00:00:05'),
        ("=*", "--ports: invalid port name '': expected 1 to 60 printable characters"),
        (f"{'x' * 61}=*", f"--ports: invalid port name '{'x' * 61}': expected 1 to 60 printable characters"),
    ],
)
def test_maps_that_cannot_be(text: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        PortMap.parse(text)
    assert str(error.value) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ports = 1", "expected one table, [ports]"),
        ("[ports]\n[other]", "expected one table, [ports]"),
        ("[ports]\na = 1", 'port a: expected a list of MAC addresses, or "*"'),
        ("[ports]\na = [1]", 'port a: expected a list of MAC addresses, or "*"'),
        ("][", "not a TOML file: "),
    ],
)
def test_files_that_cannot_be(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "ports.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        PortMap.parse(str(file))
    assert str(error.value).startswith(f"{file}: {why}")
    assert "\n" not in str(error.value)
