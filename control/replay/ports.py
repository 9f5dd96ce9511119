# SPDX-License-Identifier: Apache-2.0
"""The ports of a replay, and which frames enter at each."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fastpath.addresses import format_mac, parse_mac
from fastpath.errors import UsageError

REST = "*"
LONGEST_NAME = 60  # bytes; captures keep 64
MOST_PORTS = 1000


@dataclass(frozen=True)
class PortMap:
    """`ports` maps the name of each port to the source addresses whose frames enter there. Frames of other addresses
    enter at `rest`, or nowhere."""

    ports: dict[str, tuple[int, ...]]
    rest: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `lan=02:00:00:00:00:01,02:00:00:00:00:02 wan=*`, or a TOML file. Raise UsageError."""
        if text.endswith(".toml"):
            return cls._read(Path(text))
        pairs = []
        for word in text.split():
            name, equals, addresses = word.partition("=")
            if not equals:
                raise UsageError(f'--ports: invalid "{word}": expected NAME=MAC,… or NAME=*')
            pairs.append((name, [address for address in addresses.split(",") if address]))
        return cls._build(pairs)

    @classmethod
    def _read(cls, path: Path) -> Self:
        try:
            content = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: not a TOML file: {error}") from None
        ports: Any = content.get("ports")
        if not isinstance(ports, dict) or set(content) != {"ports"}:
            raise UsageError(f"{path}: expected one table, [ports]")
        pairs = []
        for name, addresses in ports.items():
            listed = [addresses] if isinstance(addresses, str) else addresses
            if not isinstance(listed, list) or not all(isinstance(address, str) for address in listed):
                raise UsageError(f'{path}: port {name}: expected a list of MAC addresses, or "*"')
            pairs.append((name, listed))
        return cls._build(pairs)

    @classmethod
    def _build(cls, pairs: list[tuple[str, list[str]]]) -> Self:
        ports: dict[str, tuple[int, ...]] = {}
        taken: dict[int, str] = {}
        rest = None
        if not 1 <= len(pairs) <= MOST_PORTS:
            raise UsageError(f"--ports: expected 1 to {MOST_PORTS} ports")
        for name, addresses in pairs:
            _check_name(name)
            if name in ports:
                raise UsageError(f"--ports: {name} is given twice")
            if REST in addresses:
                if rest is not None:
                    raise UsageError(f"--ports: all other addresses enter at both {rest} and {name}")
                rest = name
            ports[name] = tuple(parse_mac(address) for address in addresses if address != REST)
            for mac in ports[name]:
                if taken.setdefault(mac, name) != name:
                    raise UsageError(f"--ports: {format_mac(mac)} enters at both {taken[mac]} and {name}")
        return cls(ports, rest)


def _check_name(name: str) -> None:
    if not name or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise UsageError(f"--ports: invalid port name {name!a}: expected 1 to {LONGEST_NAME} printable characters")


# Frames that enter at `in` leave at `out`, unless their destination was learned at `in`.
FRAMES = PortMap({"in": (), "out": ()}, "in")
# The containers behind the VTEP.
PACKETS = PortMap({"local": ()}, "local")
