# SPDX-License-Identifier: Apache-2.0
"""The rules of the guard, as the body of one nftables table of the family inet.
docs/operators/security.md explains them.

                 prerouting ──► forward        others' packets    not to a VTEP, nor to the store
    packet ─────┤  (raw)    └─► input          to this host       peers only, and by the way to that peer; to the
                                                                 kernel path's port for networks that they take part in
    a process ───── output ──────────────►                        to a VTEP only with the engine's packet mark
          └──────── output ──► prerouting      by loopback        to the VTEP only with that mark

A copy of the table has the same chains, each right behind the one that it copies. What one table found to be from a
peer, or from a kernel path to a peer, has a mark from then on, and neither table looks at it again: each rule costs as
much as a packet's way through a tunnel does in some places. Only packets that were seen whole get it.

A rule's comment begins with its name, which metrics use, and says what the rule does. Facts of the kernel on which the
rules rely:

* A packet has its last destination in the hooks forward and input: DNAT is done in prerouting. SNAT comes later.
* Only CAP_NET_ADMIN or CAP_NET_RAW in the host's namespace can set SO_MARK, and a packet loses its mark when it leaves
  its namespace (skb_scrub_packet).
* `fib saddr . iif oif` (net/ipv4/netfilter/nft_fib_ipv4.c) asks for the route to the source address by the interface
  of arrival: for IPv4 each next hop of a multipath route counts, a bridge or bond counts as itself, and what comes by
  the loopback interface passes. But any process may send from any IPv6 address (IPV6_FREEBIND takes no capability):
  what comes by the loopback interface has its mark still, so that one is asked for.
  Kernels before 5.18 take `fib saddr . iif oif` in the hook prerouting only.
* A packet with a source route has the address of its next stop as destination, in the hooks forward and output, too:
  ip_forward_options (net/ipv4/ip_options.c) and ipv6_rthdr_rcv (net/ipv6/exthdrs.c) put in the one after that later.
  Any process may send such IPv6 packets (IPV6_RTHDR); for IPv4 it takes CAP_NET_RAW, which containers have.
* `fib daddr . iif type local` asks whether the interface of arrival itself has the destination address.
* A vxlan device sends what sockets of containers sent. `meta skuid` matches sockets of the packet's own namespace only
  (nft_meta_get_eval_skugid in net/netfilter/nft_meta.c), so it does not match those.
* A first fragment may end before the VNI: such a rule does not match then, and the hook input sees the whole packet.
* The rules match nothing of conntrack, because that would switch conntrack on for a host that does not use it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastpath.addresses import IPAddress
from fastpath.control.model.requests import GuardRule

MARK = 0x46500000  # SO_MARK of packets that an engine sends; of the bits that others use for masks it has none
ARRIVED, SENT = MARK | 0x01000000, MARK | 0x08000000  # of packets that were looked at in prerouting; in output
PREFIX, COPY = "fastpath-guard-", "-copy"
RAW, BEFORE_FILTER = -300, -10  # priorities: netfilter's own, and before the firewalls of others
REJECT = "reject with tcp reset"
VNI = "96,24"  # bits of a UDP packet: behind its header, and one word of VXLAN's (RFC 7348, 5)

SENTENCES = {
    "from_peer": "from a peer to this VTEP: taken, past conntrack",
    "not_a_peer": "to this VTEP from an address that is no peer's",
    "looped": "to this VTEP from a process of this host, without the engine's packet mark",
    "wrong_interface": "to this VTEP by another interface than the route to the peer uses",
    "source_routed": "to this port, with a source route, which hides its destination",
    "from_member": "from a peer's kernel path, for a network that it takes part in: taken, past conntrack",
    "not_a_member": "to the kernel path, from nobody who takes part in the network of that VNI",
    "kernel_interface": "to the kernel path by another interface than the route to the peer uses",
    "kernel_whole": "the same, of what came in fragments, or was translated",
    "kernel_looped": "to the kernel path from a process of this host",
    "not_the_kernel": "from a process of this host to a peer's kernel path",
    "translated": "translated to this VTEP's port, not from a peer",
    "to_peer": "from the engine to a peer: sent, past conntrack",
    "by_kernel": "from a kernel path to a peer: sent, past conntrack",
    "not_the_engine": "from a process of this host to a peer's VTEP, without the engine's packet mark",
    "forged_transit": "from a peer's address to another's VTEP, by another interface than the route to the first uses",
    "peer_transit": "from one peer to another: forwarded",
    "forwarded_to_vtep": "forwarded to a peer's VTEP, as from a container",
    "store_transit": "from a peer to the store: forwarded",
    "forwarded_to_store": "forwarded to the store, as from a container",
    "store_here": "to the store on this host, as from a container",
    "path_error": "from a container: that packets of this host are too big for their path",
    "host_port": "from a container to a port of the store or the daemon on this host",
}
"""What each rule catches, by its name. At most 128 bytes with the name: nft refuses longer comments."""

PASSING = frozenset({"from_peer", "from_member", "to_peer", "by_kernel", "peer_transit", "store_transit"})
"""The rules that let packets pass. All others drop or reject."""


@dataclass(frozen=True)
class Plan:
    """What a guard protects: a VTEP, the store's endpoints, and TCP ports of this host that no container needs.
    `bridge` is the interface that containers' outbound packets come by.

    `only_peers` drops what is not from a peer. `strict` drops what comes by another interface than the route to its
    peer uses; without it, only what comes by `bridge`. `kernel_port` is that of the kernel path (0: there is none), and
    `members` are who may send there: (VTEP, VNI)."""

    vtep: IPAddress
    udp_port: int
    peers: frozenset[IPAddress] = frozenset()
    store: frozenset[tuple[IPAddress, int]] = frozenset()
    ports: frozenset[int] = frozenset()
    bridge: str | None = None
    only_peers: bool = True
    strict: bool = True
    kernel_port: int = 0
    members: frozenset[tuple[IPAddress, int]] = frozenset()

    @property
    def _ip(self) -> str:
        return "ip" if self.vtep.version == 4 else "ip6"

    def sets(self) -> dict[str, tuple[str, frozenset[str]]]:
        """Return the sets, by name: the type, and the elements."""
        peers = frozenset(_text(peer) for peer in self.peers if peer.version == self.vtep.version)
        stores = {
            version: frozenset(
                f"{_text(address)} . {port}" for address, port in self.store if address.version == version
            )
            for version in (4, 6)
        }
        found = {
            "peers": (f"type ipv{self.vtep.version}_addr", peers),
            "store_v4": ("type ipv4_addr . inet_service", stores[4]),
            "store_v6": ("type ipv6_addr . inet_service", stores[6]),
            "store_ports": ("type inet_service", frozenset(str(port) for _, port in self.store)),
            "ports": ("type inet_service", frozenset(str(port) for port in self.ports)),
        }
        if self.kernel_port:
            members = frozenset(f"{_text(vtep)} . {vni}" for vtep, vni in self.members)
            found["members"] = (f"typeof {self._member}", members)
        return found

    def body(self, later: int = 0) -> str:
        """Return the table's body. With `later`, its chains come by so much later than those of the body without."""
        lines: list[str] = []
        for name, (kind, elements) in self.sets().items():
            lines += [f"set {name} {{", f"    {kind};"]
            lines += [f"    elements = {{ {', '.join(sorted(elements))} }}"] if elements else []
            lines += ["}"]
        for chain in self._chains():
            at = chain.priority + later
            hook = [f"    type filter hook {chain.name} priority {at}; policy accept;"] if chain.is_hooked else []
            lines += [f"chain {chain.name} {{", *hook, *(f"    {rule}" for rule in chain.rules), "}"]
        return "\n".join(lines)

    def change(self, before: "Plan", table: str) -> str | None:
        """Return commands that turn the table of another plan into this one's, if only sets differ; else None."""
        old, new = before.sets(), self.sets()
        if self._chains() != before._chains() or any(old[name][0] != new[name][0] for name in new):
            return None
        lines = []
        for name, (_, elements) in new.items():
            for verb, some in (("delete", old[name][1] - elements), ("add", elements - old[name][1])):
                if some:
                    lines.append(f"{verb} element {table} {name} {{ {', '.join(sorted(some))} }}")
        return "\n".join(lines)

    @property
    def _member(self) -> str:
        return f"{self._ip} saddr . @th,{VNI}"

    @property
    def _ports(self) -> str:
        return f"{{ {self.udp_port}, {self.kernel_port} }}" if self.kernel_port else str(self.udp_port)

    @property
    def _from_peer(self) -> str:
        return f"{self._ip} saddr @peers"

    @property
    def _to_peers(self) -> str:
        return f"udp dport {self._ports} {self._ip} daddr @peers"

    @property
    def _to_here(self) -> str:
        return f"{self._ip} daddr {_text(self.vtep)}"

    @property
    def _here(self) -> str:
        return f"udp dport {self.udp_port} {self._to_here}"

    @property
    def _here_kernel(self) -> str:
        return f"udp dport {self.kernel_port} {self._to_here}"

    def _by_port(self, chain: str) -> str:
        """Return a rule that jumps to `chain`, or to `chain`_kernel."""
        if not self.kernel_port:
            return f"udp dport {self.udp_port} jump {chain}"
        return f"udp dport vmap {{ {self.udp_port} : jump {chain}, {self.kernel_port} : jump {chain}_kernel }}"

    @property
    def _odd_header(self) -> str:
        """Return a rule that looks for a source route where there can be one."""
        odd = "ip hdrlength > 5" if self.vtep.version == 4 else "ip6 nexthdr != udp"
        return f"{odd} jump any_vtep"

    @property
    def _not_bridge(self) -> str:
        return f'iifname != "{self.bridge}" ' if self.bridge else ""

    def _chains(self) -> list["_Chain"]:
        by_kernel = bool(self.kernel_port)
        seen = [f"meta mark {SENT:#x} accept"] if by_kernel else []
        return [
            *self._verdicts(),
            _Chain("passing_by", [_rule("forged_transit", f"{self._forged} fib saddr . iif oif 0", "drop")]),
            _Chain("here", list(self._arriving())),
            _Chain("arriving", [self._odd_header, f"{self._to_here} goto here", "goto passing_by"]),
            *([_Chain("here_kernel", list(self._kernel_arriving()))] if by_kernel else []),
            *([_Chain("arriving_kernel", list(self._kernel_or_not()))] if by_kernel else []),
            _Chain(
                "prerouting", [f"meta mark {ARRIVED:#x} accept", self._by_port("arriving"), *self._to_store_here()], RAW
            ),
            _Chain("input", list(self._input()), BEFORE_FILTER),
            _Chain("forward", list(self._forward()), BEFORE_FILTER),
            _Chain("leaving", list(self._leaving())),
            *([_Chain("leaving_kernel", list(self._kernel_leaving()))] if by_kernel else []),
            _Chain("output", [*seen, self._by_port("leaving")], RAW),
        ]

    @property
    def _forged(self) -> str:
        return f"{self._ip} daddr @peers {self._from_peer}"

    def _kernel_or_not(self) -> Iterator[str]:
        yield self._odd_header
        yield f"{self._to_here} goto here_kernel"
        yield "goto passing_by"

    def _verdicts(self) -> Iterator["_Chain"]:
        headers = ("ip option lsrr", "ip option ssrr") if self.vtep.version == 4 else ("exthdr rt",)
        yield _Chain("any_vtep", [f"{header} exists jump source_routed" for header in headers])
        yield _Chain("source_routed", [_rule("source_routed", "", "drop")])
        transit = _rule("peer_transit", self._from_peer, "accept")
        yield _Chain("to_vtep", [transit, _rule("forwarded_to_vtep", "", "drop")])
        transit = _rule("store_transit", self._not_bridge + self._from_peer, "accept")
        yield _Chain("to_store", [transit, _rule("forwarded_to_store", "", REJECT)])
        if self.store:
            # Others may use the store by a bridge that has its address, as a bridge of machines does.
            own = f"{self._not_bridge}fib daddr . iif type local return"
            yield _Chain("to_store_here", [f"{self._from_peer} return", own, _rule("store_here", "", REJECT)])
        if self.bridge:
            yield _Chain("path_error", [_rule("path_error", "", "drop")])
            yield _Chain("from_bridge", list(self._from_bridge()))

    def _leaving(self) -> Iterator[str]:
        yield self._odd_header
        yield f"{self._ip} daddr != @peers return"
        yield _rule("not_the_engine", f"meta mark != {MARK:#x}", "drop")
        yield _rule("to_peer", "", "notrack")

    def _kernel_leaving(self) -> Iterator[str]:
        yield self._odd_header
        yield f"{self._ip} daddr != @peers return"
        yield _rule("not_the_kernel", "meta skuid 0-4294967295", "drop")
        yield _rule("by_kernel", "", f"notrack meta mark set {SENT:#x} accept")

    def _arriving(self) -> Iterator[str]:
        known = [f"{self._ip} saddr @peers"] if self.only_peers else []
        yield _rule("from_peer", self._passes(*known), f"notrack meta mark set {ARRIVED:#x} accept")
        yield _rule("looped", f'iif "lo" meta mark != {MARK:#x}', "drop")
        if self.only_peers:
            yield _rule("not_a_peer", f"{self._ip} saddr != @peers", "drop")
        yield from self._by_another_way("wrong_interface")
        yield "notrack"  # of this host's own engines

    def _kernel_arriving(self) -> Iterator[str]:
        known = f"{self._member} @members"
        yield _rule("from_member", self._passes(known), f"notrack meta mark set {ARRIVED:#x} accept")
        yield _rule("kernel_looped", 'iif "lo"', "drop")
        yield from self._by_another_way("kernel_interface")
        yield _rule("not_a_member", f"{self._member} != @members", "drop")
        yield "notrack"  # a first fragment that ends before the VNI

    def _passes(self, *known: str) -> str:
        """Return what tells the packets that pass, but for those of loopback and first fragments."""
        way = ["fib saddr . iif oif != 0"] if self.strict else []
        if not self.strict and self.bridge:
            way = [f'iifname != "{self.bridge}"']
        return " ".join(['iif != "lo"', *known, *way])

    def _by_another_way(self, name: str) -> Iterator[str]:
        if self.strict:
            yield _rule(name, "fib saddr . iif oif 0", "drop")
        elif self.bridge:
            yield _rule(name, f'iifname "{self.bridge}"', "drop")

    def _to_store_here(self) -> Iterator[str]:
        if self.store:
            yield 'meta iifkind "bridge" tcp dport @store_ports fib daddr type local jump to_store_here'

    def _input(self) -> Iterator[str]:
        yield f"meta mark {ARRIVED:#x} accept"
        if self.only_peers:
            yield _rule("translated", f"{self._here} {self._ip} saddr != @peers", "drop")
        if self.kernel_port:
            yield _rule("kernel_whole", f"{self._here_kernel} {self._member} != @members", "drop")
        if self.bridge:
            yield f'iifname "{self.bridge}" jump from_bridge'

    def _from_bridge(self) -> Iterator[str]:
        yield _rule("host_port", "tcp dport @ports", REJECT)
        # No path of this host leads through a container there, and the kernel believes whatever quotes its packets.
        yield "icmp type destination-unreachable icmp code 4 jump path_error"
        yield "icmpv6 type packet-too-big jump path_error"

    def _forward(self) -> Iterator[str]:
        yield f"{self._to_peers} jump to_vtep"
        for family, version in (("ip", 4), ("ip6", 6)):
            if any(address.version == version for address, _ in self.store):
                yield f"{family} daddr . tcp dport @store_v{version} jump to_store"


@dataclass(frozen=True)
class _Chain:
    name: str  # of its hook, too, if it has one
    rules: list[str]
    priority: int = 0  # 0: it has no hook

    @property
    def is_hooked(self) -> bool:
        return self.priority != 0


def _text(address: IPAddress) -> str:
    return str(type(address)(address.packed))  # without a zone, whose text may be anything


def _rule(name: str, match: str, verdict: str) -> str:
    return f'{match} counter {verdict} comment "{name}: {SENTENCES[name]}"'.strip()


def table_of(vtep: IPAddress, udp_port: int) -> str:
    """Return the table's name: two VTEPs in one namespace have two tables."""
    return f"inet {PREFIX}{_text(vtep).replace(':', '-')}-{udp_port}"


def copy_of(table: str) -> str:
    """Return the name of the table's copy."""
    return table + COPY


def counts(objects: Iterable[dict[str, dict[str, object]]]) -> Iterator[GuardRule]:
    """Yield the rules of a table that nft listed, with what they have caught."""
    for each in objects:
        rule = each.get("rule")
        if rule is None or not isinstance(comment := rule.get("comment"), str):
            continue
        name, _, sentence = comment.partition(": ")
        expressions = rule.get("expr")
        for expression in expressions if isinstance(expressions, list) else []:
            counter = expression.get("counter")
            if counter is not None:
                yield GuardRule(
                    name=name,
                    chain=str(rule["chain"]),
                    sentence=sentence,
                    passes=name in PASSING,
                    packets=int(counter["packets"]),
                    bytes=int(counter["bytes"]),
                )
