# SPDX-License-Identifier: Apache-2.0
"""The choice of the VTEP's address, and the notification of changes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fastpath import FastpathError
from fastpath.addresses import parse_ip
from fastpath.control.host.underlay_watch import UnderlayWatch, resolve_vtep, underlay_mtu
from tests.support.hosts.hosts import Lab, wait_for


def test_the_vtep_by_address_by_interface_and_by_default_route(two: Lab) -> None:
    host = two.hosts[0]

    def resolve(text: str | None) -> tuple[str, str]:
        address, name = host.inside(lambda: resolve_vtep(text))
        return str(address), name

    assert resolve("192.0.2.1") == ("192.0.2.1", "u0")
    assert resolve("2001:db8::1") == ("2001:db8::1", "u0")
    assert resolve("u0") == ("192.0.2.1", "u0")
    with pytest.raises(FastpathError, match="no default route"):
        resolve(None)
    host.ip("route add default via 192.0.2.2")
    assert resolve(None) == ("192.0.2.1", "u0")
    host.ip("address del 192.0.2.1/24 dev u0")
    # Those that will not last, or cannot be used yet, are not chosen while there is another one.
    host.ip("-6 address add 2001:db8::7/64 dev u0 nodad preferred_lft 0")
    host.ip("-6 address add 2001:db8::8/64 dev u0")  # duplicate detection takes a second
    host.ip("-6 address del 2001:db8::1/64 dev u0")
    host.ip("-6 address add 2001:db8::1/64 dev u0 nodad")  # the last one, which the kernel lists first
    assert resolve("u0") == ("2001:db8::1", "u0")
    host.ip("-6 address del 2001:db8::8/64 dev u0")
    host.ip("-6 address del 2001:db8::7/64 dev u0")
    assert resolve("u0") == ("2001:db8::1", "u0")
    host.ip("-6 route add default via 2001:db8::2")
    assert resolve(None) == ("2001:db8::1", "u0")
    host.ip("link add v0 type veth peer name v1")
    for text, message in (
        ("192.0.2.99", "does not have the address 192.0.2.99"),
        ("eth9", "neither an interface nor an address"),
        ("v0", "has no address that remotes could reach"),
        ("", "neither an interface nor an address"),
        ("224.0.0.1", "neither"),
    ):
        with pytest.raises(FastpathError, match=message):
            resolve(text)


def test_the_mtu_is_the_smallest_on_the_way(two: Lab) -> None:
    host, local = two.hosts[0], parse_ip("192.0.2.1")
    remotes = [parse_ip("192.0.2.2"), parse_ip("198.51.100.1")]
    host.ip("route add 198.51.100.0/24 via 192.0.2.2 mtu 1300")
    assert host.inside(lambda: underlay_mtu(local)) == 1500
    assert host.inside(lambda: underlay_mtu(local, remotes[:1])) == 1500
    assert host.inside(lambda: underlay_mtu(local, remotes)) == 1300


def test_changes_are_told_once_they_are_over(two: Lab, tmp_path: Path) -> None:
    host, batch = two.hosts[0], tmp_path / "batch"
    batch.write_text("".join(f"link set u0 mtu {mtu}\n" for mtu in range(1300, 1310)))

    def settled() -> bool:  # the kernel's own changes are over: it has found out that no other has this address
        (link,) = json.loads(host.ip("-json address show dev u0"))
        return any(a["scope"] == "link" and not a.get("tentative") for a in link["addr_info"] if a["family"] == "inet6")

    wait_for(settled, "u0 has its link-local address")

    async def watch(change: Callable[[], object], quiet: float, latest: float, times: int) -> int:
        calls: list[None] = []
        enough = asyncio.Event()

        def changed() -> None:
            calls.append(None)
            if len(calls) >= times:
                enough.set()

        watcher = UnderlayWatch(changed, quiet=quiet, latest=latest)
        watcher.start()
        try:
            work = asyncio.get_running_loop().run_in_executor(None, change)
            async with asyncio.timeout(30):
                await enough.wait()
            await work
            if times == 1:  # and no second one follows
                await asyncio.sleep(2 * quiet)
        finally:
            watcher.close()
        return len(calls)

    def run(change: Callable[[], object], quiet: float = 0.5, latest: float = 30.0, times: int = 1) -> int:
        return host.inside(lambda: asyncio.run(watch(change, quiet, latest, times)))

    assert run(lambda: host.ip("link set u0 mtu 1400")) == 1
    assert run(lambda: host.ip("route add 198.51.100.0/24 via 192.0.2.2")) == 1
    assert run(lambda: host.ip("address add 2001:db8::77/64 dev u0 nodad")) == 1
    assert run(lambda: host.run("ip", "-batch", str(batch))) == 1
    # Changes without end: it is told all the same.
    assert run(lambda: [host.ip(f"link set u0 mtu {mtu}") for mtu in range(1300, 1500)], 5.0, 0.05, 3) >= 3
