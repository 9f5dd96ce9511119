# SPDX-License-Identifier: Apache-2.0
"""An access list: the first rule that a frame matches says whether it may pass to the next forwarder.

fastpath forwarder set vx0 examples/forwarders/acl.py rules=examples/forwarders/acl.toml '|' bridge
"""

import tomllib
from pathlib import Path

import numpy as np

from fastpath import PASS, Burst, Forwarder, Match, UsageError

ACTIONS = ("allow", "deny")


class Acl(Forwarder):
    """Rules from a TOML file, each with a `name`, an `action` (allow or deny), and what it matches. `default` is the
    action for frames that no rule matches (allow)."""

    def __init__(self, rules: Path) -> None:
        config = tomllib.loads(rules.read_text())
        self.rules = [self.rule(**rule) for rule in config.get("rule", [])]
        self.default = self.decision("default", config.get("default", "allow"))

    def rule(self, name: str = "", action: str = "", **match: object) -> tuple[Match, int]:
        """Return what a rule matches, and the decision for that."""
        return Match(match), self.decision(name, action)

    def decision(self, name: str, action: str) -> int:
        """Return the decision for an action; denied frames are counted by the rule's name."""
        if action not in ACTIONS or not name:
            raise UsageError(f'rule "{name}" with the action "{action}": it needs a name, and to allow or deny')
        return self.reason(name) if action == "deny" else PASS

    def forward(self, burst: Burst) -> None:
        burst.out = self.default
        undecided = np.ones(len(burst), np.bool_)
        for match, decision in self.rules:
            matched = undecided & match(burst)
            burst.out[matched] = decision
            undecided &= ~matched
