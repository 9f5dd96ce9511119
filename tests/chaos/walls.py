# SPDX-License-Identifier: Apache-2.0
"""Who cannot send to whom on the underlay: rules on the ports of the switch, which the hosts do not see."""

import contextlib
import subprocess
from collections.abc import Collection, Iterator, Mapping

from tests.support.hosts.hosts import Namespace

TABLE = "chaos"
Way = tuple[str, str]  # from an address to an address


class Walls:
    """`ports` are the switch's ports of the hosts, by address; other addresses are the switch's own."""

    def __init__(self, switch: Namespace, ports: Mapping[str, str]) -> None:
        self._switch = switch
        self._ports = ports
        self._closed: list[frozenset[Way]] = []

    @contextlib.contextmanager
    def closed(self, ways: Collection[Way]) -> Iterator[None]:
        """Let nothing pass on these ways within the block; several blocks may overlap."""
        mine = frozenset(ways)
        self._closed.append(mine)
        self._write()
        try:
            yield
        finally:
            self._closed.remove(mine)
            self._write()

    def _write(self) -> None:
        lines = [f"table netdev {TABLE}", f"delete table netdev {TABLE}", f"table netdev {TABLE} {{"]
        ways = sorted(set().union(*self._closed))
        for address, port in self._ports.items():
            sent = [to for source, to in ways if source == address]
            lines += self._chain("ingress", port, [f"ip daddr {to} drop" for to in sent])
            # What a host does not get is dropped where it would get it, if the switch itself is the sender.
            got = [source for source, to in ways if to == address and source not in self._ports]
            lines += self._chain("egress", port, [f"ip saddr {source} drop" for source in got])
        text = "\n".join([*lines, "}"])
        command = ["ip", "netns", "exec", self._switch.name, "nft", "-f", "-"]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)

    @staticmethod
    def _chain(hook: str, port: str, rules: list[str]) -> list[str]:
        if not rules:
            return []
        return [f"chain {hook}-{port} {{", f"type filter hook {hook} device {port} priority 0;", *rules, "}"]
