# SPDX-License-Identifier: Apache-2.0
"""Ports: TAPs, and what stands in for them; and what the kernel says of TAPs."""
