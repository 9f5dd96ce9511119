# SPDX-License-Identifier: Apache-2.0
"""Requests and answers of a device's control socket, as JSON."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

FdbVerb = Literal["add", "append", "replace", "del"]
FdbState = Literal["permanent", "dynamic"]


class Message(BaseModel):
    """The base of all messages: no unknown members, no changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FdbChange(Message):
    """An entry to add, append to, replace or delete. `dst` and `port` name a remote; without `dst` the address is
    behind the device's own interface."""

    verb: FdbVerb
    mac: str
    dst: str | None = None
    port: int | None = None
    state: FdbState = "permanent"


class FdbFlush(Message):
    """Which entries to flush: all but the all-zeros ones, only those to `dst`, only one kind."""

    dst: str | None = None
    port: int | None = None
    state: FdbState | None = None


class FdbLine(Message):
    """One line of `fdb show`, with the member names of `bridge -json fdb`."""

    mac: str
    ifname: str
    dst: str | None = None
    port: int | None = None
    flags: tuple[str, ...] = ("self",)
    state: Literal["permanent", ""] = ""
    updated: int | None = None


class Flushed(Message):
    """The number of entries that were deleted."""

    count: int


class DeviceInfo(Message):
    """The settings of a device, as `vxlan show` prints them."""

    ifname: str
    id: int
    local: str | None
    remotes: tuple[str, ...]
    dstport: int
    srcport: tuple[int, int]
    ttl: int
    learning: bool
    ageing: int
    maxaddress: int
    mtu: int
    netns: str | None
    workers: int
    pid: int
