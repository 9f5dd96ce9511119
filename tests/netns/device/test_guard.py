# SPDX-License-Identifier: Apache-2.0
"""`fastpath vxlan add … --guard`: only the device and its remotes exchange packets with its UDP port.

c1       c2
|        |
h1       h2      h3        h1 and h2 have a device; h3 is no remote
+------- sw -----+
"""

import json

import pytest

from fastpath.errors import RefusedError
from tests.attacks import access, vxlan
from tests.support.hosts.hosts import Lab, Namespace, reaches, wait_for

FRAME = vxlan.frame(b"forged")
FLOOD = "00:00:00:00:00:00"


@pytest.fixture
def guarded(three: Lab) -> Lab:
    for number in (1, 2):
        host, container = three.hosts[number - 1], three.containers[number - 1]
        words = f"vxlan add vx0 id 42 local 192.0.2.{number} remote 192.0.2.{3 - number} netns {container.name}"
        host.fastpath(*words.split(), "-d", "--guard")
        container.address(f"10.9.0.{number}/24")
    return three


def caught(host: Namespace) -> dict[str, int]:
    rules = json.loads(host.fastpath("guard", "show", "vx0", "--json").stdout)["rules"]
    return {rule["name"]: rule["packets"] for rule in rules}


def test_a_device_and_its_remotes(guarded: Lab) -> None:
    h1, _, h3 = guarded.hosts
    assert reaches(guarded.containers[0], "10.9.0.2")
    h3.inside(lambda: vxlan.forge("192.0.2.1", 42, FRAME))
    wait_for(lambda: caught(h1)["not_a_peer"] == 1, "the packet is caught")
    with pytest.raises(PermissionError):
        h1.inside(lambda: access.as_nobody(lambda: vxlan.forge("192.0.2.2", 42, FRAME)))
    before = caught(h1)["from_peer"]
    h1.fastpath("fdb", "append", FLOOD, "dev", "vx0", "dst", "192.0.2.3")
    h1.fastpath("fdb", "add", "02:42:0a:09:00:09", "dev", "vx0", "dst", "192.0.2.9")

    def known() -> str:
        return h1.run("nft", "list", "set", "inet", "fastpath-guard-192.0.2.1-4789", "peers").stdout

    wait_for(lambda: "192.0.2.3" in known() and "192.0.2.9" in known(), "the new remotes are peers")
    h3.inside(lambda: vxlan.forge("192.0.2.1", 42, FRAME))
    wait_for(lambda: caught(h1)["from_peer"] > before, "the packet passes")
    h1.fastpath("fdb", "del", FLOOD, "dev", "vx0", "dst", "192.0.2.3")
    wait_for(lambda: "192.0.2.3" not in known(), "it is no peer any more")
    h1.fastpath("vxlan", "del", "vx0")
    assert h1.run("nft", "list", "tables").stdout == ""


def test_a_guard_that_cannot_be(two: Lab) -> None:
    """One line, and no device."""
    host = two.hosts[0]
    words = ("vxlan", "add", "vx0", "id", "42", "remote", "192.0.2.2", "--guard")
    with pytest.raises(RefusedError, match="--guard protects one address"):
        host.fastpath(*words)
    host.fastpath("vxlan", "add", "vx0", "id", "42", "local", "192.0.2.1", "-d")
    with pytest.raises(RefusedError, match="the device vx0 has no guard"):
        host.fastpath("guard", "show", "vx0")
    host.fastpath("vxlan", "del", "vx0")
    assert host.links() == {"lo", "u0"}
