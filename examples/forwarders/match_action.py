# SPDX-License-Identifier: Apache-2.0
"""Match-action tables from a TOML file, in the manner of P4: what a frame matches names its actions.

fastpath forwarder set vx0 examples/forwarders/match_action.py \
    program=examples/forwarders/match_action.toml '|' bridge
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastpath import PASS, Burst, Forwarder, Match, UsageError
from fastpath.addresses import parse_ip4, parse_mac
from fastpath.forwarder.match import Mask


def decide(burst: Burst, which: Mask, out: int) -> Mask:
    """Set where frames go, and return which."""
    burst.out[which] = out
    return which


class MatchAction(Forwarder):
    """Tables see undecided frames in the order of the file; in each, the first entry that a frame matches counts. They
    match frames as they came, whatever earlier actions changed."""

    rewrites = True

    def __init__(self, program: Path) -> None:
        self.program = tomllib.loads(program.read_text())
        self.impossible = self.reason("impossible")  # what has to be done cannot be done to such a frame
        self.actions: dict[str, tuple[Callable[..., Mask], Callable[[str], int]]] = {  # and how to read its value
            "set_src_mac": (Burst.set_src_mac, parse_mac), "set_dst_mac": (Burst.set_dst_mac, parse_mac),
            "set_src_ip": (Burst.set_src_ip, parse_ip4), "set_dst_ip": (Burst.set_dst_ip, parse_ip4),
            "set_src_port": (Burst.set_src_port, int), "set_dst_port": (Burst.set_dst_port, int),
            "push_vlan": (Burst.push_vlan, int), "pop_vlan": (Burst.pop_vlan, int),
            "decrement_ttl": (Burst.decrement_ttl, int),
            "drop": (decide, self.reason), "to_port": (decide, self.port), "to_remote": (decide, self.remote),
        }  # fmt: skip

    def start(self) -> None:
        self.tables = [(table["name"], [self.entry(**e) for e in table["entry"]]) for table in self.program["table"]]

    def entry(self, match: dict[str, object], actions: list[str]) -> tuple[Match, list[Any]]:
        """One line of a table: what it matches, and the actions, each with its arguments."""
        return Match(match), [self.action(*words.split()) for words in actions]

    def action(self, name: str, *words: str) -> tuple[Callable[..., Mask], list[int]]:
        """Return the function of an action, and its values, from words."""
        if name not in self.actions or len(words) != (name not in ("pop_vlan", "decrement_ttl")):
            raise UsageError(f'unknown action "{name}" with {len(words)} values: there are {", ".join(self.actions)}')
        does, read = self.actions[name]
        return does, [read(word) for word in words]

    def forward(self, burst: Burst) -> None:
        for name, entries in self.tables:
            undecided = burst.out == PASS
            for match, actions in entries:
                hit = undecided & match(burst)
                undecided &= ~hit
                self.count(f"{name}_hits", np.count_nonzero(hit))
                for does, arguments in actions:
                    done = does(burst, hit, *arguments)
                    burst.out[hit & ~done] = self.impossible
                    hit = done
            self.count(f"{name}_misses", np.count_nonzero(undecided))
