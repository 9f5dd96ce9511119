# SPDX-License-Identifier: Apache-2.0
"""Names of contestants: `kernel-bridge`, `fastpath`, `fastpath-device:spin=0,workers=2`, `forwarder:acl.py`."""

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastpath.errors import UsageError

SUBJECT = "fastpath"  # a network of daemons, as a user makes it
DEVICE_ALONE = "fastpath-device"  # `fastpath vxlan add`: an engine without a daemon
FORWARDER = "forwarder"
SCRIPT = "script"  # an overlay of one's own
BASELINES = (
    "kernel-bridge",
    "kernel-direct",
    "ovs",
    "openvpn",
    "fastd",
    "null",
    SCRIPT,
    SUBJECT,
    DEVICE_ALONE,
    FORWARDER,
)
NAMED_BY_FILE = {FORWARDER: "FILE.py", SCRIPT: "FILE.sh"}
OURS = (SUBJECT, DEVICE_ALONE, FORWARDER)
UNDERLAYS = ("offload", "wire")
FORMS = (*UNDERLAYS, "local", "fdb")  # local: both containers on one host; fdb: offload, with large tables
DEFAULT_SCENARIOS = ("tcp1", "tcp4", "udp64", "ndr64", "rr", "rr_loaded")
DEFAULT_SUBJECTS = (SUBJECT, f"{SUBJECT}:kernel-path=off")
DEFAULT_BASELINES = ("kernel-bridge", "kernel-direct")
TXQUEUELEN = "txqueuelen"
BY_THE_BENCHMARK = ("commit", TXQUEUELEN)  # settings that are not settings of ours
WITH_SETTINGS = (SUBJECT, DEVICE_ALONE, "null")


@dataclass(frozen=True)
class Contestant:
    """A contestant by name, with its settings; `words` are the argument of `fastpath forwarder set`, or a script."""

    name: str
    settings: tuple[tuple[str, str], ...] = ()
    words: str | None = None

    def __str__(self) -> str:
        if self.words is not None:
            return f"{self.name}:{self.words}"
        if not self.settings:
            return self.name
        return f"{self.name}:{','.join(f'{key}={value}' for key, value in self.settings)}"

    @property
    def commit(self) -> str | None:
        """The commit whose program is measured; None: the installed one."""
        return dict(self.settings).get("commit")

    @property
    def txqueuelen(self) -> str | None:
        """The length of the device's queue in packets; None: the device's default."""
        return dict(self.settings).get(TXQUEUELEN)

    @property
    def own(self) -> dict[str, str]:
        """The settings that are the overlay's own, with underscores in their names."""
        return {key.replace("-", "_"): value for key, value in self.settings if key not in BY_THE_BENCHMARK}

    @property
    def options(self) -> list[str]:
        """The options of `fastpath vxlan add`: workers=2 → --workers 2, gso=off → --no-gso, gso=on → nothing."""
        found: list[str] = []
        for key, value in self.own.items():
            option = key.replace("_", "-")
            if value == "on":
                continue
            found += [f"--no-{option}"] if value == "off" else [f"--{option}", value]
        return found


def known(word: str, names: Iterable[str], what: str) -> str:
    """Return the word if it is one of the names. Raise UsageError otherwise."""
    names = tuple(names)
    if word not in names:
        close = difflib.get_close_matches(word, names, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"known are {' '.join(names)}"
        raise UsageError(f'"{word}" is no {what}: {hint}')
    return word


def contestant(text: str) -> Contestant:
    """Return the contestant that `NAME[:key=value,…]` names. Raise UsageError for a mistake."""
    name, colon, rest = text.partition(":")
    known(name, BASELINES, "baseline")
    if not rest and name in NAMED_BY_FILE:
        raise UsageError(f'"{text}" does not say which: write {name}:{NAMED_BY_FILE[name]}')
    if not colon:
        return Contestant(name)
    if name == SCRIPT and not os.access(rest, os.X_OK):
        raise UsageError(f'"{rest}" is no file that can be executed')
    if name in NAMED_BY_FILE:
        return Contestant(name, words=rest)
    if name not in WITH_SETTINGS:
        raise UsageError(f'"{text}": only {" ".join(WITH_SETTINGS)} have settings')
    settings: dict[str, str] = {}
    for part in rest.split(","):
        key, equals, value = part.partition("=")
        if not equals or not value or re.fullmatch(r"[a-z][a-z0-9_-]*", key) is None:
            raise UsageError(f'invalid setting "{part}" in "{text}": write key=value, as in {DEVICE_ALONE}:workers=2')
        if key in settings:
            raise UsageError(f'"{key}" stands twice in "{text}"')
        if name == "null":
            known(key, (TXQUEUELEN,), "setting of null")
        if name == SUBJECT and key == TXQUEUELEN:
            raise UsageError(f"{TXQUEUELEN} is a setting of {DEVICE_ALONE} and null: networks choose it themselves")
        if key == TXQUEUELEN and re.fullmatch(r"[1-9]\d{0,6}", value) is None:
            raise UsageError(f'invalid {TXQUEUELEN} "{value}": write a number of packets from 1 to 9999999')
        settings[key] = value
    return Contestant(name, tuple(settings.items()))


def compared(
    subjects: tuple[str, ...], forwarder: str | None, against: tuple[str, ...], *, full: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return subjects and baselines, as typed or by default. Raise UsageError for subjects of two kinds."""
    if forwarder is not None:
        if subjects:
            raise UsageError("--forwarder is a --subject: give one of them")
        return (f"{FORWARDER}:{forwarder}",), against or (DEVICE_ALONE,)
    others = tuple(name for name in BASELINES if name not in (*OURS, SCRIPT))
    return subjects or DEFAULT_SUBJECTS, against or (others if full else DEFAULT_BASELINES)
