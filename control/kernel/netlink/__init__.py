# SPDX-License-Identifier: Apache-2.0
"""Netlink calls to the kernel, with pyroute2, which only the modules of this package import.

A socket belongs to the namespace of the thread that opens it, whichever thread uses it later: kernel/visit.py opens one
for each namespace. (pyroute2's own `netns=` forks a child for each socket.)
"""

from fastpath.control.kernel.netlink.fingerprint import fingerprint, link_fingerprint
from fastpath.control.kernel.netlink.link import Link
from fastpath.control.kernel.netlink.links import Links, Route, move_link
from fastpath.control.kernel.netlink.paths import path_mtu
from fastpath.control.kernel.netlink.rtnetlink import SANDBOX_LIMITS, Rtnetlink, links_mention
from fastpath.control.kernel.netlink.stacked import StackedLinks

__all__ = [
    "SANDBOX_LIMITS",
    "Link",
    "Links",
    "Route",
    "Rtnetlink",
    "StackedLinks",
    "fingerprint",
    "link_fingerprint",
    "links_mention",
    "move_link",
    "path_mtu",
]
