# SPDX-License-Identifier: Apache-2.0
"""Untrusted text -> one frozen value that the rest of the control plane can rely on."""

import difflib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fastpath.addresses import parse_ip
from fastpath.control.runtime.engine_options import (
    DEFAULT_SOURCE_PORTS,
    SourcePorts,
    Spin,
    UdpPort,
    Workers,
    default_workers,
)
from fastpath.engine.limits import DEFAULT_SPIN_US, check_name
from fastpath.engine.offloads import DEFAULT_OFFLOADS, Offloads
from fastpath.errors import UsageError

Address = Annotated[ipaddress.IPv4Address | ipaddress.IPv6Address, BeforeValidator(parse_ip)]


class VxlanConfig(BaseModel):
    """A VXLAN device, in the words of `ip link add … type vxlan` (ip-link(8))."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    id: Annotated[int, Field(ge=0, lt=1 << 24)]
    local: Address | None = None
    remote: tuple[Address, ...] = ()
    dstport: UdpPort = 4789
    srcport: tuple[UdpPort, UdpPort] = (49152, 65535)
    ttl: Annotated[int, Field(ge=0, le=255)] = 0
    learning: bool = True
    ageing: Annotated[int, Field(ge=0, lt=1 << 23)] = 300
    maxaddress: Annotated[int, Field(ge=0, lt=1 << 26)] = 0
    mtu: Annotated[int, Field(ge=68, le=65521)] | None = None
    netns: str | None = None
    workers: Workers = Field(default_factory=default_workers)
    spin: Spin = DEFAULT_SPIN_US
    pin: bool = False
    source_ports: SourcePorts = DEFAULT_SOURCE_PORTS
    offloads: Offloads = DEFAULT_OFFLOADS

    @property
    def ipv6(self) -> bool:
        """Whether the underlay is IPv6."""
        first = self.local or next(iter(self.remote), None)
        return first is not None and first.version == 6


@dataclass(frozen=True)
class Word:
    """One word of the command line: how many values follow, and what they may be."""

    values: int
    number: bool = False
    repeated: bool = False
    hint: str = ""


VXLAN_WORDS = {
    "id": Word(1, number=True, hint="id VNI, 0 to 16777215"),
    "local": Word(1, hint="local ADDRESS"),
    "remote": Word(1, repeated=True, hint="remote ADDRESS"),
    "dstport": Word(1, number=True, hint="dstport PORT, 1 to 65535"),
    "srcport": Word(2, number=True, hint="srcport MIN MAX, 1 to 65535"),
    "ttl": Word(1, number=True, hint="ttl 1 to 255, or ttl auto"),
    "learning": Word(0),
    "nolearning": Word(0),
    "ageing": Word(1, number=True, hint="ageing SECONDS, 0 for never"),
    "maxaddress": Word(1, number=True, hint="maxaddress NUMBER, 0 for no limit"),
    "mtu": Word(1, number=True, hint="mtu BYTES, 68 to 65521"),
    "netns": Word(1, hint="netns NAME or PATH"),
}


def read_words(words: Sequence[str], known: dict[str, Word]) -> dict[str, list[str]]:
    """Cut `words` into a dict of word -> values. Raises UsageError for one that is unknown, stands
    twice without being `repeated`, or lacks a value."""
    found: dict[str, list[str]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word not in known:
            raise UsageError(f'"{word}" is not understood here: {_suggest(word, known)}')
        rule = known[word]
        if word in found and not rule.repeated:
            raise UsageError(f'"{word}" stands twice: it can be given once')
        if len(rest) < rule.values:
            raise UsageError(
                f'"{word}" needs {"a value" if rule.values == 1 else f"{rule.values} values"}: {rule.hint}'
            )
        found.setdefault(word, []).extend(rest[: rule.values])
        del rest[: rule.values]
    return found


def _suggest(word: str, known: dict[str, Word]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"known words are {' '.join(known)}"


def vxlan_config(name: str, words: Sequence[str], **more: Any) -> VxlanConfig:
    """The device that `fastpath vxlan add NAME words…` describes. Raises UsageError."""
    check_name(name)
    found = read_words(words, VXLAN_WORDS)
    if "id" not in found:
        raise UsageError("id is missing: say which VNI the device is for, as in id 42")
    if "learning" in found and "nolearning" in found:
        raise UsageError("learning and nolearning exclude each other: give one of them")
    values: dict[str, Any] = {"name": name, **more}
    if found.get("ttl") == ["auto"]:
        found["ttl"] = ["0"]
    for word, texts in found.items():
        given = [_number(word, text) if VXLAN_WORDS[word].number else text for text in texts]
        if word in ("learning", "nolearning"):
            values["learning"] = word == "learning"
        elif VXLAN_WORDS[word].repeated or VXLAN_WORDS[word].values > 1:
            values[word] = given
        else:
            values[word] = given[0]
    if "/" in values.get("netns", ""):
        values["netns"] = str(Path(values["netns"]).absolute())  # a detached device runs elsewhere
    try:
        config = VxlanConfig.model_validate(values)
    except ValidationError as error:
        raise UsageError(_one_line(error)) from None
    if config.srcport[0] > config.srcport[1]:
        raise UsageError(f"srcport {config.srcport[0]} {config.srcport[1]}: the first must not be above the second")
    if len({address.version for address in (config.local, *config.remote) if address is not None}) > 1:
        raise UsageError("local and the remotes are not of one family: use IPv4 or IPv6 for all")
    if len(set(config.remote)) < len(config.remote):
        raise UsageError("a remote stands twice: name each one once")
    return config


def _number(word: str, text: str) -> int:
    """A number as iproute2 takes it: decimal, or hexadecimal behind 0x."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", text, re.ASCII) is None:
        raise UsageError(f'{word} "{text}" cannot be: {VXLAN_WORDS[word].hint}')
    return int(text, 16) if text[:2] in ("0x", "0X") else int(text)


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UsageError):
        return str(cause)
    word = str(first["loc"][0])
    hint = VXLAN_WORDS[word].hint if word in VXLAN_WORDS else first["msg"].lower()
    return f'{word} "{first["input"]}" cannot be: {hint}'
