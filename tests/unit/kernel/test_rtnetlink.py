# SPDX-License-Identifier: Apache-2.0
"""A netlink socket: which of the kernel's answers count, and their results."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator

import pytest
from pyroute2 import IPRSocket
from pyroute2.netlink.rtnl import RTM_GETLINK, RTM_NEWLINK
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from fastpath.control.kernel.netlink import rtnetlink
from fastpath.control.kernel.netlink.link import parse_link
from fastpath.control.kernel.netlink.rtnetlink import HEADER, Rtnetlink, build

DONE, ERROR = 3, 2
ASKED = build(ifinfmsg)


class Kernel:
    """Stands for pyroute2's socket; `socket` is its other end."""

    def __init__(self) -> None:
        self.near, self.socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.marshal = MarshalRtnl()
        self.recv = self.near.recv
        self.asked: list[tuple[int, int, int]] = []

    def put(self, message: object, kind: int, flags: int, *, msg_seq: int) -> None:
        self.asked.append((kind, flags, msg_seq))

    def close(self) -> None:
        self.near.close()
        self.socket.close()

    def answer(self, kind: int, body: bytes, sequence: int, flags: int = 0) -> None:
        self.socket.send(HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    made = Kernel()
    monkeypatch.setattr(rtnetlink, "IPRSocket", lambda: made)
    yield made
    made.close()


def test_attributes_are_padded_and_found_again() -> None:
    message = build(ifinfmsg, ("IFLA_IFNAME", "eth0"), ("IFLA_MTU", 1500), index=7)
    message["header"]["type"] = RTM_NEWLINK
    message.encode()
    assert len(message.data) == HEADER.size + 16 + 12 + 8
    link = parse_link(next(MarshalRtnl().parse(bytes(message.data))))
    assert (link.index, link.name, link.mtu, link.alias, link.kind) == (7, "eth0", 1500, "", "")


def test_an_interface_that_says_nothing_of_itself(kernel: Kernel) -> None:
    kernel.answer(RTM_NEWLINK, struct.pack("=BxHiII", 0, 1, 7, 1, 0), 1)
    link = parse_link(Rtnetlink().get(RTM_GETLINK, ASKED))
    assert (link.index, link.name, link.mtu, link.up, link.carrier, link.ethernet) == (7, "", 0, True, False, True)


def test_a_dump_that_a_change_tore_is_asked_for_again(kernel: Kernel) -> None:
    kernel.answer(RTM_NEWLINK, b"old", 1, flags=0x10)
    kernel.answer(DONE, bytes(4), 1)
    kernel.answer(RTM_NEWLINK, b"late", 1)  # of the first question
    kernel.answer(RTM_NEWLINK, b"new", 2)
    kernel.answer(DONE, bytes(4), 2)
    assert [each[HEADER.size :] for each in Rtnetlink().dump_raw(RTM_GETLINK, ASKED)] == [b"new"]
    assert kernel.asked == [(RTM_GETLINK, 0x301, 1), (RTM_GETLINK, 0x301, 2)]


def test_a_refusal_is_an_error_with_its_number(kernel: Kernel) -> None:
    netlink = Rtnetlink()
    kernel.answer(ERROR, struct.pack("=i", -errno.ENODEV), 1)
    with pytest.raises(OSError, match="No such device") as caught:
        netlink.get(RTM_GETLINK, ASKED)
    assert caught.value.errno == errno.ENODEV
    kernel.answer(ERROR, struct.pack("=i", 0), 2)
    netlink.change(RTM_NEWLINK, ASKED)
    assert kernel.asked[-1] == (RTM_NEWLINK, 5, 2)


def test_a_dump_over_the_limit_is_cut_and_the_socket_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = [Kernel(), Kernel()]
    opening = iter(kernels)
    monkeypatch.setattr(rtnetlink, "IPRSocket", lambda: next(opening))
    reopened: list[object] = []

    def reopen(function: Callable[[], IPRSocket]) -> IPRSocket:
        reopened.append(function)
        return function()

    netlink = Rtnetlink({RTM_GETLINK: 100}, reopen)
    for _ in range(20):
        kernels[0].answer(RTM_NEWLINK, bytes(24), 1)
    assert len(netlink.dump_raw(RTM_GETLINK, ASKED)) == 3
    assert netlink.cut
    assert len(reopened) == 1
    kernels[1].answer(RTM_NEWLINK, b"short", 2)
    kernels[1].answer(DONE, bytes(4), 2)
    assert [each[HEADER.size :] for each in netlink.dump_raw(RTM_GETLINK, ASKED)] == [b"short"]
    assert not netlink.cut
    for each in kernels:
        each.close()


def test_a_dump_keeps_what_is_wanted(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    netlink = Rtnetlink()
    monkeypatch.setattr(netlink, "_parsed", lambda raw: raw)
    for body in (b"one", b"two"):
        kernel.answer(RTM_NEWLINK, body, 1)
    kernel.answer(DONE, bytes(4), 1)
    assert [raw[HEADER.size :] for raw in netlink.dump(RTM_GETLINK, ASKED, lambda raw: b"two" in raw)] == [b"two"]
