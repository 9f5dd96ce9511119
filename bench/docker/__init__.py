# SPDX-License-Identifier: Apache-2.0
"""Containers on two Docker hosts: over fastpath, and over the overlay that Docker itself has (docs/comparison.md)."""
