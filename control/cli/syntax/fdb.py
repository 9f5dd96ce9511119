# SPDX-License-Identifier: Apache-2.0
"""The syntax and the output of `bridge fdb`, see bridge(8)."""

from collections.abc import Sequence
from typing import Any

from fastpath.addresses import format_mac, parse_mac
from fastpath.control.cli.common.words import Word, read_words
from fastpath.control.device.requests import FdbChange, FdbFlush, FdbState, FdbVerb
from fastpath.errors import UsageError

_DEV = {"dev": Word(1, hint="dev NAME")}
_DST = {"dst": Word(1, hint="dst ADDRESS"), "port": Word(1, hint="port UDP-PORT")}
_STATES: dict[str, FdbState] = {
    "permanent": "permanent",
    "static": "permanent",
    "local": "permanent",
    "dynamic": "dynamic",
}

CHANGE_WORDS = _DEV | _DST | {"self": Word(0)} | {state: Word(0) for state in _STATES}
FLUSH_WORDS = _DEV | _DST | {"self": Word(0), "permanent": Word(0), "static": Word(0), "dynamic": Word(0)}
SHOW_WORDS = _DEV | {"network": Word(1, hint="network NAME")}


def _device(found: dict[str, list[str]]) -> str:
    if "dev" not in found:
        raise UsageError("dev is missing: name the device, e.g. dev vx0")
    return found["dev"][0]


def _state(found: dict[str, list[str]]) -> FdbState | None:
    states = {_STATES[word] for word in found if word in _STATES}
    if len(states) > 1:
        raise UsageError("permanent and dynamic exclude each other: give only one")
    return states.pop() if states else None


def _port(found: dict[str, list[str]]) -> int | None:
    if "port" not in found:
        return None
    text = found["port"][0]
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise UsageError(f'invalid port "{text}": expected a UDP port, 1 to 65535')
    return int(text)


def _dst(found: dict[str, list[str]]) -> str | None:
    return found["dst"][0] if "dst" in found else None


def read_change(verb: FdbVerb, words: Sequence[str]) -> tuple[str, FdbChange]:
    """Return the device and the change of `LLADDR dev NAME [dst ADDRESS] [port P] …`. Raise UsageError."""
    if not words:
        raise UsageError("the MAC address is missing: it comes first, e.g. 02:42:0a:00:00:05 dev vx0")
    mac = format_mac(parse_mac(words[0]))
    found = read_words(words[1:], CHANGE_WORDS)
    change = FdbChange(verb=verb, mac=mac, dst=_dst(found), port=_port(found), state=_state(found) or "permanent")
    return _device(found), change


def read_flush(words: Sequence[str]) -> tuple[str, FdbFlush]:
    """Return the device and what to flush of `dev NAME [dst ADDRESS] [permanent|dynamic]`. Raise UsageError."""
    found = read_words(words, FLUSH_WORDS)
    return _device(found), FdbFlush(dst=_dst(found), port=_port(found), state=_state(found))


def read_show(words: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the device and the network of `[dev NAME | network NAME]`, both None for all. Raise UsageError."""
    found = read_words(words, SHOW_WORDS)
    if len(found) > 1:
        raise UsageError("dev and network exclude each other: give only one")
    return next(iter(found.get("dev", [])), None), next(iter(found.get("network", [])), None)


def format_line(line: dict[str, Any], *, name_device: bool, statistics: bool = False) -> str:
    """Return an entry as `bridge fdb show` prints it: without the device, if only one is shown."""
    parts = [line["mac"], *(["dev", line["ifname"]] if name_device else [])]
    if line["dst"] is not None:
        parts += ["dst", line["dst"]]
    if line["port"] is not None:
        parts += ["port", str(line["port"])]
    if statistics and line["updated"] is not None:
        parts += ["updated", str(line["updated"])]
    return " ".join([*parts, *line["flags"], *([line["state"]] if line["state"] else [])])


def as_rows(lines: Sequence[dict[str, Any]], *, name_device: bool) -> list[dict[str, Any]]:
    """Return entries as `bridge -json fdb show` prints them."""
    omit = set() if name_device else {"ifname"}
    return [{name: value for name, value in line.items() if value is not None and name not in omit} for line in lines]
