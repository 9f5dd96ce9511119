# SPDX-License-Identifier: Apache-2.0
"""Network namespaces, netlink, nftables and sysctls."""
