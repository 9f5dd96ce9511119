# SPDX-License-Identifier: Apache-2.0
"""Networks and endpoints in a store: requests of one host, and concurrent requests of several."""

import asyncio
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from fastpath.control.cluster import keys
from fastpath.control.cluster.in_use import InUse
from fastpath.control.cluster.ipam import Pool
from fastpath.control.model.objects import Endpoint, Network
from fastpath.control.model.requests import EndpointCreate
from fastpath.control.store.interface import Delete, Listing, Put, UnavailableError
from fastpath.errors import ConflictError, NotFoundError, UsageError
from tests.support.control.sites import SANDBOX, Host, ids, with_hosts


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_a_network_gets_what_it_does_not_ask_for(file: Path) -> None:
    async def play(hosts: list[Host]) -> list[Network]:
        return [await hosts[0].network("web"), await hosts[0].network("db")]

    web, db = with_hosts(file, 1, play)
    assert (web.vni, str(web.subnets[0].pool), str(web.subnets[0].gateway)) == (256, "10.0.0.0/24", "10.0.0.1")
    assert (db.vni, str(db.subnets[0].pool)) == (257, "10.0.1.0/24")


def test_a_network_whose_making_got_no_answer_may_be_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(hosts: list[Host]) -> None:
        async def unanswered(*what: object) -> int:
            await commit(*what)  # type: ignore[arg-type]
            raise UnavailableError("the store does not answer")

        commit = hosts[0].store.commit
        monkeypatch.setattr(hosts[0].store, "commit", unanswered)
        with pytest.raises(UnavailableError, match="the network web may have been created nevertheless"):
            await hosts[0].network("web")
        assert await hosts[0].store.get(keys.network("web")) is not None

    with_hosts(file, 1, play)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": "web"}, "there is a network web already"),
        ({"name": "x", "vni": 300}, "VNI 300 belongs to the network web"),
        ({"name": "x", "subnets": ["10.7.0.0/16"]}, r"overlaps 10\.7\.1\.0/24 of the network web"),
    ],
)
def test_a_network_that_cannot_be_changes_nothing(file: Path, more: dict[str, object], message: str) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web", vni=300, subnets=["10.7.1.0/24"])
        before = await hosts[0].store.list("/")
        with pytest.raises(ConflictError, match=message):
            await hosts[0].network(**more)  # type: ignore[arg-type]
        assert await hosts[0].store.list("/") == before

    with_hosts(file, 1, play)


def test_no_ipv6_where_packets_are_too_small_for_it(file: Path) -> None:
    async def play(hosts: list[Host]) -> Network:
        with pytest.raises(UsageError, match="fd00::/64 cannot have an MTU of 1279: IPv6 needs 1280"):
            await hosts[0].network("web", subnets=["10.7.1.0/24", "fd00::/64"], mtu=1279)
        await hosts[0].network("small", subnets=["10.7.1.0/24"], mtu=100)
        return await hosts[0].network("web", subnets=["fd00::/64"], mtu=1280)

    assert with_hosts(file, 1, play).mtu == 1280


def test_hosts_that_make_networks_at_once_get_different_ones(file: Path) -> None:
    async def play(hosts: list[Host]) -> list[Network]:
        return await asyncio.gather(*(host.network(f"{host.name}-{n}") for host in hosts for n in range(8)))

    networks = with_hosts(file, 4, play)
    assert len({network.vni for network in networks}) == 32
    assert len({network.subnets[0].pool for network in networks}) == 32


def test_of_two_networks_with_one_name_vni_or_subnet_one_is_made(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        for more in ({"name": "a"}, {"vni": 500}, {"subnets": ["10.9.0.0/16"]}):
            made = await asyncio.gather(
                *(host.network(**{"name": f"{host.name}-{len(more)}{next(iter(more))}", **more}) for host in hosts),  # type: ignore[arg-type]
                return_exceptions=True,
            )
            assert sum(isinstance(network, Network) for network in made) == 1, made
            assert sum(isinstance(network, ConflictError) for network in made) == 3, made

    with_hosts(file, 4, play)


def test_hosts_that_ask_for_addresses_at_once_get_different_ones(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web", subnets=["10.7.0.0/26"])
        made = await asyncio.gather(
            *(host.endpoint("web", identity) for n, host in enumerate(hosts) for identity in ids(100 * n, 15))
        )
        assert len({endpoint.addresses[0].ip for endpoint in made}) == 60
        claims = await hosts[0].store.list(keys.addresses("web"))
        assert {item.key.rpartition("/")[2]: item.value.decode() for item in claims.items} == {
            str(endpoint.addresses[0].ip): endpoint.id for endpoint in made
        }
        await hosts[0].endpoint("web", "f" * 16)  # 61 fit beside the gateway
        with pytest.raises(ConflictError, match=r"10\.7\.0\.0/26 is full"):
            await hosts[0].endpoint("web", "e" * 16)

    with_hosts(file, 4, play)


def test_of_two_that_want_one_address_one_gets_it(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web", subnets=["10.7.0.0/24"])
        made = await asyncio.gather(
            *(
                host.endpoint("web", identity, addresses=["10.7.0.9"])
                for host, identity in zip(hosts, ids(1, 4), strict=True)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(endpoint, Endpoint) for endpoint in made) == 1, made
        assert sum(isinstance(endpoint, ConflictError) for endpoint in made) == 3, made

    with_hosts(file, 4, play)


def test_both_families(file: Path) -> None:
    async def play(hosts: list[Host]) -> Endpoint:
        await hosts[0].network("web", subnets=["10.7.0.0/24", "fd00::/64"], gateways=["10.7.0.254"])
        return await hosts[0].endpoint("web", "0" * 16, addresses=["fd00::9"])

    endpoint = with_hosts(file, 1, play)
    assert [str(address) for address in endpoint.addresses] == ["10.7.0.1/24", "fd00::9/64"]
    assert endpoint.mac == "02:42:0a:07:00:01"


def test_endpoints_that_cannot_be_claim_nothing(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web", subnets=["10.7.0.0/24"])
        await hosts[0].endpoint("web", "0" * 16, mac="02:00:00:00:00:01")
        before = await hosts[0].store.list("/")
        for more, error, message in (
            ({"network": "nix"}, NotFoundError, "there is no network nix"),
            ({"addresses": ["10.8.0.1"]}, UsageError, "is not in the network web"),
            ({"addresses": ["10.7.0.8", "10.7.0.9"]}, UsageError, "one address of a subnet"),
            ({"mac": "02:00:00:00:00:01"}, ConflictError, "the MAC address 02:00:00:00:00:01 is taken"),
        ):
            with pytest.raises(error, match=message):
                await hosts[0].endpoint(**{"network": "web", "identity": "1" * 16, **more})  # type: ignore[arg-type]
        assert await hosts[0].store.list("/") == before

    with_hosts(file, 1, play)


def test_an_error_says_who_has_an_address_and_where(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web", subnets=["10.7.0.0/24"])
        mac = "02:00:00:00:00:01"
        await hosts[0].endpoint("web", "0" * 16, addresses=["10.7.0.9"], mac=mac, hostnames=["shop", "www"])
        before = await hosts[1].store.list("/")
        who = rf"is taken by endpoint {'0' * 16} \(shop\) of h1: choose another one"
        for more in ({"addresses": ["10.7.0.9"]}, {"mac": mac}):
            with pytest.raises(ConflictError, match=who):
                await hosts[1].endpoint("web", "1" * 16, **more)
        assert await hosts[1].store.list("/") == before

    with_hosts(file, 2, play)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (b"docker@h9", "is taken by Docker of h9, for a container"),
        (b"2222222222222222", "is taken by endpoint 2222222222222222: choose"),
        (b"allowed a b c d e f", "endpoint d and 2 more: choose"),
        (b"allowed ", "is taken by nobody that is known: choose"),
        (b"\xff\x1b[2J" + b"x" * 5000, r"is taken by endpoint [^\x1b\n]{1,80}: choose"),
        (b"docker@\n\x00" + b"x" * 5000, r"is taken by Docker of [^\x00\n]{1,80}, for a container"),
    ],
)
def test_a_claim_that_anybody_wrote_is_one_clear_line(file: Path, claim: bytes, message: str) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web", subnets=["10.7.0.0/24"])
        await hosts[0].store.commit([], [Put(f"{keys.addresses('web')}10.7.0.9", claim)])
        with pytest.raises(ConflictError, match=message):
            await hosts[0].endpoint("web", "1" * 16, addresses=["10.7.0.9"])

    with_hosts(file, 1, play)


def test_somebody_chose_the_mac_address_that_would_be_ours(file: Path) -> None:
    async def play(hosts: list[Host]) -> Endpoint:
        await hosts[0].network("web", subnets=["10.7.0.0/24"])
        await hosts[0].endpoint("web", "0" * 16, mac="02:42:0a:07:00:03")
        return await hosts[0].endpoint("web", "1" * 16, addresses=["10.7.0.3"])

    endpoint = with_hosts(file, 1, play)
    assert str(endpoint.addresses[0].ip) == "10.7.0.3"
    assert endpoint.mac.startswith("02:44:")


def test_what_an_endpoint_claimed_comes_back(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web", subnets=["10.7.0.0/24"])
        before = await hosts[0].store.list("/")
        endpoint = await hosts[0].endpoint("web", "0" * 16)
        assert await hosts[0].registry.set_state(endpoint, "ready")
        assert await hosts[0].registry.set_state(endpoint, "leaving")
        item = await hosts[0].store.get(keys.endpoint("web", endpoint.id))
        assert await hosts[0].registry.set_state(endpoint, "ready") == (item.revision if item else 0)  # too late
        assert await hosts[0].registry.delete_endpoint(endpoint)
        assert await hosts[0].registry.delete_endpoint(endpoint) is None
        assert await hosts[0].registry.set_state(endpoint, "ready") is None
        left = [
            item for item in (await hosts[0].store.list("/")).items if not item.key.startswith(keys.last_given("web"))
        ]
        assert left == list(before.items)
        await hosts[0].registry.remove_network("web")
        assert [item.key for item in (await hosts[0].store.list("/")).items] == [keys.NETWORKS_GUARD]

    with_hosts(file, 1, play)


def test_what_was_just_given_back_is_not_the_next(file: Path) -> None:
    """Not on another host either, and not if it was asked for by name; all of them are used before one comes again."""

    async def play(hosts: list[Host]) -> list[str]:
        await hosts[0].network("web", subnets=["10.7.0.0/29", "fd00:7::/64"])
        given = []
        for number, identity in enumerate(ids(1, 7)):
            made = await hosts[number % 2].endpoint("web", identity)
            given.append(str(made.addresses[0].ip) + " " + str(made.addresses[1].ip))
            await hosts[number % 2].registry.delete_endpoint(made)
        asked = await hosts[0].endpoint("web", "a" * 16, addresses=["10.7.0.5"])
        await hosts[0].registry.delete_endpoint(asked)
        given.append(str((await hosts[0].endpoint("web", "b" * 16)).addresses[0].ip))
        return given

    given = with_hosts(file, 2, play)
    v4 = [f"10.7.0.{n}" for n in (2, 3, 4, 5, 6, 2, 3)]
    assert given == [f"{address} fd00:7::{n}" for n, address in enumerate(v4, 2)] + ["10.7.0.4"]


def test_a_network_in_use_stays(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        endpoint = await hosts[1].endpoint("web", "0" * 16)
        with pytest.raises(ConflictError, match="the network web has 1 endpoint on h2"):
            await hosts[0].registry.remove_network("web")
        await hosts[1].registry.delete_endpoint(endpoint)
        await hosts[0].registry.remove_network("web")
        with pytest.raises(NotFoundError):
            await hosts[0].registry.remove_network("web")
        assert (await hosts[0].store.list(keys.OBJECTS)).items == ()

    with_hosts(file, 2, play)


def test_no_endpoint_gets_into_a_network_that_goes(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        for n in range(10):
            await hosts[0].network("web")
            went, made = await asyncio.gather(
                hosts[0].registry.remove_network("web"),
                hosts[1].endpoint("web", f"{n:016x}"),
                return_exceptions=True,
            )
            assert isinstance(went, int) != isinstance(made, Endpoint), (went, made)
            if isinstance(made, Endpoint):
                await hosts[1].registry.delete_endpoint(made)
                await hosts[0].registry.remove_network("web")
        assert [item.key for item in (await hosts[0].store.list("/")).items] == [keys.NETWORKS_GUARD]

    with_hosts(file, 2, play)


def test_a_dead_hosts_endpoint_is_taken_only_while_it_is_dead(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        endpoint = await hosts[1].endpoint("web", "0" * 16)
        key = keys.peer("h2")
        await hosts[0].store.commit([], [Put(key, b"{}")])
        assert await hosts[0].registry.delete_endpoint(endpoint, only_without_peer=True) is None
        await hosts[0].store.commit([], [Delete(key)])
        assert await hosts[0].registry.delete_endpoint(endpoint, only_without_peer=True)

    with_hosts(file, 2, play)


def test_a_full_pool(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("a")
        await hosts[0].network("b")
        with pytest.raises(ConflictError, match="has no free /24"):
            await hosts[0].network("c")

    with_hosts(file, 1, play, pool=Pool(ip_network("10.0.0.0/23"), 24))


def test_garbage_among_the_claims_and_the_networks_is_in_nobodys_way(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        garbage = [Put(keys.addresses("web") + "none", b""), Put(keys.network("db"), b"{")]
        await hosts[0].store.commit([], garbage)
        assert str((await hosts[0].endpoint("web", "0" * 16)).addresses[0].ip) == "10.0.0.2"
        with pytest.raises(ConflictError, match="networks/db cannot be read"):
            await hosts[0].network("db")

    with_hosts(file, 1, play)


@pytest.mark.parametrize(
    ("known", "address", "lists"),
    [
        ([], "10.0.0.5", 1),  # wrong: the store has the last word
        (["10.0.0.2", "10.0.0.3", "10.0.0.4"], "10.0.0.5", 0),
        (["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"], "10.0.0.6", 0),  # one that was given back: no harm
        ([f"10.0.0.{n}" for n in range(2, 255)], "10.0.0.5", 1),  # full, but for what the store knows
    ],
)
def test_what_a_host_knows_spares_a_list_of_all_addresses(
    file: Path, monkeypatch: pytest.MonkeyPatch, known: list[str], address: str, lists: int
) -> None:
    async def play(hosts: list[Host]) -> None:
        host = hosts[0]
        await host.network("web")
        one, two, three = ids(1, 3)
        away = (await host.endpoint("web", one)).model_copy(update={"id": "f" * 16})  # it went, unheard of
        await host.endpoint("web", two)
        await host.endpoint("web", "e" * 16, addresses=["10.0.0.4"])
        listed: list[str] = []
        ask = host.store.list

        async def counted(prefix: str) -> Listing:
            listed.append(prefix)
            return await ask(prefix)

        monkeypatch.setattr(host.store, "list", counted)
        request = EndpointCreate(network="web", sandbox="none")
        in_use = InUse({ip_address(text): away for text in known}, complete=True)
        made, _ = await host.registry.create_endpoint(three, request, SANDBOX, in_use=in_use)
        assert str(made.addresses[0].ip) == address
        assert listed.count(keys.addresses("web")) == lists

    with_hosts(file, 1, play)


def test_an_address_that_is_asked_for_is_looked_up_in_the_store(file: Path) -> None:
    async def play(hosts: list[Host]) -> None:
        await hosts[0].network("web")
        request = EndpointCreate.model_validate({"network": "web", "sandbox": "none", "addresses": ["10.0.0.9"]})
        one, two, three = ids(1, 3)
        first, _ = await hosts[0].registry.create_endpoint(one, request, SANDBOX)
        in_use = InUse({ip_address("10.0.0.9"): first}, complete=True)
        await hosts[0].registry.delete_endpoint(first)  # which this host does not hear of
        made, _ = await hosts[0].registry.create_endpoint(two, request, SANDBOX, in_use=in_use)
        assert str(made.addresses[0].ip) == "10.0.0.9"
        in_use = InUse({ip_address("10.0.0.9"): made}, complete=True)
        await hosts[0].store.commit([], [Delete(keys.address("web", made.addresses[0].ip))])  # by somebody
        with pytest.raises(ConflictError, match=f"10.0.0.9 is taken by endpoint {two}"):
            await hosts[0].registry.create_endpoint(three, request, SANDBOX, in_use=in_use)
        request = EndpointCreate.model_validate({"network": "web", "sandbox": "none"})
        others = [ip_address(f"10.0.0.{n}") for n in range(2, 9)]
        for complete, expected in ((False, "10.0.0.10"), (True, "10.0.0.11")):  # by the claims, and by what is known
            in_use = InUse(dict.fromkeys(others, made) | {ip_address("10.0.0.9"): made}, complete=complete)
            made_too, _ = await hosts[0].registry.create_endpoint(three, request, SANDBOX, in_use=in_use)
            assert str(made_too.addresses[0].ip) == expected
            await hosts[0].registry.delete_endpoint(made_too)

    with_hosts(file, 1, play)
