# SPDX-License-Identifier: Apache-2.0
"""Micro benchmarks: the packet path without I/O."""
