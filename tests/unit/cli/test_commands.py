# SPDX-License-Identifier: Apache-2.0
"""Every command of the daemon's, against a fake one: what it asks, what it prints, how it ends."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from fastpath.control.cli.common.click_ext import LazyGroup
from fastpath.control.cli.main import COMMANDS, main
from fastpath.control.model.requests import GuardInfo
from tests.support.control import fake_daemon as fake
from tests.support.control.fake_daemon import FakeDaemon

Type = Callable[..., Result]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with fake.fake_daemon(tmp_path / "d.sock") as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Type `fastpath …` where the daemon's socket would be d.sock, and no devices run."""
    monkeypatch.setenv("FASTPATH_SOCKET", str(tmp_path / "d.sock"))
    monkeypatch.setenv("FASTPATH_RUN_DIR", str(tmp_path / "devices"))
    return lambda *words: CliRunner().invoke(main, words, prog_name="fastpath")


def typed(run: Type, line: str) -> Result:
    """One that succeeds."""
    result = run(*line.split())
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result


def refused(run: Type, *words: str) -> str:
    """One that fails, and says so in one line."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("fastpath: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("fastpath: ").rstrip()


def rows(text: str) -> list[list[str]]:
    """The cells of a table's lines, without its head."""
    return [line.split() for line in text.splitlines()[1:]]


class TestNetwork:
    def test_create_sends_what_was_typed_and_prints_the_name(self, run: Type, daemon: FakeDaemon) -> None:
        line = (
            "network create blue --driver macvlan --subnet 10.1.0.0/24 --subnet fd00:1::/64 --gateway 10.1.0.9 "
            "--gateway fd00:1::9 --vni 300 --mtu 9000 --layout bridge --internal --port-security off "
            "--kernel-path tcp -o parent=eth0.10 -o a=b=c --opt d="
        )
        assert typed(run, line).stdout == "blue\n"
        assert daemon.asked == [
            (
                "POST",
                "/v1/networks",
                {
                    "name": "blue",
                    "driver": "macvlan",
                    "subnets": ["10.1.0.0/24", "fd00:1::/64"],
                    "gateways": ["10.1.0.9", "fd00:1::9"],
                    "vni": 300,
                    "mtu": 9000,
                    "layout": "bridge",
                    "internal": True,
                    "options": {"parent": "eth0.10", "a": "b=c", "d": ""},
                    "port_security": False,
                    "kernel_path": "tcp",
                },
            )
        ]

    def test_create_leaves_to_the_daemon_what_was_not_typed(self, run: Type, daemon: FakeDaemon) -> None:
        typed(run, "network create blue")
        body = daemon.asked[0][2]
        assert (body["subnets"], body["gateways"], body["vni"], body["mtu"]) == ([], [], None, None)
        assert (body["driver"], body["layout"], body["internal"], body["options"]) == ("overlay", "direct", False, {})

    def test_create_prints_json(self, run: Type, daemon: FakeDaemon) -> None:
        printed = json.loads(typed(run, "network create blue --json").stdout)
        assert printed["network"] == fake.BLUE.model_dump(mode="json")
        assert printed["mtu"] == 1450

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            ("-- -x", 'invalid name "-x": a name has 1 to 63 letters'),
            ("a --subnet 10.1.0.0", 'invalid --subnet "10.1.0.0": missing prefix length, e.g. 10.1.0.0/24'),
            ("a --subnet fd00::", 'invalid --subnet "fd00::": missing prefix length, e.g. fd00::/64'),
            ("a --subnet 10.1.0.1/24", 'invalid --subnet "10.1.0.1/24": it is an address in 10.1.0.0/24'),
            ("a --subnet 10.1.0.0/33", 'invalid --subnet "10.1.0.0/33": expected a subnet, e.g.'),
            ("a --gateway 10.1.0", 'invalid --gateway "10.1.0": expected an address, e.g. 10.1.0.1'),
            ("a --vni 255", 'invalid --vni "255": expected 256 to 16777215'),
            ("a --vni 16777216", 'invalid --vni "16777216": expected 256 to 16777215'),
            ("a --mtu 67", 'invalid --mtu "67": expected 68 to 65521'),
            ("a -o parent", 'invalid -o "parent": expected KEY=VALUE, e.g. -o parent=eth0'),
            ("a -o =x", 'invalid -o "=x": expected KEY=VALUE, e.g. -o parent=eth0'),
            ("a -o k=1 -o k=2", "-o k is given twice"),
        ],
    )
    def test_create_refuses_what_cannot_be(self, run: Type, daemon: FakeDaemon, words: str, line: str) -> None:
        assert refused(run, "network", "create", *words.split()).startswith(line)
        assert daemon.asked == []

    def test_create_tells_why_the_daemon_refuses(self, run: Type, daemon: FakeDaemon) -> None:
        daemon.refuse("POST /v1/networks", 409, "10.1.0.0/24 overlaps the network green: choose another subnet")
        assert refused(run, "network", "create", "blue") == daemon.answers["POST /v1/networks"][1]["error"]

    def test_set_sends_what_was_typed(self, run: Type, daemon: FakeDaemon) -> None:
        assert typed(run, "network set blue --mtu 1400 --port-security off --kernel-path tcp").stdout == "blue\n"
        printed = json.loads(typed(run, "network set blue --mtu auto --json").stdout)
        assert printed["network"]["name"] == "blue"
        assert daemon.asked == [
            ("PATCH", "/v1/networks/blue", {"mtu": 1400, "port_security": False, "kernel_path": "tcp"}),
            ("PATCH", "/v1/networks/blue", {"mtu": "auto", "port_security": None, "kernel_path": None}),
        ]

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            ("", "nothing to change: give --mtu, --port-security or --kernel-path"),
            ("--mtu 67", 'invalid --mtu "67": expected 68 to 65521'),
            ("--mtu big", 'invalid --mtu "big": expected 68 to 65521'),
        ],
    )
    def test_set_refuses_what_cannot_be(self, run: Type, daemon: FakeDaemon, words: str, line: str) -> None:
        assert refused(run, "network", "set", "blue", *words.split()) == line
        assert daemon.asked == []

    def test_ls(self, run: Type, daemon: FakeDaemon) -> None:
        assert rows(typed(run, "network ls").stdout) == [
            ["blue", "overlay", "256", "10.1.0.0/24", "fd00:1::/64", "1450", "direct", "2", "1"],
            ["lan", "macvlan", "–", "192.0.2.0/24", "1500", "bridge", "on", "eth0", "0", "0"],
        ]
        printed = json.loads(typed(run, "network ls --json").stdout)
        assert [info["network"]["name"] for info in printed] == ["blue", "lan"]

    def test_ls_of_none(self, run: Type, daemon: FakeDaemon) -> None:
        daemon.answers["GET /v1/networks"] = (200, [])
        assert rows(typed(run, "network ls").stdout) == []
        assert typed(run, "network ls --json").stdout == "[]\n"

    def test_inspect(self, run: Type, daemon: FakeDaemon) -> None:
        assert typed(run, "network inspect blue lan").stdout.splitlines() == [
            "blue: overlay, VNI 256, layout direct",
            "  subnet    10.1.0.0/24, gateway 10.1.0.1",
            "  subnet    fd00:1::/64, gateway fd00:1::1",
            "  mtu       1450, from the underlay",
            "  endpoints 2, 1 on this host",
            "    1f0c5a3b00000001  10.1.0.2/24 fd00:1::2/64  02:42:0a:01:00:02  eth0 on h1, web www",
            "    2b00000000000002  10.1.0.2/24 fd00:1::2/64  02:42:0a:01:00:03  eth1 on h2, leaving",
            "",
            "lan: macvlan, bridge on eth0, internal",
            "  subnet    192.0.2.0/24, gateway 192.0.2.254",
            "  mtu       1500",
            "  option    parent=eth0",
            "  endpoints 0, 0 on this host",
        ]
        printed = json.loads(typed(run, "network inspect lan --json").stdout)
        assert printed == [fake.LAN_DETAIL.model_dump(mode="json")]

    def test_inspect_shows_what_is_not_as_usual(self, run: Type, daemon: FakeDaemon) -> None:
        network = fake.BLUE.model_copy(update={"port_security": False})
        member = fake.ENDPOINT.model_copy(update={"allowed": (fake.VIRTUAL,)})
        detail = fake.DETAIL.model_copy(update={"network": network, "members": (member,)})
        daemon.answers["GET /v1/networks/blue"] = (200, detail)
        lines = typed(run, "network inspect blue").stdout.splitlines()
        assert lines[0] == "blue: overlay, VNI 256, layout direct, port security off"
        assert lines[-1].endswith("eth0 on h1, web www, allowed 10.1.0.100/24")

    def test_inspect_shows_those_that_there_are(self, run: Type, daemon: FakeDaemon) -> None:
        daemon.refuse("GET /v1/networks/red", 404, "there is no network red: see `fastpath network ls`")
        result = run("network", "inspect", "red", "lan", "--json")
        assert (result.exit_code, len(json.loads(result.stdout))) == (2, 1)
        assert result.stderr == "fastpath: there is no network red: see `fastpath network ls`\n"

    def test_rm_goes_on_after_one_that_is_in_use(self, run: Type, daemon: FakeDaemon) -> None:
        daemon.refuse("DELETE /v1/networks/red", 404, "there is no network red")
        daemon.refuse("DELETE /v1/networks/blue", 409, "blue has 2 endpoints: remove them first")
        result = run("network", "rm", "red", "blue", "lan", "lan")
        assert (result.exit_code, result.stdout) == (2, "lan\n")
        assert result.stderr == "fastpath: there is no network red\nfastpath: blue has 2 endpoints: remove them first\n"
        assert len(daemon.asked) == 3
        result = run("network", "rm", "red", "lan", "--json")
        assert (result.exit_code, json.loads(result.stdout)) == (2, ["lan"])


class TestEndpoint:
    def test_create_sends_what_was_typed_and_prints_the_addresses(self, run: Type, daemon: FakeDaemon) -> None:
        line = "endpoint create blue --sandbox c1 --name eth7 --ip 10.1.0.2 --ip fd00:1::2 --mac 02-42-0A-01-00-02"
        line += " --hostname web --hostname WWW"
        assert typed(run, line).stdout == "10.1.0.2/24\nfd00:1::2/64\n"
        assert daemon.asked == [
            (
                "POST",
                "/v1/endpoints",
                {
                    "network": "blue",
                    "sandbox": "c1",
                    "name": "eth7",
                    "addresses": ["10.1.0.2", "fd00:1::2"],
                    "mac": "02:42:0a:01:00:02",
                    "hostnames": ["web", "www"],
                },
            )
        ]

    def test_create_prints_json(self, run: Type, daemon: FakeDaemon) -> None:
        printed = json.loads(typed(run, "endpoint create blue --sandbox c1 --json").stdout)
        assert printed == fake.ENDPOINT.model_dump(mode="json")
        assert daemon.asked[0][2]["name"] == "eth0"

    def test_create_waits_for_a_store_that_is_away(
        self, run: Type, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = fake.STATUS.model_copy(update={"store_answers": False})
        daemon.answers["GET /v1/status"] = (200, away)

        def later(_: float) -> None:
            if len(daemon.asked) == 3:
                daemon.answers["GET /v1/status"] = (200, fake.STATUS)

        monkeypatch.setattr(time, "sleep", later)
        result = run(*"endpoint create blue --sandbox c1 --wait 60".split())
        assert result.stdout == "10.1.0.2/24\nfd00:1::2/64\n"
        assert result.stderr == "waiting for the store etcd://192.0.2.10:2379, for up to 60 s\n"
        assert [what for _, what, _ in daemon.asked] == ["/v1/status"] * 4 + ["/v1/endpoints"]

    def test_when_the_time_is_up_the_daemon_says_what_is_wrong(self, run: Type, daemon: FakeDaemon) -> None:
        daemon.answers["GET /v1/status"] = (200, fake.STATUS.model_copy(update={"store_answers": False}))
        daemon.refuse("POST /v1/endpoints", 503, "etcd at 192.0.2.10:2379 does not answer")
        result = run(*"endpoint create blue --sandbox c1 --wait 0.1".split())
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1] == "fastpath: etcd at 192.0.2.10:2379 does not answer"

    def test_a_sandbox_s_path_means_the_same_to_the_daemon(
        self, run: Type, daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        typed(run, "endpoint create blue --sandbox ./ns")
        typed(run, "endpoint create blue --sandbox /proc/12/ns/net")
        assert [body["sandbox"] for _, _, body in daemon.asked] == [f"{tmp_path}/ns", "/proc/12/ns/net"]

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (["a", "--sandbox", "c", "--ip", "10.1.0.2/24"], 'invalid --ip "10.1.0.2/24": expected an address, e.g.'),
            (["a", "--sandbox", "c", "--mac", "7"], 'invalid --mac "7": "7" is not a MAC address'),
            (["a", "--sandbox", "c", "--mac", "01:00:5e:00:00:01"], 'invalid --mac "01:00:5e:00:00:01": 01:00:5e:'),
            (["a", "--sandbox", "c", "--name", "a/b"], '"a/b" cannot be an interface name'),
            (["a", "--sandbox", ""], 'invalid --sandbox "": expected a name'),
            (["a", "--sandbox", "/proc/self/ns/net"], "--sandbox /proc/self/ns/net is the namespace of this command"),
            (["a", "--sandbox", "c", "--hostname", "a b"], 'invalid --hostname "a b": a host name has labels'),
            (["a", "--sandbox", "c", "--hostname", "10.0.0.1"], 'invalid --hostname "10.0.0.1": a host name is no'),
            (["a b", "--sandbox", "c"], 'invalid network "a b": a name has'),
        ],
    )
    def test_create_refuses_what_cannot_be(self, run: Type, daemon: FakeDaemon, words: list[str], line: str) -> None:
        assert refused(run, "endpoint", "create", *words).startswith(line)
        assert daemon.asked == []

    def test_ls(self, run: Type, daemon: FakeDaemon) -> None:
        first, second = rows(typed(run, "endpoint ls").stdout)
        addresses = "10.1.0.2/24 fd00:1::2/64 02:42:0a:01:00:02"
        assert first == f"1f0c5a3b00000001 blue web www {addresses} h1 eth0 /run/netns/c1 ready".split()
        assert second[-1] == "leaving"
        assert json.loads(typed(run, "endpoint ls blue --json").stdout)[0] == fake.ENDPOINT.model_dump(mode="json")
        assert [path for _, path, _ in daemon.asked] == ["/v1/endpoints", "/v1/endpoints?network=blue"]

    def test_allow(self, run: Type, daemon: FakeDaemon) -> None:
        assert typed(run, "endpoint allow 1f0c 10.1.0.100").stdout == "10.1.0.100/24\n"
        printed = json.loads(typed(run, "endpoint allow 1f0c 10.1.0.7 fd00:1::7 --remove --json").stdout)
        assert printed["allowed"] == ["10.1.0.100/24"]
        assert daemon.asked == [
            ("PATCH", "/v1/endpoints/1f0c", {"allow": ["10.1.0.100"], "disallow": []}),
            ("PATCH", "/v1/endpoints/1f0c", {"allow": [], "disallow": ["10.1.0.7", "fd00:1::7"]}),
        ]
        line = refused(run, "endpoint", "allow", "1f0c", "10.1.0")
        assert line == 'invalid ADDRESS "10.1.0": expected an address, e.g. 10.1.0.5'

    def test_rm(self, run: Type, daemon: FakeDaemon) -> None:
        assert typed(run, "endpoint rm 1f0c 2b").stdout == "1f0c\n2b\n"
        assert json.loads(typed(run, "endpoint rm --json 1f0c").stdout) == ["1f0c"]
        daemon.refuse("DELETE /v1/endpoints/0", 404, "no endpoint's id begins with 0")
        assert refused(run, "endpoint", "rm", "0") == "no endpoint's id begins with 0"


class TestStore:
    @pytest.mark.parametrize(
        ("answer", "line"),
        [
            ({"per_host": False, "outside": {}}, "not moved yet: all"),
            ({"per_host": True, "outside": {"h2": 3, "h1": 1}}, "not moved yet: 1 of h1, 3 of h2"),
            ({"per_host": True, "outside": {}}, "all endpoints are under their hosts' prefixes"),
        ],
    )
    def test_upgrade(self, run: Type, daemon: FakeDaemon, answer: dict[str, object], line: str) -> None:
        daemon.answers["POST /v1/store/upgrade"] = (200, answer)
        assert typed(run, "store upgrade").stdout == f"{line}\n"
        assert json.loads(typed(run, "store upgrade --json").stdout) == answer


class TestPeersAndStatus:
    def test_peers(self, run: Type, daemon: FakeDaemon) -> None:
        up, gone = rows(typed(run, "peers").stdout)
        assert up == "h2 192.0.2.2 port 4789 up 0.4 s ago 0.21 ms up 1400 1 0.1.0 –".split()
        assert gone == "h3 – gone never – off – 4 – 2 min 10 s".split()
        assert json.loads(typed(run, "peers --json").stdout) == [p.model_dump(mode="json") for p in fake.PEERS]

    def test_status_of_a_healthy_daemon(self, run: Type, daemon: FakeDaemon) -> None:
        assert typed(run, "status").stdout.splitlines() == [
            "h1: healthy",
            "",
            "daemon     fastpath 0.1.0, process 4711, up 1 h 2 min",
            "vtep       192.0.2.1 port 4789, underlay MTU 1500, 1 worker",
            "guard      in place",
            "store      etcd://192.0.2.10:2379: reachable, revision 1234",
            "peers      1 of 2 up",
            "path MTU   1400 bytes to h2",
            "networks   2",
            "endpoints  6, 1 on this host",
            "frames     1,234,567 in, 7,654,321 out, 3 dropped (see `fastpath stats`)",
            "flooded    0, of which 0 to unknown unicast addresses",
            "answered   17 ARP and ND requests, without flooding",
        ]

    def test_guard_show(self, run: Type, daemon: FakeDaemon) -> None:
        lines = typed(run, "guard show").stdout.splitlines()
        assert lines[0] == "the guard is in place"
        assert ["arriving", "not_a_peer", "stopped", "3", "300"] in [line.split()[:5] for line in lines]
        assert lines[-1].startswith("nft list table inet fastpath-guard-192.0.2.1-4789; restored 2 times")
        assert json.loads(typed(run, "guard show --json").stdout) == fake.GUARD.model_dump(mode="json")
        why = "the guard is not in place: the program nft is missing: install nftables"
        answer = GuardInfo(state="not in place", problem=why, table=fake.GUARD.table)
        daemon.answers["GET /v1/guard"] = (200, answer)
        result = run("guard", "show")
        assert (result.exit_code, result.stdout.splitlines(), result.stderr) == (1, [why], "")

    def test_status_of_one_that_is_not(self, run: Type, daemon: FakeDaemon) -> None:
        problems = ("the store does not answer: connection refused", "peer h3 is silent")
        ill = fake.STATUS.model_copy(update={"healthy": False, "problems": problems, "store_answers": False})
        daemon.answers["GET /v1/status"] = (200, ill)
        result = run("status")
        assert (result.exit_code, result.stderr) == (1, "")
        assert result.stdout.splitlines()[:3] == ["h1: has problems", *(f"  – {problem}" for problem in problems)]
        assert "etcd://192.0.2.10:2379: NOT REACHABLE, revision 1234" in result.stdout
        result = run("status", "--json")
        assert (result.exit_code, json.loads(result.stdout)) == (1, ill.model_dump(mode="json"))


class TestFdbAndStats:
    def test_fdb_shows_the_networks_of_a_daemon(self, run: Type, daemon: FakeDaemon) -> None:
        assert typed(run, "fdb show").stdout.splitlines() == [
            "02:42:0a:01:00:02 network blue dev eth0 local",
            "02:42:0a:01:00:03 network blue dst 192.0.2.2 endpoint two permanent",
            "02:42:0a:01:00:09 network lan dst 192.0.2.3 port 8472",
        ]
        assert (
            typed(run, "fdb show -s network lan").stdout.splitlines()[-1].endswith("dst 192.0.2.3 port 8472 updated 7")
        )
        assert "network" not in typed(run, "fdb show network blue").stdout
        assert daemon.asked[-1][1] == "/v1/fdb?network=blue"
        assert json.loads(typed(run, "fdb show --json").stdout)[0] == {
            "network": "blue",
            "mac": "02:42:0a:01:00:02",
            "ifname": "eth0",
            "state": "local",
        }

    def test_fdb_of_a_device_does_not_ask_the_daemon(self, run: Type, daemon: FakeDaemon) -> None:
        assert refused(run, "fdb", "show", "dev", "vx0").startswith("no fastpath device named vx0 runs here")
        assert daemon.asked == []

    def test_fdb_of_both_cannot_be(self, run: Type) -> None:
        line = refused(run, "fdb", "show", "dev", "vx0", "network", "blue")
        assert line == "dev and network exclude each other: give only one"

    def test_stats_shows_the_daemon_s_engine(self, run: Type, daemon: FakeDaemon) -> None:
        assert json.loads(typed(run, "stats --json").stdout) == {"overlay daemon": fake.STATS.as_dict()}
        printed = typed(run, "stats").stdout
        assert "overlay daemon: traffic, seen from the engine" in printed
        assert "no segment here has the packet's VNI" in printed

    def test_stats_of_a_device_does_not_ask_the_daemon(self, run: Type, daemon: FakeDaemon) -> None:
        assert refused(run, "stats", "vx0").startswith("no fastpath device named vx0 runs here")
        assert daemon.asked == []

    @pytest.mark.parametrize("words", ["fdb show", "stats"])
    def test_a_missing_daemon_is_no_error_where_it_was_not_asked_for(self, run: Type, words: str) -> None:
        assert typed(run, words).stdout == ""
        assert json.loads(typed(run, f"{words} --json").stdout) in ({}, [])

    @pytest.mark.parametrize("words", ["fdb show --socket {}", "stats --socket {}", "fdb show network blue"])
    def test_a_missing_daemon_is_one_where_it_was(self, run: Type, words: str, tmp_path: Path) -> None:
        line = refused(run, *words.format(tmp_path / "d.sock").split())
        assert line == f"no fastpath daemon answers on {tmp_path}/d.sock: start it with `fastpath daemon`"

    def test_a_daemon_that_refuses_is_an_error(self, run: Type, daemon: FakeDaemon) -> None:
        daemon.refuse("GET /v1/fdb", 500, "no")
        daemon.refuse("GET /v1/stats", 500, "no")
        assert refused(run, "fdb", "show") == refused(run, "stats") == "no"


@pytest.mark.parametrize(
    ("route", "words"),
    [("status", "status"), ("peers", "peers"), ("networks", "network ls"), ("endpoints", "endpoint ls")],
)
def test_an_answer_of_another_version_is_one_line(run: Type, daemon: FakeDaemon, route: str, words: str) -> None:
    daemon.answers[f"GET /v1/{route}"] = (200, {"mood": "good"} if words == "status" else [{"mood": "good"}])
    assert "is not understood here" in refused(run, *words.split())


def test_a_terminal_obeys_nothing_that_a_list_shows(run: Type, daemon: FakeDaemon) -> None:
    odd = fake.ENDPOINT.sandbox.model_copy(update={"path": "/run/netns/\x1b[2J"})
    daemon.answers["GET /v1/endpoints"] = (
        200,
        [fake.ENDPOINT.model_copy(update={"sandbox": odd}).model_dump(mode="json")],
    )
    assert rows(typed(run, "endpoint ls").stdout)[0][-2] == r"/run/netns/\x1b[2J"
    daemon.answers["GET /v1/status"] = (200, fake.STATUS.model_dump(mode="json") | {"problems": ["a\x9b31m\udcff"]})
    assert r"a\x9b31m\udcff" in typed(run, "status").stdout.replace(r"\xff", r"\udcff")
    daemon.answers["GET /v1/status"] = (409, {"error": "no\nfastpath: \u202eyes"})
    assert r"no\x0afastpath: \u202eyes" in refused(run, "status")


ASKING = [
    "network create a",
    "network ls",
    "network inspect a b",
    "network rm a b",
    "endpoint create a --sandbox c",
    "endpoint ls",
    "endpoint rm 1 2",
    "peers",
    "status",
    "guard show",
]


@pytest.mark.parametrize("words", ASKING)
def test_without_a_daemon_every_command_says_how_to_start_it(run: Type, tmp_path: Path, words: str) -> None:
    line = refused(run, *words.split())
    assert line == f"no fastpath daemon answers on {tmp_path}/d.sock: start it with `fastpath daemon`"


@pytest.mark.parametrize("words", ASKING)
def test_the_socket_may_be_an_option(run: Type, tmp_path: Path, words: str) -> None:
    line = refused(run, *words.split(), "--socket", str(tmp_path / "other"))
    assert line.startswith(f"no fastpath daemon answers on {tmp_path}/other: ")


def all_commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            yield from all_commands(below, (*path, name))
    yield path, command


EVERY = {" ".join(path): command for path, command in all_commands(main)}


@pytest.mark.parametrize("words", list(EVERY))
def test_every_command_has_help_with_an_example(run: Type, words: str) -> None:
    result = run(*words.split(), "--help")
    assert result.exit_code == 0
    assert f"  fastpath {words}" in result.stdout.split("Usage:")[1].split("\n", 1)[1]


def test_paths_that_may_not_be_opened_are_told_in_our_words() -> None:
    paths = [param.type for command in EVERY.values() for param in command.params if param.name == "socket"]
    assert len(paths) >= 10
    assert all(isinstance(path, click.Path) and not path.readable for path in paths)


def test_the_list_of_commands_is_loaded_only_when_one_is_called() -> None:
    assert isinstance(main, LazyGroup)
    for name, (_, line) in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.name == name
        assert len(line) <= 60
        assert line.endswith(".")
    assert main.get_command(click.Context(main), "nothing") is None


def test_an_unknown_command_is_told(run: Type) -> None:
    result: Any = run("netwrok")
    assert (result.exit_code, "No such command 'netwrok'" in result.stderr) == (2, True)


def test_a_state_directory_that_knows_nothing_is_told(run: Type, tmp_path: Path) -> None:
    said = typed(run, f"cleanup --yes --state-dir {tmp_path / 'state'}").stdout
    assert said.startswith(f"nothing is known in {tmp_path / 'state'}: ")
