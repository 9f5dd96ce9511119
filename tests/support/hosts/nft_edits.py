# SPDX-License-Identifier: Apache-2.0
"""Random edits of nftables tables, as somebody makes them who does not know whose they are."""

import random
from typing import Any

from fastpath.control.kernel import nftables

Objects = list[dict[str, Any]]


def edit(ours: Objects, chosen: random.Random) -> str:
    """nft's commands for one edit of what nftables.objects() shows: of a rule, an element, a set, a chain, a table."""
    kinds = [_rule, _accept, _element, _set, _chain, _hook, _table, _dormant]
    return chosen.choice(kinds)(ours, chosen)


def _one(ours: Objects, chosen: random.Random, kind: str, key: str = "name") -> dict[str, Any]:
    return chosen.choice([each[kind] for each in ours if kind in each and key in each[kind]])


def _name(what: dict[str, Any]) -> str:
    table = what.get("table")
    return f"{what['family']} {table} {what['name']}" if table else f"{what['family']} {what['name']}"


def _rule(ours: Objects, chosen: random.Random) -> str:
    rule = _one(ours, chosen, "rule", "handle")
    return f"delete rule {rule['family']} {rule['table']} {rule['chain']} handle {rule['handle']}"


def _accept(ours: Objects, chosen: random.Random) -> str:
    return f"insert rule {_name(_one(ours, chosen, 'chain'))} accept"


def _element(ours: Objects, chosen: random.Random) -> str:
    some = _one([nftables.lasting(each) for each in ours], chosen, "set", "elem")
    one = chosen.choice(some["elem"])
    parts = one["concat"] if isinstance(one, dict) else [one]
    return f"delete element {_name(some)} {{ {' . '.join(str(part) for part in parts)} }}"


def _set(ours: Objects, chosen: random.Random) -> str:
    return f"flush set {_name(_one(ours, chosen, 'set'))}"


def _chain(ours: Objects, chosen: random.Random) -> str:
    return f"flush chain {_name(_one(ours, chosen, 'chain'))}"


def _hook(ours: Objects, chosen: random.Random) -> str:
    return f"delete chain {_name(_one(ours, chosen, 'chain', 'hook'))}"


def _table(ours: Objects, chosen: random.Random) -> str:
    return f"delete table {_name(_one(ours, chosen, 'table'))}"


def _dormant(ours: Objects, chosen: random.Random) -> str:
    return f"add table {_name(_one(ours, chosen, 'table'))} {{ flags dormant; }}"
