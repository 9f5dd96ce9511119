# SPDX-License-Identifier: Apache-2.0
"""Messages of rtnetlink, as bytes."""

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from fastpath.control.kernel.netlink.link import parse_link
from fastpath.control.kernel.netlink.rtnetlink import GETLINK, NEWLINK, Rtnetlink, attribute, attributes

DONE, ERROR = 3, 2


class Kernel:
    """A socket, and its other end."""

    def __init__(self) -> None:
        self.netlink = Rtnetlink()
        self.netlink.close()
        self.netlink.socket, self.socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def answer(self, kind: int, body: bytes, sequence: int, flags: int = 0) -> None:
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.netlink.close()
    made.socket.close()


def test_attributes_are_padded_and_found_again() -> None:
    body = attribute(3, "eth0") + attribute(4, 1500) + attribute(0x8012, b"\x01")
    assert len(body) == 12 + 8 + 8
    assert list(attributes(body)) == [(3, b"eth0\0"), (4, struct.pack("=I", 1500)), (0x12, b"\x01")]
    assert list(attributes(body[:10])) == [(3, b"eth0\0"[:6])]  # cut off by somebody
    assert list(attributes(struct.pack("=HH", 0, 1) + body[:12])) == [(1, b""), (3, b"eth0\0")]  # and no loop for ever


def test_an_interface_that_says_nothing_of_itself() -> None:
    link = parse_link(struct.pack("=BxHiII", 0, 1, 7, 1, 0))
    assert (link.index, link.name, link.mtu, link.up, link.carrier, link.ethernet) == (7, "", 0, True, False, True)


def test_a_dump_that_a_change_tore_is_asked_for_again(kernel: Kernel) -> None:
    kernel.answer(NEWLINK, b"old", 1, flags=0x10)
    kernel.answer(DONE, bytes(4), 1)
    kernel.answer(NEWLINK, b"late", 1)  # of the first question
    kernel.answer(NEWLINK, b"new", 2)
    kernel.answer(DONE, bytes(4), 2)
    assert kernel.netlink.dump(GETLINK, b"") == [b"new"]


def test_a_refusal_is_an_error_with_its_number(kernel: Kernel) -> None:
    kernel.answer(ERROR, struct.pack("=i", -errno.ENODEV), 1)
    with pytest.raises(OSError, match="No such device") as caught:
        kernel.netlink.get(GETLINK, b"")
    assert caught.value.errno == errno.ENODEV
    kernel.answer(ERROR, struct.pack("=i", 0), 2)
    kernel.netlink.change(NEWLINK, b"")
