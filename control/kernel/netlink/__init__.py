# SPDX-License-Identifier: Apache-2.0
"""What we ask the kernel over netlink. Only the modules of this package import pyroute2.

Its sockets are opened by the calling thread, in the namespace where that thread is: `sandbox.inside` is how to ask
about another one. (What pyroute2 itself offers for that, its `netns=`, forks a child for each socket.)
"""

from fastpath.control.kernel.netlink.links import Link, Links, move_link
from fastpath.control.kernel.netlink.look import Look, appearance
from fastpath.control.kernel.netlink.paths import path_mtu
from fastpath.control.kernel.netlink.stacked import StackedLinks

__all__ = ["Link", "Links", "Look", "StackedLinks", "appearance", "move_link", "path_mtu"]
