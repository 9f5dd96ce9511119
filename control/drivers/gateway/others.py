# SPDX-License-Identifier: Apache-2.0
"""The rules of others for what this host forwards: the chain that Docker keeps for such as us, and what we can tell of
drops that we must not undo."""

import contextlib
import logging
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastpath.control.drivers.gateway.way import Way
from fastpath.control.kernel import nftables
from fastpath.control.kernel.nft_query import known_generation
from fastpath.control.model.problem import Problem
from fastpath.errors import RefusedError

PATIENCE_S = 10  # for iptables: the caller is the one thread that changes the kernel
DOCKERS = "DOCKER-USER"  # Docker's chain before its drops
MARK = ("-m", "comment", "--comment", "fastpath")
ACCEPT = ("-j", "ACCEPT")
FIREWALLD = "firewalld"
OURS = "fastpath"  # so the names of our tables begin

log = logging.getLogger("fastpath")


@dataclass(frozen=True)
class _Family:
    """A family of nftables, iptables' program for it, and where the kernel lists the tables of iptables-legacy."""

    name: str
    program: str
    legacy: str

    def programs(self, *, docker: bool) -> Iterator[str]:
        """Yield the programs by which Docker's chain may be seen; only iptables knows which of its two back ends was
        used. `docker`: nftables has that chain."""
        if docker and (found := shutil.which(f"{self.program}-nft") or shutil.which(self.program)):
            yield found
        if self.has_legacy() and (found := shutil.which(f"{self.program}-legacy")):
            yield found

    def has_legacy(self) -> bool:
        """Return whether iptables-legacy has rules in this namespace."""
        try:
            return "filter" in Path(self.legacy).read_text(encoding="ascii").split()
        except OSError:
            return False


_FAMILIES = (
    _Family("ip", "iptables", "/proc/thread-self/net/ip_tables_names"),
    _Family("ip6", "ip6tables", "/proc/thread-self/net/ip6_tables_names"),
)


class Others:
    """The rules of others beside one bridge. To list them starts nft, which takes more time than all else of a look at
    a host where nothing changed: so that is done only after a change."""

    def __init__(self, bridge: str) -> None:
        self._bridge = bridge
        self._settled: tuple[int, Way] | None = None  # the rule set and the way out when nothing was left to do

    def ensure(self, way: Way) -> list[Problem]:
        """Let what leaves by the way out, and answers to it, pass Docker's drops; nothing else. Return what may keep
        containers from the outside."""
        now = known_generation()
        legacy = any(family.has_legacy() for family in _FAMILIES)  # which has no number of its rule set
        if now is not None and self._settled == (now, way) and not legacy:
            return []
        problems, done = _ensure(self._bridge, way)
        self._settled = (now, way) if now is not None and done and not problems else None
        return problems

    def remove(self) -> None:
        """Remove our rules from Docker's chain."""
        self._settled = None
        chains: dict[tuple[str, str, str], str | None] = {}
        with contextlib.suppress(RefusedError):
            chains = _chains()
        for family in _FAMILIES:
            for program in family.programs(docker=(family.name, "filter", DOCKERS) in chains):
                with contextlib.suppress(PermissionError):
                    _bring_about(program, self._bridge, [])


def _ensure(bridge: str, way: Way) -> tuple[list[Problem], bool]:
    """Return the problems, and whether all commands were done."""
    problems, done = [], True
    chains: dict[tuple[str, str, str], str | None] = {}
    try:
        chains = _chains()
    except RefusedError as error:
        log.debug("the rules of others are not known", exc_info=error)
        done = False
    for family, ways in zip(_FAMILIES, (way.ipv4, way.ipv6), strict=True):
        docker = (family.name, "filter", DOCKERS) in chains
        programs = list(family.programs(docker=docker))
        for program in programs:
            try:
                done &= _bring_about(program, bridge, _rules(bridge, ways))
            except PermissionError as error:
                problems.append(_problem(f"{program} denied", str(error)))
        if not ways:
            continue
        if docker and not programs:
            problems.append(
                _problem(
                    family.program,
                    f"Docker drops what this host forwards, and the program {family.program} is missing, by which "
                    "fastpath lets containers' traffic pass: install iptables",
                )
            )
        if family.has_legacy():
            problems += _of_legacy(f"{family.program}-legacy", bridge)
    families = {"inet": way.ipv4 + way.ipv6, "ip": way.ipv4, "ip6": way.ipv6}
    try:
        problems += _drops({key: policy for key, policy in chains.items() if families.get(key[0])}, bridge)
    except RefusedError as error:
        log.debug("the rules of others are not known", exc_info=error)
        done = False
    return problems, done


def _rules(bridge: str, ways: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the rules as iptables prints them."""
    if not ways:
        return []
    known = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT")
    out = [("-i", bridge, "-o", name, *MARK, *ACCEPT) for name in ways]
    return [*out, ("-o", bridge, *known, *MARK, *ACCEPT)]


def _bring_about(program: str, bridge: str, wanted: list[tuple[str, ...]]) -> bool:
    """Make these the rules of ours. They follow those of others, before a last RETURN, which older Dockers have. Return
    whether iptables did it all; it fails, too, if that program has no such chain. Raise PermissionError."""
    listed = _call(program, "-S", DOCKERS)
    if listed is None:
        return False
    lines = [tuple(shlex.split(line)[2:]) for line in listed.splitlines() if line.startswith("-A ")]
    former = {(way, bridge, *ACCEPT) for way in ("-i", "-o")}  # until version 0.2.0
    ours = [rule for rule in lines if rule in former or (bridge in rule and set(MARK) <= set(rule))]
    failed = False
    for rule in [rule for rule in ours if rule not in wanted]:
        failed |= _call(program, "-D", DOCKERS, *rule) is None
        lines.remove(rule)
    for rule in [rule for rule in wanted if rule not in ours]:
        at = len(lines) - (lines[-1:] == [("-j", "RETURN")])
        failed |= _call(program, "-I", DOCKERS, str(at + 1), *rule) is None
        lines.insert(at, rule)
    return not failed


def _call(program: str, *words: str) -> str | None:
    """Call iptables; None: it failed. Raise PermissionError."""
    command = [program, "-w", *words]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # names and comments of others
            check=False,
            timeout=PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 and ("Permission denied" in done.stderr or "not permitted" in done.stderr):
        raise PermissionError(
            f"{program} may not change Docker's chain {DOCKERS}, so containers may not reach the outside: it needs "
            "CAP_NET_ADMIN, and iptables-legacy CAP_NET_RAW (examples/fastpath.service)"
        )
    return done.stdout if done.returncode == 0 else None


def _chains() -> dict[tuple[str, str, str], str | None]:
    """Return all chains of nftables by family, table and name, with the policy of those in which forwarded packets
    arrive. Raise RefusedError."""
    found = nftables.all_chains()
    policies = [chain.get("policy") if chain.get("hook") == "forward" else None for chain in found]
    keys = [(chain["family"], chain["table"], chain["name"]) for chain in found]
    return dict(zip(keys, policies, strict=True))


def _drops(chains: dict[tuple[str, str, str], str | None], bridge: str) -> list[Problem]:
    """Return problems with tables that drop by default and do not mention the bridge. Raise RefusedError."""
    problems = []
    for (family, table, name), policy in chains.items():
        what = f"{family} {table}"
        if policy is None or table.startswith(OURS) or (family, table, DOCKERS) in chains:
            continue
        if (policy != "drop" and not _ends_with_a_drop(what, name)) or nftables.mentions(what, f'"{bridge}"'):
            continue
        hint = f"let it accept what enters or leaves by {bridge}"
        if table == FIREWALLD:
            hint = f"firewall-cmd --permanent --zone=trusted --add-interface={bridge}, and firewall-cmd --reload"
        problems.append(
            _problem(
                what,
                f"the chain {name} of nftables' table {what} drops what it does not know, so that containers may not "
                f"reach the outside: {hint}",
            )
        )
    return problems


def _verb(statement: dict[str, Any]) -> str:
    """Return what a statement does. A target of iptables-nft that nftables has no words for has its own name."""
    (verb,) = statement
    target = statement.get("xt", {})
    return str(target["name"]).lower() if verb == "xt" and target.get("type") == "target" else str(verb)


def _of_legacy(program: str, bridge: str) -> list[Problem]:
    """Return a problem if iptables-legacy drops by default, without a chain of Docker's or a word of the bridge."""
    found = shutil.which(program)
    if found is None:
        return [
            _problem(
                program,
                f"this host has rules of {program}, and that program is missing: if they drop what this host forwards, "
                "containers do not reach the outside",
            )
        ]
    try:
        rules = [shlex.split(line) for line in (_call(found, "-S") or "").splitlines()]
    except PermissionError:
        return []  # told already
    if ["-N", DOCKERS] in rules or any(bridge in rule for rule in rules):
        return []
    last = [rule for rule in rules if rule[:2] == ["-A", "FORWARD"]][-1:]
    if ["-P", "FORWARD", "DROP"] not in rules and not (last and last[0][2:4] in (["-j", "DROP"], ["-j", "REJECT"])):
        return []
    return [
        _problem(
            f"{program} drops",
            f"the chain FORWARD of {program} drops what it does not know, so that containers may not reach the "
            f"outside: let it accept what enters or leaves by {bridge}",
        )
    ]


def _ends_with_a_drop(table: str, chain: str) -> bool:
    """Return whether the last rule of a chain drops or rejects whatever arrives there, as firewalld's does. Raise
    RefusedError."""
    rules = [each["rule"] for each in nftables.objects(table) if "rule" in each]
    here = [rule["expr"] for rule in rules if rule["chain"] == chain]
    last = {_verb(statement) for statement in here[-1]} if here else set()
    return bool(last & {"drop", "reject"}) and last <= {"drop", "reject", "counter", "log"}


def _problem(code: str, text: str) -> Problem:
    return Problem("host", "gateway", code, text)
