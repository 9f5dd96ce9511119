# SPDX-License-Identifier: Apache-2.0
"""`fastpath fdb` accepts the syntax of `bridge fdb` and prints the same output: compared with the real command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts.hosts import Lab

MAC, GROUP, FLOOD = "02:42:0a:09:00:07", "01:00:5e:01:02:03", "00:00:00:00:00:00"

# Each step is typed at both; the listings afterwards must be the same.
STEPS = [
    f"add {MAC} dev vx0 dst 192.0.2.2",
    f"append {FLOOD} dev vx0 dst 192.0.2.3",
    f"append {FLOOD} dev vx0 dst 192.0.2.4 port 8472",
    f"add {GROUP} dev vx0 dst 192.0.2.2",
    f"append {GROUP} dev vx0 dst 192.0.2.3",
    f"replace {MAC} dev vx0 dst 192.0.2.3",
    "add 02:42:0a:09:00:08 dev vx0 dst 192.0.2.9 port 8472 self permanent",
    f"del {FLOOD} dev vx0 dst 192.0.2.3",
    f"del {GROUP} dev vx0 dst 192.0.2.2",
    f"append {GROUP} dev vx0 dst 192.0.2.3",
    f"append {FLOOD} dev vx0 dst 192.0.2.2",
    f"del {MAC} dev vx0",
    "add 02:42:0a:09:00:09 dev vx0 dst 192.0.2.2 self dynamic",
]

# Each is refused by both, and changes nothing.
REFUSED = [
    f"add {MAC} dev vx0 dst 192.0.2.4",
    "del 02:42:0a:09:00:77 dev vx0",
]


@pytest.fixture
def both(two: Lab) -> Lab:
    """fastpath on h1, the kernel's vxlan on h2, with the same words."""
    words = "id 42 local {} remote 192.0.2.2 dstport 4789"
    two.hosts[0].fastpath("vxlan", "add", "vx0", *words.format("192.0.2.1").split(), "-d")
    two.hosts[1].run("ip", "link", "add", "vx0", "type", "vxlan", *words.format("192.0.2.2").split())
    return two


def ours(lab: Lab) -> Callable[[str], Any]:
    return lambda words: lab.hosts[0].fastpath("fdb", *words.split(), check=False)


def kernels(lab: Lab) -> Callable[[str], Any]:
    return lambda words: lab.hosts[1].run("bridge", "fdb", *words.split(), check=False)


def listing(typed: Callable[[str], Any]) -> set[str]:
    """The lines, without our own interface's address, which the kernel's vxlan doesn't list."""
    lines = typed("show dev vx0").stdout.splitlines()
    return {" ".join(line.split()) for line in lines if " dst " in line}


def test_same_words_same_output(both: Lab) -> None:
    fastpath, bridge = ours(both), kernels(both)
    assert listing(fastpath) == listing(bridge)
    for step in STEPS:
        for typed in (fastpath, bridge):
            done = typed(step)
            assert done.returncode == 0, f"{step}: {done.stderr}"
        assert listing(fastpath) == listing(bridge), step


def test_both_refuse_the_same(both: Lab) -> None:
    fastpath, bridge = ours(both), kernels(both)
    for typed in (fastpath, bridge):
        assert typed(f"add {MAC} dev vx0 dst 192.0.2.2").returncode == 0
    before = listing(fastpath)
    for step in REFUSED:
        for typed in (fastpath, bridge):
            assert typed(step).returncode != 0, step
        assert listing(fastpath) == listing(bridge) == before, step


def test_flush_leaves_the_flood_list(both: Lab) -> None:
    fastpath = ours(both)
    for step in STEPS:
        assert fastpath(step).returncode == 0
    flood = {line for line in listing(fastpath) if line.startswith(FLOOD)}
    assert fastpath("flush dev vx0 dynamic").returncode == 0
    assert not any("permanent" not in line for line in listing(fastpath))
    assert len(listing(fastpath)) > len(flood)
    assert fastpath("flush dev vx0").returncode == 0
    assert listing(fastpath) == flood


def test_what_cannot_be_meant_is_refused(both: Lab) -> None:
    fastpath = ours(both)
    before = listing(fastpath)
    for step in ("flush dev vx0 port 1234", f"add {MAC} dev vx0 port 1234", f"add {MAC} dev vx0 dst 192.0.2.1"):
        done = fastpath(step)
        assert done.returncode == 2, step
        assert done.stderr.count("\n") == 1, step
    assert listing(fastpath) == before


def test_json_has_the_same_members(both: Lab) -> None:
    mine = json.loads(both.hosts[0].fastpath("fdb", "show", "dev", "vx0", "--json").stdout)
    theirs = json.loads(both.hosts[1].run("bridge", "-json", "fdb", "show", "dev", "vx0").stdout)
    mine = [entry for entry in mine if "dst" in entry]
    assert mine == theirs


def test_an_entry_is_used_at_once_and_ageing_shows(both: Lab) -> None:
    h1, c1 = both.hosts[0], both.containers[0]
    h1.run("ip", "link", "set", "vx0", "netns", c1.name)
    c1.address("10.9.0.1/24")
    both.hosts[1].run("ip", "address", "add", "10.9.0.2/24", "dev", "vx0")
    both.hosts[1].run("ip", "link", "set", "vx0", "up")
    c1.run("ping", "-c", "2", "-i", "0.2", "10.9.0.2")
    learned = [line for line in h1.fastpath("fdb", "show", "-s").stdout.splitlines() if "updated" in line]
    assert len(learned) == 1
    mac = learned[0].split()[0]
    assert h1.fastpath("fdb", "replace", mac, "dev", "vx0", "dst", "192.0.2.77").returncode == 0
    assert c1.run("ping", "-c", "1", "-W", "1", "10.9.0.2", check=False).returncode == 1
    drops = h1.stats()["segments"][0]["tally"]["drops"]
    assert set(drops) <= {"static_source", "no_destination"}


def test_a_batch(both: Lab, tmp_path: Path) -> None:
    fastpath, bridge = ours(both), kernels(both)
    batch = tmp_path / "batch"
    batch.write_text("# stations\n" + "".join(f"fdb {step}\n" for step in STEPS) + "\n")
    assert fastpath(f"batch {batch}").returncode == 0
    for step in STEPS:
        assert bridge(step).returncode == 0
    assert listing(fastpath) == listing(bridge)


def test_a_batch_with_a_mistake(both: Lab, tmp_path: Path) -> None:
    fastpath = ours(both)
    before = listing(fastpath)
    batch = tmp_path / "batch"
    batch.write_text(f"shew dev vx0\nadd {MAC} dev vx0 dst 192.0.2.2\n")
    done = fastpath(f"batch {batch}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{batch}:1: shew is not one of add, append, replace, del" in done.stderr
    assert listing(fastpath) == before
    assert fastpath(f"batch --force {batch}").returncode == 2
    assert len(listing(fastpath)) == len(before) + 1


def test_an_entry_needs_a_remote(both: Lab) -> None:
    """As the kernel says: its device has no entries for its own side."""
    assert kernels(both)(f"add {MAC} dev vx0").returncode != 0
    done = ours(both)(f"add {MAC} dev vx0")
    assert (done.returncode, done.stderr) == (2, "fastpath: an entry is for a remote: name it, e.g. dst 192.0.2.2\n")
