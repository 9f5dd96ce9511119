# SPDX-License-Identifier: Apache-2.0
"""What we ask the kernel over netlink, with pyroute2, which only the modules of this package import.

A socket belongs to the namespace of the thread that opens it, and answers for that, whichever thread uses it later:
kernel/visit.py opens one for each namespace. (What pyroute2 itself offers for that, its `netns=`, forks a child for
each socket.)
"""

from fastpath.control.kernel.netlink.fingerprint import fingerprint, link_fingerprint
from fastpath.control.kernel.netlink.link import Link
from fastpath.control.kernel.netlink.links import Links, Route, move_link
from fastpath.control.kernel.netlink.paths import path_mtu
from fastpath.control.kernel.netlink.rtnetlink import Rtnetlink
from fastpath.control.kernel.netlink.stacked import StackedLinks

__all__ = [
    "Link",
    "Links",
    "Route",
    "Rtnetlink",
    "StackedLinks",
    "fingerprint",
    "link_fingerprint",
    "move_link",
    "path_mtu",
]
