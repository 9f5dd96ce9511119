# SPDX-License-Identifier: Apache-2.0
"""The syntax of `ip link add NAME type vxlan`, see ip-link(8)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fastpath.control.cli.common.words import Word, read_words
from fastpath.control.device.config import VxlanConfig
from fastpath.control.model.objects import LARGEST_V4, LARGEST_V6
from fastpath.engine.limits import check_name
from fastpath.engine.ports.tx_queue import MAX_TXQUEUELEN
from fastpath.errors import UsageError

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
    "mtu": Word(1, number=True, hint=f"mtu BYTES, 68 to {LARGEST_V4}, or {LARGEST_V6} over IPv6"),
    "txqueuelen": Word(1, number=True, hint=f"txqueuelen FRAMES, 1 to {MAX_TXQUEUELEN}"),
    "netns": Word(1, hint="netns NAME or PATH"),
}


def vxlan_config(name: str, words: Sequence[str], **more: Any) -> VxlanConfig:
    """Return the configuration that `fastpath vxlan add NAME words…` describes. Raise UsageError."""
    check_name(name)
    found = read_words(words, VXLAN_WORDS)
    if "id" not in found:
        raise UsageError("id is missing: give the VXLAN network identifier, e.g. id 42")
    if "learning" in found and "nolearning" in found:
        raise UsageError("learning and nolearning exclude each other: give only one")
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
        values["netns"] = str(Path(values["netns"]).absolute())  # a detached device runs in another directory
    try:
        config = VxlanConfig.model_validate(values)
    except ValidationError as error:
        raise UsageError(_one_line(error)) from None
    _check(config)
    return config


def _check(config: VxlanConfig) -> None:
    """Raise UsageError for words that do not fit each other."""
    if config.srcport[0] > config.srcport[1]:
        raise UsageError(f"srcport {config.srcport[0]} {config.srcport[1]}: MIN must not be greater than MAX")
    if len({address.version for address in (config.local, *config.remote) if address is not None}) > 1:
        raise UsageError("local and remote addresses are of different families: use IPv4 for all, or IPv6 for all")
    if len(set(config.remote)) < len(config.remote):
        raise UsageError("a remote is given twice")
    if config.mtu is not None and config.mtu > config.largest_mtu:
        raise UsageError(_invalid("mtu", config.mtu))


def _invalid(word: str, given: object) -> str:
    return f'invalid {word} "{given}": expected {VXLAN_WORDS[word].hint}'


def _number(word: str, text: str) -> int:
    """Return a number, decimal or 0x and hexadecimal as in iproute2. Raise UsageError."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", text, re.ASCII) is None:
        raise UsageError(_invalid(word, text))
    return int(text, 16) if text[:2] in ("0x", "0X") else int(text)


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UsageError):
        return str(cause)
    word = str(first["loc"][0])
    if word in VXLAN_WORDS:
        return _invalid(word, first["input"])
    return f'invalid {word} "{first["input"]}": {first["msg"].lower()}'
