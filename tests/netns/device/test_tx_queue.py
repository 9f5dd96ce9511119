# SPDX-License-Identifier: Apache-2.0
"""A TAP keeps what its container sends while no worker looks, up to its queue's length."""

import socket

import pytest

from fastpath import Engine, UsageError
from fastpath.engine.ports.tun_info import tun_info
from fastpath.engine.ports.tx_queue import DEFAULT_TXQUEUELEN, KERNEL_DEFAULT
from tests.support.hosts.hosts import Lab, Namespace, ip

MORE_THAN_THE_KERNELS = 2 * KERNEL_DEFAULT


def length_of(name: str) -> int:
    info = tun_info(name)
    assert info is not None
    return info.txqueuelen


def flood(container: Namespace, frames: int) -> None:
    """Send so many frames by one socket, which may have no more than a few on their way: all go to one queue."""

    def send() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_SNDBUFFORCE: room for all of them
            sock.bind(("tap0", 0))
            for number in range(frames):
                sock.send(b"\xff" * 6 + b"\x02\0\0\0\0\x01\x88\xb5" + number.to_bytes(4, "big") + bytes(46))

    container.inside(send)


@pytest.mark.parametrize("adopted", [False, True], ids=["new", "adopted"])
def test_what_arrives_while_no_worker_looks_is_kept(two: Lab, adopted: bool) -> None:
    container = two.containers[0]

    def run() -> None:
        with Engine("127.0.0.1", workers=1) as engine:
            segment = engine.add_segment(42)
            if adopted:
                ip("tuntap", "add", "mode", "tap", "multi_queue", "vnet_hdr", "name", "tap0")
                assert length_of("tap0") == KERNEL_DEFAULT
                port = segment.adopt_tap("tap0")
                port.persist = False
            else:
                port = segment.add_tap("tap0")
            assert length_of("tap0") == DEFAULT_TXQUEUELEN
            ip("link", "set", "tap0", "up")
            before = port.stats().traffic.rx_frames
            flood(container, MORE_THAN_THE_KERNELS)
            while engine.poll():
                pass
            assert port.stats().traffic.rx_frames - before >= MORE_THAN_THE_KERNELS

    container.inside(run)


def test_a_length_that_somebody_chose_stays(two: Lab) -> None:
    def run() -> None:
        with Engine("127.0.0.1", workers=1) as engine:
            ip("tuntap", "add", "mode", "tap", "multi_queue", "vnet_hdr", "name", "tap0")
            ip("link", "set", "tap0", "txqueuelen", "37")
            port = engine.add_segment(42).adopt_tap("tap0")
            assert length_of("tap0") == 37
            port.persist = False

    two.containers[0].inside(run)


@pytest.mark.parametrize("length", [0, -1, 10**6])
def test_a_length_that_no_queue_can_have_is_refused(two: Lab, length: int) -> None:
    def run() -> None:
        with Engine("127.0.0.1", workers=1) as engine:
            with pytest.raises(UsageError, match="txqueuelen"):
                engine.add_segment(42).add_tap("tap0", txqueuelen=length)
            assert "tap0" not in ip("link")

    two.containers[0].inside(run)
