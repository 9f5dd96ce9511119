# SPDX-License-Identifier: Apache-2.0
"""What does not fit the underlay, and nobody can be told, arrives nevertheless."""

import struct

import pytest

from tests.support.hosts.hosts import Lab, wait_for

TAG = struct.pack("!HH", 0x8100, 5)


@pytest.mark.parametrize("size", [1464, 1465, 1468])
def test_full_frames_with_a_vlan_tag(pair: Lab, size: int) -> None:
    """1,464 bytes, from the Ethernet header on, fill the underlay's 1,500: a tag is 4 more."""
    one, two = pair.containers
    with one.raw() as out, two.raw() as into:
        into.settimeout(0.05)
        addresses = into.getsockname()[4] + out.getsockname()[4]
        frame = (addresses + TAG + b"\x88\xb5").ljust(size, b"x")
        seen = (frame, frame.replace(TAG, b"", 1))  # a packet socket may have the tag beside the frame

        def arrives() -> bool:
            out.send(frame)  # the kernel refuses the first one, from which the engine learns
            try:
                while into.recv(2000) not in seen:
                    continue
            except TimeoutError:
                return False
            return True

        wait_for(arrives, "the frame arrives")
    events = pair.hosts[0].stats()["workers"][0]["events"]
    assert ("fragmented" in events) == (size > 1464)


def test_ipv4_without_df_on_a_smaller_path(pair: Lab) -> None:
    one, host = pair.containers[0], pair.hosts[0]
    host.ip("route add 192.0.2.2/32 dev u0 mtu 1300")
    ping = ("ping", "-M", "dont", "-c1", "-W1", "-s", "1422", "10.9.0.2")  # from the first one the engine learns
    wait_for(lambda: one.run(*ping, check=False).returncode == 0, "it arrives")
    assert host.stats()["workers"][0]["events"]["fragmented"] >= 1
