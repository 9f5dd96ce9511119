# SPDX-License-Identifier: Apache-2.0
"""`fastpath vxlan add`: a VXLAN device in its own process, without a daemon."""
