# SPDX-License-Identifier: Apache-2.0
"""`fastpath vxlan add`: a VXLAN device in a process of its own, in the words of `ip link` and `bridge fdb`."""
