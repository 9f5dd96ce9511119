# SPDX-License-Identifier: Apache-2.0
"""The words and the output of bridge(8), `bridge fdb`."""

from collections.abc import Sequence
from typing import Any

from fastpath.addresses import format_mac, parse_mac
from fastpath.control.cli.words import Word, read_words
from fastpath.control.device.requests import FdbChange, FdbFlush, FdbLine, FdbState, FdbVerb
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
        raise UsageError("dev is missing: say which device, as in dev vx0")
    return found["dev"][0]


def _state(found: dict[str, list[str]]) -> FdbState | None:
    states = {_STATES[word] for word in found if word in _STATES}
    if len(states) > 1:
        raise UsageError("permanent and dynamic exclude each other: give one of them")
    return states.pop() if states else None


def _port(found: dict[str, list[str]]) -> int | None:
    if "port" not in found:
        return None
    text = found["port"][0]
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise UsageError(f'port "{text}" cannot be: a UDP port is between 1 and 65535')
    return int(text)


def _dst(found: dict[str, list[str]]) -> str | None:
    return found["dst"][0] if "dst" in found else None


def read_change(verb: FdbVerb, words: Sequence[str]) -> tuple[str, FdbChange]:
    """`LLADDR dev NAME [dst ADDRESS] [port P] …` -> (device, change). Raises UsageError."""
    if not words:
        raise UsageError("the MAC address is missing: write it first, as in 02:42:0a:00:00:05 dev vx0")
    mac = format_mac(parse_mac(words[0]))
    found = read_words(words[1:], CHANGE_WORDS)
    change = FdbChange(verb=verb, mac=mac, dst=_dst(found), port=_port(found), state=_state(found) or "permanent")
    return _device(found), change


def read_flush(words: Sequence[str]) -> tuple[str, FdbFlush]:
    """`dev NAME [dst ADDRESS] [permanent|dynamic]` -> (device, flush). Raises UsageError."""
    found = read_words(words, FLUSH_WORDS)
    return _device(found), FdbFlush(dst=_dst(found), port=_port(found), state=_state(found))


def read_show(words: Sequence[str]) -> tuple[str | None, str | None]:
    """`[dev NAME | network NAME]` -> (device, network), either None, or both for all. Raises UsageError."""
    found = read_words(words, SHOW_WORDS)
    if len(found) > 1:
        raise UsageError("dev and network exclude each other: give one of them")
    return next(iter(found.get("dev", [])), None), next(iter(found.get("network", [])), None)


def format_line(line: FdbLine, *, name_device: bool, statistics: bool = False) -> str:
    """One line as `bridge fdb show` prints it, which names the device only where it was not asked for."""
    parts = [line.mac, *(["dev", line.ifname] if name_device else [])]
    if line.dst is not None:
        parts += ["dst", line.dst]
    if line.port is not None:
        parts += ["port", str(line.port)]
    if statistics and line.updated is not None:
        parts += ["updated", str(line.updated)]
    return " ".join([*parts, *line.flags, *([line.state] if line.state else [])])


def as_rows(lines: Sequence[FdbLine], *, name_device: bool) -> list[dict[str, Any]]:
    """The same as `bridge -json fdb show` has them."""
    omit = set() if name_device else {"ifname"}
    return [line.model_dump(mode="json", exclude_none=True, exclude=omit) for line in lines]
