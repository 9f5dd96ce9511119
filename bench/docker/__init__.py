# SPDX-License-Identifier: Apache-2.0
"""Containers on two Docker hosts, over fastpath and over Docker's own overlay (docs/benchmarks/comparison.md)."""
