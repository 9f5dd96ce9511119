# SPDX-License-Identifier: Apache-2.0
"""Tests for a kernel with 8021q, dummy and vrf, which not every machine has.

tests/system/macvlan/test_macvlan_vlan.py runs them in user-mode Linux.
"""
