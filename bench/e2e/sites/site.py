# SPDX-License-Identifier: Apache-2.0
"""The topology of one contestant over one underlay.

    c1 10.9.0.1            c2 10.9.0.2      containers: vx0, MTU 1450
    |                               |
    h1 192.0.2.1 --- veth --- h2 192.0.2.2  hosts: u0, MTU 1500

`offload`: the veth with its default settings; super-frames cross it unsegmented. `wire`: no packet on it is larger than
the MTU, as on a NIC without tunnel offload. Two forms are for scenarios of their own: `local`, with both containers on
h1 (h2 is idle), and `fdb`, which is `offload` with overlays whose tables are large and age slowly.
"""

import contextlib
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastpath.bench.common import daemon, namespaces
from fastpath.bench.common.namespaces import Namespace

PREFIX = "fpb-"
MTU, OVERLAY_MTU = 1500, 1450
DEVICE = "vx0"
WIRE = (
    "tso off gso off tx-udp-segmentation off tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off gro on"
).split()
FEATURES = (
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
    "tx-udp-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-checksumming",
)


@dataclass
class Site:
    """Two hosts with a container each; `scratch` is a directory that goes with them."""

    h1: Namespace
    h2: Namespace
    c1: Namespace
    c2: Namespace
    underlay: str
    scratch: Path
    offloads: dict[str, str] = field(default_factory=dict)
    overlay: str = ""  # the name of the overlay that was laid
    daemons: list[daemon.Daemon] = field(default_factory=list)  # of an overlay that has some
    cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # what else goes with them

    @property
    def sides(self) -> tuple[tuple[int, Namespace, Namespace], ...]:
        """Both sides: (number, host, container)."""
        if self.underlay == "local":
            return (1, self.h1, self.c1), (2, self.h1, self.c2)
        return (1, self.h1, self.c1), (2, self.h2, self.c2)

    def is_answered(self) -> bool:
        """Return whether a closed TCP port of c2 answers. Called inside c1."""
        try:
            socket.create_connection(("10.9.0.2", 9), timeout=0.2).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True

    def check_reachable(self) -> None:
        """Wait until frames pass both ways. Raise RefusedError if they do not."""
        namespaces.wait_for(lambda: self.c1.inside(self.is_answered), "the containers reach each other")

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The names of all four."""
        return tuple(namespace.name for namespace in (self.h1, self.h2, self.c1, self.c2))


@contextlib.contextmanager
def site(label: str, underlay: str, scratch: Path) -> Iterator[Site]:
    """Make the topology, without an overlay. At the end all is removed, with the processes in it."""
    cleanup = contextlib.ExitStack()
    made = [Namespace.named(PREFIX, f"{label}-{end}") for end in ("h1", "h2", "c1", "c2")]
    try:
        h1, h2, c1, c2 = [namespace.add() for namespace in made]
        found = Site(h1, h2, c1, c2, underlay, scratch / label, cleanup=cleanup)
        found.scratch.mkdir(parents=True)
        _join(found)
        yield found
    finally:
        cleanup.close()
        for namespace in made:
            namespace.remove()
        shutil.rmtree(scratch / label, ignore_errors=True)


def _join(found: Site) -> None:
    found.h1.ip(f"link add u0 mtu {MTU} type veth peer name u0 mtu {MTU} netns {found.h2.name}")
    for number, host in ((1, found.h1), (2, found.h2)):
        if found.underlay == "wire":
            host.run("ethtool", "-K", "u0", *WIRE)
        host.address(f"192.0.2.{number}/24", device="u0")
        for kind in ("ip", "ip6", "arp"):
            file = f"/proc/sys/net/bridge/bridge-nf-call-{kind}tables"
            host.run("sh", "-c", f"[ ! -e {file} ] || echo 0 >{file}")
    if shutil.which("ethtool"):
        features = (line.strip().split(": ", 1) for line in found.h1.run("ethtool", "-k", "u0").stdout.splitlines()[1:])
        found.offloads = {words[0]: words[1] for words in features if words[0] in FEATURES}


def unusable(underlay: str) -> str | None:
    """Return why this form of the underlay cannot be made here, or None."""
    if underlay == "wire" and shutil.which("ethtool") is None:
        return "ethtool is not installed"
    return None


def remove_leftovers(scratch_parent: Path) -> None:
    """Remove what killed runs left: namespaces, the processes in them, and directories."""
    daemon.remove_leftovers()
    namespaces.remove_leftovers(PREFIX)
    for directory in scratch_parent.glob(f"{PREFIX}*"):
        if namespaces.is_left_over(directory.name, PREFIX):
            shutil.rmtree(directory, ignore_errors=True)
