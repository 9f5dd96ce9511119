# SPDX-License-Identifier: Apache-2.0
"""What earlier lives left under other settings is removed, or told of."""

import ipaddress
from pathlib import Path

import pytest

from fastpath import ConflictError
from fastpath.control.daemon import former
from fastpath.control.drivers.gateway import rules
from fastpath.control.drivers.gateway.config import BRIDGE
from fastpath.control.host.guard.rules import Plan, copy_of, table_of
from fastpath.control.kernel import nftables
from fastpath.control.kernel.nft_query import has_table
from tests.support.hosts.hosts import Lab, Namespace, ip
from tests.support.hosts.overlay_lab import daemons, endpoint, network, ours

OLD, NEW = ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("192.0.2.9")


def guard(vtep: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[str, str]:
    table = table_of(vtep, 4789)
    for later, each in enumerate((table, copy_of(table))):
        nftables.replace(each, Plan(vtep, 4789).body(later))
    return table, copy_of(table)


def stand(guards: tuple[str, str]) -> bool:
    found = {has_table(table) for table in guards}
    assert len(found) == 1
    return found == {True}


def tables(host: Namespace) -> set[str]:
    return {" ".join(line.split()[1:3]) for line in host.run("nft", "list", "tables").stdout.splitlines()}


def test_a_guard_of_another_vtep_goes_and_that_of_others_stays(two: Lab, tmp_path: Path) -> None:
    host, file = two.hosts[0], tmp_path / "lives.json"

    def lives() -> None:
        theirs = guard(ipaddress.ip_address("192.0.2.77"))  # another daemon's, in the same namespace
        assert former.begin(file, "h1", guard(OLD), gateway=False).problems == []
        assert former.begin(file, "h1", guard(OLD), gateway=False).problems == []
        old, new = guard(OLD), guard(NEW)
        assert former.begin(file, "h1", new, gateway=False).problems == []
        assert [stand(each) for each in (old, new, theirs)] == [False, True, True]
        former.begin(file, "h1", (), gateway=False)
        assert [stand(each) for each in (new, theirs)] == [False, True]
        for table in theirs:
            nftables.delete(table)

    host.inside(lives)


def test_a_gateway_bridge_that_is_switched_off_goes_with_its_rules(two: Lab, tmp_path: Path) -> None:
    file = tmp_path / "lives.json"
    with daemons(two, gateway=True) as running:
        daemon, container = running[0], two.containers[0]
        daemon.ensure(network(), endpoint(container, 1, network(), daemon.name))
        assert set(rules.TABLES) <= tables(daemon.host)
        daemon.do(lambda: former.begin(file, daemon.name, (), gateway=True))
        assert set(rules.TABLES) <= tables(daemon.host)
        daemon.do(lambda: former.begin(file, daemon.name, (), gateway=False))
        assert not set(rules.TABLES) & tables(daemon.host)
        assert BRIDGE not in ip("-n", daemon.host.name, "link")
        assert daemon.host.run("sysctl", "-n", "net.ipv4.conf.u0.forwarding").stdout.strip() == "0"


def test_rules_without_a_bridge_go_too(two: Lab, tmp_path: Path) -> None:
    file = tmp_path / "lives.json"
    with daemons(two, gateway=True) as running:
        host = running[0].host
        running[0].do(lambda: former.begin(file, running[0].name, (), gateway=True))
        host.ip(f"link delete {BRIDGE}")
        running[0].do(lambda: former.begin(file, running[0].name, (), gateway=False))
        assert not set(rules.TABLES) & tables(host)


def test_another_name_is_told_and_everything_is_removed_on_request(two: Lab, tmp_path: Path) -> None:
    file = tmp_path / "lives.json"
    with daemons(two, gateway=True) as running:
        daemon, containers = running[0], two.containers
        before, _, _ = ours(daemon, *containers)
        for number, net in enumerate((network(), network("bridge", "red", 1)), 1):
            daemon.ensure(net, endpoint(containers[0], number, net, daemon.name, f"e{number}"))
        made = daemon.do(lambda: guard(OLD))
        daemon.do(lambda: former.begin(file, daemon.name, made, gateway=True))
        (problem,) = daemon.do(lambda: former.begin(file, "another", made, gateway=True)).problems
        assert f"`fastpath cleanup --host {daemon.name}`" in problem.text
        with pytest.raises(ConflictError, match=f"of the host {daemon.name}: stop it first"):
            daemon.do(lambda: list(former.clean_up(file, (daemon.name,))))
        assert containers[0].links() >= {"e1", "e2"}
        daemon.engine.close()  # it ends
        said = daemon.do(lambda: list(former.clean_up(file, (daemon.name,))))
        assert any("gateway bridge" in line for line in said)
        after, _, files = ours(daemon, *containers)
        assert files == []
        assert [after[each.name] for each in containers] == [before[each.name] for each in containers]
        assert BRIDGE not in ip("-n", daemon.host.name, "link")
        assert daemon.do(lambda: stand(made))  # the present name's
        assert former.read(file).hosts == ("another",)
        daemon.do(lambda: list(former.clean_up(file, None)))
        assert not daemon.do(lambda: stand(made))
        assert former.read(file) == former.Lives()
        daemon.do(lambda: list(former.clean_up(file, None)))


def test_a_damaged_record_is_none(tmp_path: Path) -> None:
    file = tmp_path / "lives.json"
    for text in ("", "[]", '{"hosts": 1}', "\xff"):
        file.write_text(text, encoding="latin-1")
        assert former.read(file) == former.Lives()
