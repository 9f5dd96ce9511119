# SPDX-License-Identifier: Apache-2.0
"""What is said to the driver `fastpath`: the options of Docker's own overlay, and ours."""

from pydantic import ValidationError

from fastpath.control.docker.protocol import CreateNetwork
from fastpath.control.docker.wanted import (
    ADDRESS_SPACE,
    MTU,
    NAME,
    Wanted,
    check_options,
    explained,
    kept,
    number,
    subnets,
)
from fastpath.errors import UsageError

LAYOUT, KERNEL_PATH = "fastpath.layout", "fastpath.kernel_path"
VNIS = "com.docker.network.driver.overlay.vxlanid_list"
ENCRYPTED = "encrypted"
OPTIONS = {"name": NAME, "layout": LAYOUT, "kernel_path": KERNEL_PATH, "mtu": MTU, "vni": VNIS}
COMMAND = "docker network create -d fastpath --ipam-driver fastpath --subnet 10.1.0.0/24 NAME"


def wanted(request: CreateNetwork, overhead: int) -> Wanted:
    """Return what the request asks for. `overhead` is what the tunnel adds to a packet, in bytes. Raise UsageError."""
    data = [*request.ipv4, *request.ipv6]
    if not data or any(each.address_space != ADDRESS_SPACE for each in data):
        raise UsageError(
            "addresses of Docker's own IPAM would be given twice, by every host for itself: "
            f"add --ipam-driver fastpath, as in: {COMMAND}"
        )
    words = request.words
    if ENCRYPTED in words:
        raise UsageError("encrypted networks are not supported: leave -o encrypted out")
    check_options(words, list(OPTIONS.values()))
    if "," in words.get(VNIS, ""):
        raise UsageError(f"-o {VNIS}={words[VNIS]}: a network has one VNI here, give one")
    underlay_mtu = number(words, MTU, "the underlay's MTU, as 1500")
    try:
        return Wanted(
            name=words.get(NAME),
            subnets=subnets(request),
            vni=number(words, VNIS, "a VNI, 256 to 16777215"),
            mtu=underlay_mtu - overhead if underlay_mtu is not None else None,
            layout=words.get(LAYOUT),  # type: ignore[arg-type]  # it is checked now
            kernel_path=words.get(KERNEL_PATH),  # type: ignore[arg-type]  # it is checked now
            internal=request.internal,
            kept=kept(request),
        )
    except ValidationError as error:
        raise explained(error, words, OPTIONS) from None
