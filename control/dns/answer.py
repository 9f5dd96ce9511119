# SPDX-License-Identifier: Apache-2.0
"""From a question's bytes to the answer's. dnspython reads and writes the messages.

Names of the network's containers, with or without the network's name behind them, other names without a dot, and
addresses of its subnets are answered here, with authority; all else is the host's resolvers' business.
"""

import ipaddress
import logging
import struct
from dataclasses import dataclass

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from fastpath.addresses import IPAddress
from fastpath.control.dns.counts import Counts
from fastpath.control.dns.forward import PAYLOAD, BusyError, Forwarder
from fastpath.control.dns.names import Index, Names
from fastpath.control.model.objects import Network

log = logging.getLogger(__name__)

TTL_S = 5  # containers move
HEADER = 12
_HEADER = struct.Struct("!2xHHHHH")  # the id; flags, and the numbers of records in the four sections
EXTRAS = 2  # additional records of a question: OPT and TSIG
LONGEST = 1232  # bytes of a question: a name has at most 255, and options few
UDP_WITHOUT_EDNS = 512
TCP = 65535
NO_TRANSFER = {dns.rdatatype.AXFR, dns.rdatatype.IXFR, dns.rdatatype.MAILA, dns.rdatatype.MAILB}


@dataclass(frozen=True)
class Pending:
    """A question that has to be forwarded."""

    query: dns.message.Message
    limit: int
    hurry: bool  # it is a name of ours with another domain behind it, as if from a search list


class Answers:
    """Answer the questions of all networks of this host."""

    def __init__(self, names: Names, forwarder: Forwarder, counts: Counts) -> None:
        self._names = names
        self._forwarder = forwarder
        self._counts = counts

    async def answer(self, network: Network, wire: bytes, *, tcp: bool = False, asker: str = "") -> bytes | None:
        """Return the answer to a packet; None if it gets none. `asker` is the address it came from."""
        found = self.at_once(network, wire, tcp=tcp)
        return await self.later(network, found, asker) if isinstance(found, Pending) else found

    def at_once(self, network: Network, wire: bytes, *, tcp: bool = False) -> bytes | Pending | None:
        """Return the answer, if no other server has to be asked."""
        if (rcode := _at_a_glance(wire)) is not None:
            self._counts.add("malformed" if rcode == dns.rcode.FORMERR else "refused")
            return _error(wire, rcode)
        try:
            query = dns.message.from_wire(wire)
        except (dns.exception.DNSException, ValueError):
            self._counts.add("malformed")
            return _error(wire, dns.rcode.FORMERR)
        limit = TCP if tcp else _udp_limit(query)
        refusal = _refusal(query)
        if refusal is None and (found := self._own(network, query)) is not None:
            return _wire(found, limit)
        if refusal is None and not network.internal:
            first = query.question[0].name.labels[0].decode("ascii", "replace").lower()
            return Pending(query, limit, first in self._names.index(network).addresses)
        self._counts.add("refused")
        return _wire(_response(query, dns.rcode.REFUSED if refusal is None else refusal), limit)

    async def later(self, network: Network, pending: Pending, asker: str) -> bytes | None:
        """Forward a question and return the answer."""
        query = pending.query
        try:
            theirs = await self._forwarder.ask(network.name, asker, query, hurry=pending.hurry)
        except BusyError:
            self._counts.add("busy")
            return _wire(_response(query, dns.rcode.SERVFAIL), pending.limit)
        self._counts.add("failed" if theirs is None else "forwarded")
        if theirs is None:
            return _wire(_response(query, dns.rcode.SERVFAIL), pending.limit)
        response = _response(query, theirs.rcode())
        response.flags |= theirs.flags & (dns.flags.AD | dns.flags.AA)
        response.answer, response.authority = theirs.answer, theirs.authority
        response.additional = theirs.additional
        return _wire(response, pending.limit)

    def _own(self, network: Network, query: dns.message.Message) -> dns.message.Message | None:
        """Return our own answer; None if the question is not about this network."""
        question = query.question[0]
        index = self._names.index(network)
        address = _address(question.name)
        if address is not None:
            if not any(address in subnet.pool for subnet in network.subnets):
                return None
            name = index.names.get(address)
            targets = [f"{name}.{network.name.lower()}."] if name is not None else None
            return self._say(query, {dns.rdatatype.PTR: targets} if targets else None)
        found, ours = _look_up(index, network, question.name)
        if found is None:
            return self._say(query, None) if ours or _is_short(question) else None
        return self._say(
            query,
            {
                dns.rdatatype.A: [str(ip) for ip in found if ip.version == 4],
                dns.rdatatype.AAAA: [str(ip) for ip in found if ip.version == 6],
            },
        )

    def _say(
        self, query: dns.message.Message, records: dict[dns.rdatatype.RdataType, list[str]] | None
    ) -> dns.message.Message:
        """Return an authoritative answer. None: there is no such name."""
        question = query.question[0]
        response = _response(query, dns.rcode.NXDOMAIN if records is None else dns.rcode.NOERROR)
        response.flags |= dns.flags.AA
        for kind, texts in (records or {}).items():
            if texts and question.rdtype in (kind, dns.rdatatype.ANY):
                response.answer.append(dns.rrset.from_text_list(question.name, TTL_S, "IN", kind, texts))
        if response.answer:
            self._counts.add("answered")
            return response
        self._counts.add("nxdomain" if records is None else "nodata")
        soa = f". . 1 {TTL_S} {TTL_S} {TTL_S} {TTL_S}"  # for how long the absence may be remembered, RFC 2308
        response.authority.append(dns.rrset.from_text(question.name, TTL_S, "IN", "SOA", soa))
        return response


def _look_up(index: Index, network: Network, name: dns.name.Name) -> tuple[list[IPAddress] | None, bool]:
    """Return the addresses of a name, and whether no other server could know it."""
    text = name.to_text(omit_final_dot=True).lower()
    stem = text.removesuffix("." + network.name.lower())
    found = index.addresses.get(text)
    if found is None and stem != text:
        found = index.addresses.get(stem)
    return found, stem != text


def _is_short(question: dns.rrset.RRset) -> bool:
    """Return whether a question is about the addresses of a name without a dot. No other server is asked for those:
    top-level domains have none, and most such names are typing errors, or have a search domain in the next question."""
    kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
    return question.rdtype in kinds and len(question.name.labels) == 2  # the second is the root


def _address(name: dns.name.Name) -> IPAddress | None:
    """Return the address in a name of in-addr.arpa or ip6.arpa."""
    try:
        return ipaddress.ip_address(dns.reversename.to_address(name))
    except (dns.exception.DNSException, ValueError):
        return None


def _refusal(query: dns.message.Message) -> dns.rcode.Rcode | None:
    """Return why a question is refused."""
    if query.edns > 0:
        return dns.rcode.BADVERS
    if query.question[0].rdclass != dns.rdataclass.IN or query.question[0].rdtype in NO_TRANSFER:
        return dns.rcode.REFUSED
    return None


def _response(query: dns.message.Message, rcode: dns.rcode.Rcode) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True, our_payload=PAYLOAD)
    response.set_rcode(rcode)
    return response


def _udp_limit(query: dns.message.Message) -> int:
    return max(UDP_WITHOUT_EDNS, min(query.payload, PAYLOAD)) if query.edns >= 0 else UDP_WITHOUT_EDNS


def _wire(response: dns.message.Message, limit: int) -> bytes | None:
    """Return the answer, truncated and marked as such if it is too long."""
    try:
        return response.to_wire(max_size=limit, prefer_truncation=True)
    except (dns.exception.DNSException, ValueError) as error:
        log.debug("an answer that cannot be written: %s", error)
        return None


def _at_a_glance(wire: bytes) -> dns.rcode.Rcode | None:
    """Return why a packet is no question that we answer, as far as its length and header tell: parsing a long packet
    with many records takes the event loop a tenth of a second."""
    if len(wire) < HEADER:
        return dns.rcode.FORMERR
    flags, questions, answers, authorities, more = _HEADER.unpack_from(wire)
    if flags & dns.flags.QR:
        return dns.rcode.FORMERR
    if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(wire) > LONGEST or questions != 1 or answers or authorities or more > EXTRAS:
        return dns.rcode.FORMERR
    return None


def _error(wire: bytes, rcode: dns.rcode.Rcode) -> bytes | None:
    """Return an error for a packet that has a header and is no answer itself: to answer that could go on for ever."""
    if len(wire) < HEADER or wire[2] & 0x80:
        return None
    opcode = wire[2] & 0x78
    return wire[:2] + bytes((0x80 | opcode, rcode)) + bytes(HEADER - 4)
