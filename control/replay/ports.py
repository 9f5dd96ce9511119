# SPDX-License-Identifier: Apache-2.0
"""The ports of a replay, and where frames enter, as people write it down."""

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
    """`ports` has the source addresses whose frames enter at each, by its name; those of all other addresses enter
    at `rest`, or nowhere."""

    ports: dict[str, tuple[int, ...]]
    rest: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """`lan=02:00:00:00:00:01,02:00:00:00:00:02 wan=*`, or the name of a TOML file. Raises UsageError."""
        if text.endswith(".toml"):
            return cls._read(Path(text))
        pairs = []
        for word in text.split():
            name, equals, addresses = word.partition("=")
            if not equals:
                raise UsageError(f'--ports: "{word}" should be NAME=ADDRESS,… or NAME=*')
            pairs.append((name, [address for address in addresses.split(",") if address]))
        return cls._build(pairs)

    @classmethod
    def _read(cls, path: Path) -> Self:
        try:
            content = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: it is no TOML file: {error}") from None
        ports: Any = content.get("ports")
        if not isinstance(ports, dict) or set(content) != {"ports"}:
            raise UsageError(f"{path}: it should have one table, [ports]")
        pairs = []
        for name, addresses in ports.items():
            listed = [addresses] if isinstance(addresses, str) else addresses
            if not isinstance(listed, list) or not all(isinstance(address, str) for address in listed):
                raise UsageError(f'{path}: port {name} should have a list of addresses, or "*"')
            pairs.append((name, listed))
        return cls._build(pairs)

    @classmethod
    def _build(cls, pairs: list[tuple[str, list[str]]]) -> Self:
        ports: dict[str, tuple[int, ...]] = {}
        taken: dict[int, str] = {}
        rest = None
        if not 1 <= len(pairs) <= MOST_PORTS:
            raise UsageError(f"--ports: it should name at least one port, and at most {MOST_PORTS}")
        for name, addresses in pairs:
            _check_name(name)
            if name in ports:
                raise UsageError(f"--ports: {name} stands there twice")
            if REST in addresses:
                if rest is not None:
                    raise UsageError(f"--ports: all other addresses are to enter at {rest}, and at {name}")
                rest = name
            ports[name] = tuple(parse_mac(address) for address in addresses if address != REST)
            for mac in ports[name]:
                if taken.setdefault(mac, name) != name:
                    raise UsageError(f"--ports: {format_mac(mac)} is to enter at {taken[mac]}, and at {name}")
        return cls(ports, rest)


def _check_name(name: str) -> None:
    if not name or not name.isprintable() or len(name.encode()) > LONGEST_NAME:
        raise UsageError(f"--ports: {name!a} cannot be a port's name: 1 to {LONGEST_NAME} printable characters")


# What is sent at `in` and known nowhere else is seen at `out`.
FRAMES = PortMap({"in": (), "out": ()}, "in")
# Where a VTEP's own containers are.
PACKETS = PortMap({"local": ()}, "local")
