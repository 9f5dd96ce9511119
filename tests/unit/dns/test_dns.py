# SPDX-License-Identifier: Apache-2.0
"""The resolver's answers, with dnspython as the client."""

import asyncio
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.control.cluster import keys
from fastpath.control.cluster.contents import Changes
from fastpath.control.cluster.stored import read_endpoint
from fastpath.control.dns import forward
from fastpath.control.dns.answer import TTL_S
from fastpath.control.dns.forward import PER_NETWORK, SICK, BusyError, Forwarder, host_servers
from fastpath.control.model.hostnames import MAX_NAMES, hostname, of_sandbox, usable
from fastpath.control.store.interface import Item
from tests.support.control.dns_lab import BLUE, INTERNAL, Resolver, endpoint, served, texts

WEB = endpoint(2, "web", "c1", addresses=["10.1.0.2/16", "fd00:1::2/64"])


@pytest.mark.parametrize("name", ["web", "WEB", "c1", "web.blue", "Web.BLUE."])
def test_a_name_has_its_addresses(name: str) -> None:
    resolver = Resolver(WEB)
    answer = resolver.ask(name)
    assert texts(answer) == ["10.1.0.2"]
    assert answer.flags & dns.flags.AA
    assert answer.answer[0].ttl == 5
    assert texts(resolver.ask(name, "AAAA")) == ["fd00:1::2"]
    assert texts(resolver.ask(name, "ANY")) == ["10.1.0.2", "fd00:1::2"]
    assert resolver.counted() == {"answered": 3}


def test_two_endpoints_of_one_name_are_both_answered() -> None:
    assert texts(Resolver(WEB, endpoint(3, "web")).ask("web")) == ["10.1.0.2", "10.1.0.3"]


def test_a_name_without_addresses_of_the_family_is_no_error() -> None:
    resolver = Resolver(endpoint(3, "db"))
    for kind in ("AAAA", "MX"):
        answer = resolver.ask("db", kind)
        assert (answer.rcode(), texts(answer)) == (dns.rcode.NOERROR, [])
        assert answer.authority[0].rdtype == dns.rdatatype.SOA
    assert resolver.counted() == {"nodata": 2}


def test_who_is_unknown_in_the_network_does_not_exist() -> None:
    resolver = Resolver(WEB)
    assert resolver.ask("nobody.blue").rcode() == dns.rcode.NXDOMAIN
    assert resolver.counted() == {"nxdomain": 1}


def test_names_of_other_networks_are_not_told() -> None:
    assert Resolver(endpoint(3, "db", network="red")).ask("db").rcode() == dns.rcode.NXDOMAIN


def test_addresses_have_names() -> None:
    resolver = Resolver(WEB)
    assert texts(resolver.ask("2.0.1.10.in-addr.arpa", "PTR")) == ["web.blue."]
    reverse = ".".join(reversed("fd000001" + "0" * 23 + "2")) + ".ip6.arpa"
    assert texts(resolver.ask(reverse, "PTR")) == ["web.blue."]
    assert resolver.ask("9.0.1.10.in-addr.arpa", "PTR").rcode() == dns.rcode.NXDOMAIN
    assert resolver.ask("2.0.1.10.in-addr.arpa", "A").rcode() == dns.rcode.NOERROR


def test_who_is_leaving_has_no_name_any_more() -> None:
    resolver = Resolver(WEB)
    assert texts(resolver.ask("web")) == ["10.1.0.2"]
    resolver.mirror.endpoints["blue"][WEB.id] = WEB.model_copy(update={"state": "leaving"})
    resolver.names.changed(Changes(endpoints={("blue", WEB.id)}))
    assert resolver.ask("web.blue").rcode() == dns.rcode.NXDOMAIN


def test_what_is_refused() -> None:
    resolver = Resolver(WEB)
    assert resolver.ask("web", "AXFR").rcode() == dns.rcode.REFUSED
    assert resolver.ask("version.bind", "TXT", rdclass="CH").rcode() == dns.rcode.REFUSED
    assert resolver.ask("web", use_edns=1).rcode() == dns.rcode.BADVERS
    assert resolver.ask("example.com", network=INTERNAL).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("opcode", [dns.opcode.IQUERY, dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE, 6, 15])
def test_other_opcodes_are_not_implemented(opcode: dns.opcode.Opcode) -> None:
    wire = bytearray(dns.message.make_query("web", "SOA").to_wire())
    wire[2] |= opcode << 3
    answer = asyncio.run(Resolver(WEB).answers.answer(BLUE, bytes(wire)))
    assert answer is not None
    assert answer[3] & 15 == dns.rcode.NOTIMP


def test_an_answer_is_not_answered() -> None:
    resolver = Resolver(WEB)
    assert (
        asyncio.run(
            resolver.answers.answer(BLUE, dns.message.make_response(dns.message.make_query("web", "A")).to_wire())
        )
        is None
    )
    assert resolver.counted() == {"malformed": 1}


@given(st.binary(max_size=100))
def test_garbage_is_a_format_error_or_nothing(data: bytes) -> None:
    wire = asyncio.run(Resolver(WEB).answers.answer(BLUE, data))
    if wire is not None:
        assert wire[:2] == data[:2]
        assert wire[2] & 0x80


@given(st.binary(max_size=60), st.integers(0, 40), st.integers(1, 255))
def test_damaged_questions_stop_nothing(tail: bytes, at: int, bits: int) -> None:
    wire = bytearray(dns.message.make_query("web.blue", "A", use_edns=0).to_wire() + tail)
    wire[at % len(wire)] ^= bits
    Resolver(WEB).answers.at_once(BLUE, bytes(wire))


def test_what_does_not_fit_is_cut_and_says_so() -> None:
    many = Resolver(*(endpoint(number, "all") for number in range(2, 200)))
    for query, limit in (
        (dns.message.make_query("all", "A"), 512),
        (dns.message.make_query("all", "A", payload=4096), 1232),
    ):
        wire = many.answers.at_once(BLUE, query.to_wire())
        assert isinstance(wire, bytes)
        assert len(wire) <= limit
        assert dns.message.from_wire(wire).flags & dns.flags.TC
    wire = many.answers.at_once(BLUE, dns.message.make_query("all", "A").to_wire(), tcp=True)
    assert isinstance(wire, bytes)
    assert len(texts(dns.message.from_wire(wire))) == 198


def test_udp_and_then_tcp() -> None:
    many = Resolver(*(endpoint(number, "all") for number in range(2, 200)))

    async def client(port: int) -> None:
        query = dns.message.make_query("all", "A")
        answer, tcp = await dns.asyncquery.udp_with_fallback(query, "127.0.0.1", port=port, timeout=10)
        assert tcp
        assert len(texts(answer)) == 198

    served(many, client)


def test_garbage_on_either_transport_stops_nothing() -> None:
    async def client(port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port))
        for junk in (b"", b"\0", b"\xff" * 600):
            transport.sendto(junk)
        transport.close()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\xff\xff" + b"x" * 10)
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x00\x03abc")
        assert await reader.read() == b""
        writer.close()
        for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
            answer = await ask(dns.message.make_query("web", "A"), "127.0.0.1", port=port, timeout=10)
            assert texts(answer) == ["10.1.0.2"]

    served(Resolver(WEB), client)


@pytest.mark.slow
def test_what_is_not_ours_is_asked_of_the_hosts_resolver() -> None:
    """The host's resolver is another one of ours, with other names."""

    async def client(port: int) -> None:
        silent, there = ("127.0.0.1", 1), ("127.0.0.1", port)
        servers = [silent, there]
        resolver = Resolver(WEB, servers=servers)
        for name, expected in (("far.example", ["10.1.0.9"]), ("web", ["10.1.0.2"]), ("all.example", 198)):
            query = dns.message.make_query(name, "A", id=77)
            wire = await resolver.answers.answer(BLUE, query.to_wire(), tcp=True)
            assert wire is not None
            answer = dns.message.from_wire(wire)
            assert query.is_response(answer)
            assert texts(answer) == expected if isinstance(expected, list) else len(texts(answer)) == expected
            servers[:] = [there]  # each wait for the silent one is the whole timeout: one is enough
        query = dns.message.make_query("nobody.blue.example", "A")
        wire = await resolver.answers.answer(BLUE, query.to_wire())
        assert wire is not None
        assert dns.message.from_wire(wire).rcode() == dns.rcode.SERVFAIL
        assert resolver.counted() == {"forwarded": 3, "answered": 1}

    many = (endpoint(number, "all.example") for number in range(100, 298))
    served(Resolver(endpoint(9, "far.example"), *many), client)


class Upstreams:
    """Servers by number, each of which says the same to every question; None: it says nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *says: dns.rcode.Rcode | None) -> None:
        self.says = list(says)
        self.asked: list[int] = []
        self.servers = [("192.0.2.53", port) for port in range(len(says))]
        monkeypatch.setattr(dns.asyncquery, "udp_with_fallback", self._ask)

    async def _ask(
        self, query: dns.message.Message, _: str, *, port: int, **__: object
    ) -> tuple[dns.message.Message, bool]:
        self.asked.append(port)
        await asyncio.sleep(0)
        says = self.says[port]
        if says is None:
            raise dns.exception.Timeout
        answer = dns.message.make_response(query)
        answer.set_rcode(says)
        return answer, False

    def ask(self, forwarder: Forwarder, count: int = 1) -> list[dns.rcode.Rcode | None]:
        """Ask so many questions at once; return what each was answered."""
        query = dns.message.make_query("www.example.com", "A")

        async def run() -> list[dns.message.Message | None]:
            return await asyncio.gather(*(forwarder.ask("n", str(n), query) for n in range(count)))

        return [answer.rcode() if answer is not None else None for answer in asyncio.run(run())]


@pytest.mark.parametrize("first", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR, None])
def test_the_next_server_is_asked(monkeypatch: pytest.MonkeyPatch, first: dns.rcode.Rcode | None) -> None:
    servers = Upstreams(monkeypatch, first, dns.rcode.NOERROR)
    assert servers.ask(Forwarder(lambda: servers.servers)) == [dns.rcode.NOERROR]
    assert servers.asked == [0, 1]


@pytest.mark.parametrize("says", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
def test_what_the_first_one_knows_the_next_one_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, says: dns.rcode.Rcode
) -> None:
    servers = Upstreams(monkeypatch, says, dns.rcode.NOERROR)
    assert servers.ask(Forwarder(lambda: servers.servers)) == [says]
    assert servers.asked == [0]


def test_where_nobody_is_willing_the_first_ones_words_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Upstreams(monkeypatch, None, dns.rcode.REFUSED, dns.rcode.SERVFAIL)
    assert servers.ask(Forwarder(lambda: servers.servers)) == [dns.rcode.REFUSED]


def test_a_server_that_does_not_answer_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Upstreams(monkeypatch, None, dns.rcode.NOERROR)
    forwarder = Forwarder(lambda: servers.servers)
    for _ in range(3):
        assert servers.ask(forwarder) == [dns.rcode.NOERROR]
    assert servers.asked == [0, 1, 1, 1]
    servers.says = [dns.rcode.NOERROR, None]
    assert servers.ask(forwarder) == [dns.rcode.NOERROR]  # the other one is asked again where this one fails
    assert servers.asked[4:] == [1, 0]
    assert servers.ask(forwarder) == [dns.rcode.NOERROR]
    assert servers.asked[6:] == [0]


def test_dead_servers_keep_one_question_waiting_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Upstreams(monkeypatch, None, None)
    forwarder = Forwarder(lambda: servers.servers)
    for _ in range(SICK):
        assert servers.ask(forwarder) == [None]
    servers.asked.clear()
    assert servers.ask(forwarder, 20) == [None] * 20
    assert len(servers.asked) < 10  # nearly all were told at once that there is no answer
    servers.says = [None, dns.rcode.NOERROR]
    assert dns.rcode.NOERROR in servers.ask(forwarder, 2)
    assert servers.ask(forwarder, 20) == [dns.rcode.NOERROR] * 20


def test_short_names_are_answered_at_once() -> None:
    """There are no servers that could be asked: what is asked of them fails."""
    resolver = Resolver(WEB)
    for kind in ("A", "AAAA"):
        answer = resolver.ask("nosuch", kind)
        assert answer.rcode() == dns.rcode.NXDOMAIN
        (soa,) = answer.authority
        assert soa.ttl == soa[0].minimum == TTL_S
    for name, kind in (("com", "DS"), (".", "NS"), ("nosuch", "MX"), ("nosuch.example", "A")):
        assert resolver.ask(name, kind).rcode() == dns.rcode.SERVFAIL


def test_a_search_domain_behind_a_name_of_ours_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[bool] = []

    async def ask(*_: object, hurry: bool) -> None:
        waited.append(hurry)

    resolver = Resolver(WEB)
    monkeypatch.setattr(resolver.answers._forwarder, "ask", ask)
    for name in ("web.corp.example", "WEB.example", "other.corp.example"):
        resolver.ask(name)
    assert waited == [True, True, False]


def test_without_resolvers_the_rest_fails() -> None:
    resolver = Resolver(WEB)
    assert resolver.ask("example.com").rcode() == dns.rcode.SERVFAIL
    assert resolver.counted() == {"failed": 1}


def test_only_so_many_wait_for_the_hosts_resolvers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "QUEUE_S", 0.05)

    async def run() -> None:
        gate, asked = asyncio.Event(), 0
        forwarder = Forwarder(list)

        async def waits(*_: object) -> None:
            nonlocal asked
            asked += 1
            await gate.wait()

        monkeypatch.setattr(forwarder, "_ask", waits)
        query = dns.message.make_query("example.com", "A")
        tasks = [asyncio.create_task(forwarder.ask("n0", "10.1.0.2", query)) for _ in range(PER_NETWORK)]
        await asyncio.wait(tasks, timeout=10, return_when=asyncio.FIRST_EXCEPTION)
        assert asked == PER_NETWORK // 2  # half is left for others
        tasks += [asyncio.create_task(forwarder.ask("n0", asker, query)) for asker in ("10.1.0.3", "10.1.0.4")]
        tasks += [asyncio.create_task(forwarder.ask("n1", "10.1.0.2", query))]
        await asyncio.sleep(0)
        assert asked == PER_NETWORK // 2 + 3
        gate.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(each, BusyError) for each in done) == PER_NETWORK // 2
        assert await forwarder.ask("n0", "10.1.0.2", query) is None

    asyncio.run(run())


def test_what_finds_no_place_waits_for_one() -> None:
    async def run() -> None:
        forwarder = Forwarder(list)

        async def waits(*_: object) -> None:
            await asyncio.sleep(0.001)

        forwarder._ask = waits  # type: ignore[method-assign,assignment]
        query = dns.message.make_query("example.com", "A")
        done = await asyncio.gather(
            *(forwarder.ask("n0", "10.1.0.2", query) for _ in range(2 * PER_NETWORK)), return_exceptions=True
        )
        assert not any(isinstance(each, BusyError) for each in done)

    asyncio.run(run())


def test_the_hosts_resolvers_are_read_again_when_they_change(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    servers = host_servers(path)
    assert servers() == []
    path.write_text("search example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n")
    assert servers() == [("192.0.2.53", 53), ("2001:db8::53", 53)]
    (tmp_path / "new").write_text("nameserver 192.0.2.54\n")
    (tmp_path / "new").rename(path)
    assert servers() == [("192.0.2.54", 53)]


@pytest.mark.parametrize("name", ["web", "a_b", "_srv", "x.y-z", "1a", "a" * 63])
def test_names_that_can_be(name: str) -> None:
    assert hostname(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a..b", ".", "a.", "ä", "a b", "10.0.0.1", "42", "a" * 64, "a.b" * 85]
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="a host name"):
        hostname(name)


def test_of_many_names_the_usable_ones_are_kept() -> None:
    assert usable(["Web", "web", "ä", "db"]) == ("web", "db")
    assert len(usable([f"n{number}" for number in range(100)])) == MAX_NAMES


def test_a_sandbox_gives_its_name_where_it_can() -> None:
    assert [of_sandbox(text) for text in ("c1", "/proc/1/ns/net", "a.b", "-")] == [("c1",), (), (), ()]


def test_records_of_older_versions_have_no_names() -> None:
    old = WEB.model_dump_json(exclude={"names"}).encode()
    found = read_endpoint(Item(keys.endpoint("blue", WEB.id), old, 1))
    assert found is not None
    assert found.names == ()
