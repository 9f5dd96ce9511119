# SPDX-License-Identifier: Apache-2.0
"""The rules of the guard, as the body of one nftables table of the family inet. docs/security.md explains them.

                 prerouting ──► forward        others' packets    not to a VTEP, nor to the store
    packet ─────┤  (raw)    └─► input          to this host       peers only, and by the way to that peer
    a process ───── output ──────────────►                        to a VTEP only with the engine's packet mark

A rule's comment begins with its name, which metrics use, and says what the rule does. Facts of the kernel on which the
rules rely:

* A packet has its last destination in the hooks forward and input: DNAT is done in prerouting. SNAT comes later.
* Only CAP_NET_ADMIN or CAP_NET_RAW in the host's namespace can set SO_MARK, and a packet loses its mark when it leaves
  its namespace (skb_scrub_packet).
* `fib saddr . iif oif` (net/ipv4/netfilter/nft_fib_ipv4.c) asks for the route to the source address by the interface
  of arrival: for IPv4 each next hop of a multipath route counts, a bridge or bond counts as itself, and what comes by
  the loopback interface passes.
  Kernels before 5.18 take it in the hook prerouting only.
* The rules match nothing of conntrack, because that would switch conntrack on for a host that does not use it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fastpath.addresses import IPAddress

MARK = 0x46500000  # SO_MARK of packets that an engine sends; of the bits that others use for masks it has none
PREFIX = "fastpath-guard-"

SENTENCES = {
    "from_peer": "from a peer to this VTEP: taken, past conntrack",
    "not_a_peer": "to this VTEP from an address that is no peer's",
    "wrong_interface": "to this VTEP by another interface than the route to the peer uses",
    "translated": "translated to this VTEP's port, not from a peer",
    "to_peer": "from the engine to a peer: sent, past conntrack",
    "not_the_engine": "from a process of this host to a peer's VTEP, without the engine's packet mark",
    "forged_transit": "from a peer's address to another's VTEP, by another interface than the route to the first uses",
    "peer_transit": "from one peer to another: forwarded",
    "forwarded_to_vtep": "forwarded to a peer's VTEP, as from a container",
    "store_transit": "from a peer to the store: forwarded",
    "forwarded_to_store": "forwarded to the store, as from a container",
    "host_port": "from a container to a port of the store or the daemon on this host",
}
"""What each rule catches, by its name. At most 128 bytes with the name: nft refuses longer comments."""

PASSING = frozenset({"from_peer", "to_peer", "peer_transit", "store_transit"})
"""The rules that let packets pass. All others drop or reject."""


@dataclass(frozen=True)
class Plan:
    """What a guard protects: a VTEP, the store's endpoints, and TCP ports of this host that no container needs.
    `bridge` is the interface that containers' outbound packets come by.

    `only_peers` drops what is not from a peer. `strict` drops what comes by another interface than the route to its
    peer uses; without it, only what comes by `bridge`."""

    vtep: IPAddress
    udp_port: int
    peers: frozenset[IPAddress] = frozenset()
    store: frozenset[tuple[IPAddress, int]] = frozenset()
    ports: frozenset[int] = frozenset()
    bridge: str | None = None
    only_peers: bool = True
    strict: bool = True

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
        return {
            "peers": (f"ipv{self.vtep.version}_addr", peers),
            "store_v4": ("ipv4_addr . inet_service", stores[4]),
            "store_v6": ("ipv6_addr . inet_service", stores[6]),
            "ports": ("inet_service", frozenset(str(port) for port in self.ports)),
        }

    def body(self) -> str:
        """Return the table's body."""
        lines: list[str] = []
        for name, (kind, elements) in self.sets().items():
            lines += [f"set {name} {{", f"    type {kind};"]
            lines += [f"    elements = {{ {', '.join(sorted(elements))} }}"] if elements else []
            lines += ["}"]
        for chain in self._chains():
            hook = [f"    type filter hook {chain.hook}; policy accept;"] if chain.hook else []
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

    def _chains(self) -> list["_Chain"]:
        ip, to_peers = self._ip, f"udp dport {self.udp_port} {self._ip} daddr @peers"
        here = f"udp dport {self.udp_port} {ip} daddr {_text(self.vtep)}"
        from_peer = f"{ip} saddr @peers"
        forged = _rule("forged_transit", f"{to_peers} {from_peer} fib saddr . iif oif 0", "drop")
        wrong = "fib saddr . iif oif 0" if self.strict else f'iifname "{self.bridge}"' if self.bridge else None
        arriving = [
            *([_rule("not_a_peer", f"{ip} saddr != @peers", "drop")] if self.only_peers else []),
            *([_rule("wrong_interface", wrong, "drop")] if wrong else []),
            _rule("from_peer", "", "notrack"),
        ]
        forward = [f"{to_peers} jump to_vtep"]
        for family, version in (("ip", 4), ("ip6", 6)):
            if any(address.version == version for address, _ in self.store):
                forward.append(f"{family} daddr . tcp dport @store_v{version} jump to_store")
        translated = [_rule("translated", f"{here} {ip} saddr != @peers", "drop")] if self.only_peers else []
        reject = "reject with tcp reset"
        guarded = [_rule("host_port", f'iifname "{self.bridge}" tcp dport @ports', reject)] if self.bridge else []
        not_container = f'iifname != "{self.bridge}" ' if self.bridge else ""
        return [
            _Chain("arriving", "", arriving),
            _Chain("to_vtep", "", [_rule("peer_transit", from_peer, "accept"), _rule("forwarded_to_vtep", "", "drop")]),
            _Chain(
                "to_store",
                "",
                [
                    _rule("store_transit", not_container + from_peer, "accept"),
                    _rule("forwarded_to_store", "", reject),
                ],
            ),
            _Chain(
                "leaving",
                "",
                [_rule("not_the_engine", f"meta mark != {MARK:#x}", "drop"), _rule("to_peer", "", "notrack")],
            ),
            _Chain("prerouting", "prerouting priority raw", [f"{here} jump arriving", forged]),
            _Chain("input", "input priority filter - 10", [*translated, *guarded]),
            _Chain("forward", "forward priority filter - 10", forward),
            _Chain("output", "output priority raw", [f"{to_peers} jump leaving"]),
        ]


@dataclass(frozen=True)
class _Chain:
    name: str
    hook: str
    rules: list[str] = field(default_factory=list)


def _text(address: IPAddress) -> str:
    return str(type(address)(address.packed))  # without a zone, whose text may be anything


def _rule(name: str, match: str, verdict: str) -> str:
    return f'{match} counter {verdict} comment "{name}: {SENTENCES[name]}"'.strip()


def table_of(vtep: IPAddress, udp_port: int) -> str:
    """Return the table's name: two VTEPs in one namespace have two tables."""
    return f"inet {PREFIX}{_text(vtep).replace(':', '-')}-{udp_port}"


@dataclass(frozen=True)
class Count:
    """A rule, and what it has caught since the table was made."""

    name: str
    chain: str
    sentence: str
    passes: bool
    packets: int
    bytes: int


def counts(objects: Iterable[dict[str, dict[str, object]]]) -> Iterator[Count]:
    """Yield the counts of a table that nft listed."""
    for each in objects:
        rule = each.get("rule")
        if rule is None or not isinstance(comment := rule.get("comment"), str):
            continue
        name, _, sentence = comment.partition(": ")
        expressions = rule.get("expr")
        for expression in expressions if isinstance(expressions, list) else []:
            counter = expression.get("counter")
            if counter is not None:
                yield Count(
                    name, str(rule["chain"]), sentence, name in PASSING, int(counter["packets"]), int(counter["bytes"])
                )
